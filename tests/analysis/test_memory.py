"""Memory that no Python object explains."""

from __future__ import annotations

import numpy as np
import pytest
from heap import Heap

from .judging import accused

MB = 1_000_000
BASE = 50 * MB


def kinds(figures: list[dict[str, float]], leak_bytes: int = 0) -> list[str]:
    """Kinds of the accusations of a program with these ledger figures, and one of `leak_bytes` a moment in a list."""
    heap = Heap()
    kept = heap.list()
    heap.module("shop", KEPT=kept)

    def serve(k: int) -> dict[str, float]:
        if leak_bytes:
            kept.extend(heap.bytes(leak_bytes // 10) for _ in range(10))
        return figures[k]

    return [verdict.kind for verdict in accused(heap.live(serve, moments=len(figures)))]


def ledger(
    resident: object, in_use: object = None, free: object = None, top: object = None, **more: object
) -> list[dict[str, float]]:
    """Figures of each moment, in megabytes above a base of fifty."""
    count = len(np.asarray(resident))
    columns = {
        "rss_anonymous_bytes": resident,
        "malloc_in_use_bytes": np.zeros(count) if in_use is None else in_use,
        "malloc_free_bytes": np.zeros(count) if free is None else free,
        "malloc_top_bytes": np.zeros(count) if top is None else top,
    }
    found = []
    for k in range(count):
        row = {
            name: MB * float(np.asarray(column)[k]) + BASE * (name != "malloc_top_bytes")
            for name, column in columns.items()
        }
        row["rss_bytes"] = row["rss_anonymous_bytes"]
        found.append({**row, **{name: float(np.asarray(column)[k]) for name, column in more.items()}})
    return found


STEPS = np.arange(14)


def test_resident_memory_that_climbs_alone_is_native_growth() -> None:
    assert kinds(ledger(resident=2 * STEPS, in_use=2 * STEPS)) == ["native-growth"]


def test_mappings_that_climb_are_native_growth_too() -> None:
    heap = Heap()
    heap.module("shop")
    figures = ledger(resident=2 * STEPS)
    (verdict,) = accused(heap.live(lambda k: figures[k], moments=len(figures)))
    assert verdict.kind == "native-growth"
    assert "outside malloc's heap" in verdict.reason


@pytest.mark.parametrize(
    "resident",
    [np.zeros(14), STEPS * 0.01, np.minimum(STEPS, 4) * 5, STEPS % 4 * 10, 30 - STEPS * 2],
    ids=["flat", "a trickle", "a warm-up", "a saw-tooth", "shrinking"],
)
def test_resident_memory_that_comes_to_an_end_is_none(resident: np.ndarray) -> None:
    assert kinds(ledger(resident=resident, in_use=resident)) == []


def test_growth_that_objects_explain_is_their_leak_alone() -> None:
    assert kinds(ledger(resident=2 * STEPS, in_use=2 * STEPS), leak_bytes=2 * MB) == ["python-leak"]


def test_growth_that_a_small_leak_does_not_explain_is_native_beside_it() -> None:
    assert sorted(kinds(ledger(resident=2 * STEPS, in_use=2 * STEPS), leak_bytes=10_000)) == [
        "native-growth",
        "python-leak",
    ]


def test_growth_of_which_graphs_saw_a_part_only_is_explained_by_their_rate() -> None:
    heap = Heap()
    first, figures = heap.list(), ledger(resident=2 * STEPS, in_use=2 * STEPS)
    heap.module("shop", FIRST=first)

    def serve(k: int) -> dict[str, float]:
        node = heap.instance("shop.Node", text=heap.bytes(2 * MB), before=first[0] if len(first) else None)
        first.clear()
        first.append(node)  # linked: no container grows
        return figures[k]

    found = accused(heap.live(serve, moments=len(figures), deep=lambda k: k in (2, 4)))
    assert "native-growth" not in {verdict.kind for verdict in found}


@pytest.mark.parametrize(
    ("blocks", "found"),
    [
        (STEPS % 11 * 4000 + 2000, []),
        (np.full(14, 10_000), ["native-growth"]),
        (STEPS * 4000 + 2000, ["native-growth"]),
    ],
    ids=["a tooth of a saw", "flat", "strings that C leaks"],
)
def test_pages_that_objects_took_and_left_again_are_no_native_growth(blocks: np.ndarray, found: list[str]) -> None:
    heap = Heap()
    heap.module("shop", CATALOGUE=heap.list(heap.string(500) for _ in range(10_000)))
    figures = ledger(resident=STEPS, allocated_blocks=blocks)
    assert [verdict.kind for verdict in accused(heap.live(lambda k: figures[k], moments=14))] == found


def test_what_the_agent_itself_added_is_nobodys_growth() -> None:
    assert kinds(ledger(resident=2 * STEPS, agent_rss_anonymous_bytes=2 * MB * STEPS)) == []


def test_a_heap_that_grows_by_what_is_free_below_its_top_is_fragmented() -> None:
    assert kinds(ledger(resident=3 * STEPS, free=3 * STEPS)) == ["fragmentation"]


def test_a_heap_that_is_free_at_its_top_is_not() -> None:
    assert "fragmentation" not in kinds(ledger(resident=3 * STEPS, free=3 * STEPS, top=3 * STEPS))


def test_free_memory_that_does_not_grow_is_no_fragmentation() -> None:
    assert kinds(ledger(resident=np.full(14, 40), free=np.full(14, 40))) == []


def test_without_a_word_from_malloc_there_is_no_fragmentation() -> None:
    figures = [{"rss_anonymous_bytes": BASE + 3 * MB * k, "rss_bytes": BASE + 3 * MB * k} for k in range(14)]
    assert kinds(figures) == ["native-growth"]


def test_a_burst_that_ends_while_a_snapshot_is_taken_is_no_growth() -> None:
    resident = np.full(14, 10.0)
    resident[[4, 9]] = 25.0  # seen at the beginning of a snapshot, gone at its end: all of it counts as the agent's
    agents = np.zeros(14)
    agents[5:] = -15 * MB
    agents[10:] = -30 * MB
    free = np.linspace(1, 30, 14)
    figures = ledger(resident=resident + np.linspace(0, 1, 14), free=free, agent_rss_anonymous_bytes=agents)
    assert kinds(figures) == []


def test_what_fills_the_memory_that_snapshots_left_free_is_native_growth() -> None:
    assert kinds(ledger(resident=np.zeros(14), in_use=STEPS, free=20 - STEPS)) == ["native-growth"]


def test_memory_in_use_that_comes_and_goes_is_none() -> None:
    assert kinds(ledger(resident=np.zeros(14), in_use=STEPS % 4, free=20 - STEPS % 4)) == []
