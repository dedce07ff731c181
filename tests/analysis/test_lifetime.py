"""An old process, seen at two looks: what leaks, and the nearest heap that does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from heap import Heap, Thing, run_folder

from leakhunt.pipeline import hunt
from leakhunt.snapshot import Snapshot

STEPS, LOOKS = 200, 3  # ticks of five seconds that it lived before the first look, and between two looks
TICK = 5.0


def seen(heap: Heap, step: Callable[[int], Any], looks: int = 2, lived: int = STEPS) -> list[Snapshot]:
    """Snapshots of a process that lived for `lived` ticks, and then for LOOKS ticks between each two looks."""
    found: list[Snapshot] = []
    for k in range(lived + LOOKS * (looks - 1)):
        step(k)
        after = k + 1 - lived
        if after >= 0 and after % LOOKS == 0:
            found.append(heap.snapshot(elapsed=0.2 + TICK * after, process_seconds=TICK * (k + 1)))
    return found


@pytest.fixture
def accused(tmp_path: Path) -> Callable[[list[Snapshot]], list[tuple[str, str | None]]]:
    """(class, owner) of what a report of such a process accuses."""

    def of(snapshots: list[Snapshot]) -> list[tuple[str, str | None]]:
        findings = hunt(run_folder(tmp_path / "run", snapshots)).findings
        return [(finding.type, finding.holder and finding.holder.owner) for finding in findings]

    return of


Accused = Callable[[list[Snapshot]], list[tuple[str, str | None]]]


def shop() -> tuple[Heap, Any]:
    heap = Heap()
    for n in range(20):
        heap.module(f"library{n}")
    sessions = heap.dict()
    heap.module("shop", SESSIONS=sessions)
    return heap, sessions


# module shop -> SESSIONS -> Session, Session, …
@pytest.mark.parametrize("looks", [2, 3, 4])
def test_what_grew_since_the_start_is_named_at_the_second_look(looks: int, accused: Accused) -> None:
    heap, sessions = shop()

    def serve(k: int) -> None:
        for _ in range(4):
            sessions.add(heap.instance("shop.Session"))

    assert accused(seen(heap, serve, looks)) == [("shop.Session", "shop.SESSIONS")]


def test_a_young_process_is_given_time(accused: Accused) -> None:
    heap, sessions = shop()

    def serve(k: int) -> None:
        for _ in range(4):
            sessions.add(heap.instance("shop.Session"))

    assert accused(seen(heap, serve, lived=8)) == []


def test_a_population_with_a_time_to_live_is_healthy(accused: Accused) -> None:
    heap, sessions = shop()

    def serve(k: int) -> None:
        for _ in range(4 + k % 3):  # some more come than go between the looks
            sessions.add(heap.instance("shop.Session"))
        while len(sessions) > 400 + 10 * (k % 3):
            sessions.pop_oldest()

    assert accused(seen(heap, serve)) == []


def test_a_cache_at_its_bound_is_healthy(accused: Accused) -> None:
    heap, _ = shop()
    cache = heap.lru_cache(50)
    heap.module("tax", rate=cache)
    assert accused(seen(heap, lambda k: cache.call((k,), heap.instance("tax.Rule")))) == []


def test_a_start_up_table_that_gains_little_now_is_healthy(accused: Accused) -> None:
    heap, sessions = shop()
    for _ in range(3000):
        sessions.add(heap.instance("shop.Product"))

    def serve(k: int) -> None:
        if k > STEPS:
            for _ in range(5):
                sessions.add(heap.instance("shop.Product"))

    assert accused(seen(heap, serve)) == []


@pytest.mark.parametrize("period", [30, 80])
def test_a_saw_tooth_that_is_seen_between_two_sweeps_is_healthy(period: int, accused: Accused) -> None:
    heap, sessions = shop()

    def serve(k: int) -> None:
        if k % period == 0 and k < STEPS:
            sessions.clear()
        for _ in range(4):
            sessions.add(heap.instance("shop.Session"))

    assert accused(seen(heap, serve)) == []


def test_a_cache_that_fills_ever_more_slowly_is_healthy(accused: Accused) -> None:
    heap, sessions = shop()
    keys = 2000

    def serve(k: int) -> None:
        for _ in range(max(1, round(40 * (1 - len(sessions) / keys)))):  # of so many keys, ever fewer are new
            sessions.add(heap.instance("shop.Session"))

    assert accused(seen(heap, serve)) == []


def test_a_batch_that_is_collected_and_written_is_healthy(accused: Accused) -> None:
    heap, _ = shop()
    writer = heap.instance("shop.Writer", rows=heap.list())
    heap.module("intake", WRITER=writer)

    def serve(k: int) -> None:
        if k % 40 == 0:
            writer.rows = heap.list()
        writer.rows.extend(heap.instance("shop.Row") for _ in range(5))

    assert accused(seen(heap, serve)) == []


def test_a_configuration_that_is_loaded_between_the_looks_is_healthy(accused: Accused) -> None:
    heap, sessions = shop()

    def serve(k: int) -> None:
        if k in (0, STEPS + 1):
            for _ in range(60):
                sessions.add(heap.instance("shop.Rule"))

    assert accused(seen(heap, serve)) == []


def test_a_registry_of_the_start_up_that_leaks_as_well_is_named(accused: Accused) -> None:
    heap = Heap()
    registry = heap.list()
    heap.module("library0", REGISTRY=registry)
    registry.extend(heap.instance("shop.Handler") for _ in range(700))
    for n in range(1, 20):
        heap.module(f"library{n}")

    def serve(k: int) -> None:
        registry.extend(heap.instance("shop.Handler") for _ in range(4))

    assert accused(seen(heap, serve)) == [("shop.Handler", "library0.REGISTRY")]


def test_cycles_of_a_process_whose_collector_is_off_are_named_at_the_second_look(accused: Accused) -> None:
    heap, _ = shop()
    heap.meta["gc_enabled"] = 0

    def serve(k: int) -> None:
        for _ in range(4):
            first: Thing = heap.instance("shop.Cart")
            first.line = heap.instance("shop.Line", cart=first)

    assert accused(seen(heap, serve))[0][0] in ("shop.Cart", "shop.Line")
