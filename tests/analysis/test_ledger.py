"""The ledger: parts that add up to what the process grew by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heap import Heap, Thing, run_folder

from leakhunt import pipeline
from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.analysis.rules import ledger
from leakhunt.analysis.rules.detectors import judge

MB = 1_000_000


def figures(
    python: float = 0, malloc: float = 0, free: float = 0, other: float = 0, mapped: float = 0
) -> dict[str, Any]:
    """The allocators' accounts with so many megabytes above their usual; `other` is resident and neither's."""
    resident = 50 * MB + MB * (python + malloc + free + other)
    return {
        "rss_anonymous_bytes": resident, "rss_bytes": resident + 8 * MB,
        "virtual_bytes": 90 * MB + MB * (python + malloc + free + mapped),
        "pymalloc_in_use_bytes": 10 * MB + MB * python, "pymalloc_arena_bytes": 10 * MB + MB * python,
        "malloc_in_use_bytes": 20 * MB + MB * malloc, "malloc_free_bytes": MB * free,
    }  # fmt: skip


def closed(heap: Heap, step: Any) -> ledger.Ledger:
    evidence = Evidence(heap.live(step, moments=12))
    book = ledger.ledger(evidence, judge(evidence))
    assert book is not None
    assert sum(book.gain(part) for part in ledger.PARTS) == pytest.approx(book.grown_bytes)
    return book


def largest(book: ledger.Ledger) -> str:
    return max(ledger.PARTS, key=book.gain)


def test_what_a_growing_list_holds_is_in_places() -> None:
    heap = Heap()
    kept = heap.list()
    heap.module("shop", KEPT=kept)

    def serve(k: int) -> dict[str, Any]:
        kept.extend(heap.bytes(10_000) for _ in range(100))
        return figures(malloc=1.0 * k)

    book = closed(heap, serve)
    assert largest(book) == "places"
    assert book.gain("places") == pytest.approx(book.grown_bytes, rel=0.02)
    assert book.explained > 0.98


def test_what_lies_in_cycles_is_waiting_garbage() -> None:
    heap = Heap()
    heap.module("shop")

    def serve(k: int) -> dict[str, Any]:
        for _ in range(10):
            cursor = heap.instance("shop.Cursor", rows=heap.bytes(100_000))
            cursor.itself = cursor
        return figures(malloc=1.0 * k)

    assert largest(closed(heap, serve)) == "waiting garbage"


def test_what_only_c_refers_to_is_held_from_outside() -> None:
    heap = Heap()
    heap.module("shop")

    def serve(k: int) -> dict[str, Any]:
        for _ in range(10):
            heap.hold_by_c(heap.instance("shop.Cursor", rows=heap.bytes(100_000)))
        return figures(malloc=1.0 * k)

    assert largest(closed(heap, serve)) == "held from outside"


@pytest.mark.parametrize(
    ("account", "part"),
    [
        ({"python": 1.0}, "objects unseen"),
        ({"malloc": 1.0}, "native"),
        ({"other": 1.0, "mapped": 1.0}, "native"),
        ({"free": 1.0}, "fragmentation"),
        ({"other": 1.0}, "unexplained"),
    ],
    ids=["blocks of Python's allocator", "malloc's", "new mappings", "free", "nobody's"],
)
def test_what_no_object_has_is_where_the_allocators_say(account: dict[str, float], part: str) -> None:
    heap = Heap()
    heap.module("shop")
    book = closed(heap, lambda k: figures(**{name: size * k for name, size in account.items()}))
    assert largest(book) == part
    assert book.explained == (0.0 if part == "unexplained" else 1.0)


def test_what_fills_room_that_the_agent_left_is_growth_and_not_negative_room() -> None:
    heap = Heap()
    kept = heap.list()
    heap.module("shop", KEPT=kept)

    def serve(k: int) -> dict[str, Any]:
        kept.extend(heap.bytes(10_000) for _ in range(100))
        left = {"agent_rss_anonymous_bytes": 30 * MB} if k else {}
        return {**figures(malloc=1.0 * k, free=30 - 1.0 * k), **left}

    book = closed(heap, serve)
    assert largest(book) == "places"
    assert book.explained > 0.95


def test_a_list_and_its_items_are_blocks_of_both_allocators() -> None:
    heap = Heap()
    heap.module("shop", KEPT=heap.list(heap.string(100) for _ in range(1000)))
    graph = HeapGraph(heap.snapshot())
    blocks, kept = ledger.blocks_of(graph), int(np.argmax(graph.lengths))
    assert graph.type_name(kept) == "builtins.list"
    assert (blocks.small[kept], blocks.large[kept]) == (64, 8016)
    (text,) = {blocks.small[i] for i in graph.referents(kept)}
    assert text == 112


def judged(folder: Path, step: Any) -> Any:
    heap = Heap()
    heap.module("shop", CATALOGUE=heap.list(heap.string() for _ in range(100)))
    return pipeline.hunt(run_folder(folder, heap.live(lambda k: step(heap, k), moments=24)))


def test_a_program_is_not_healthy_where_growth_is_not_explained(tmp_path: Path) -> None:
    found = judged(tmp_path / "run", lambda heap, k: figures(other=0.2 * k, python=0.1 * (k % 3)))
    assert found.verdict == "inconclusive" or found.findings
    assert found.ledger is not None
    assert found.ledger.explained < 0.9


def test_little_growth_that_nobody_explains_leaves_it_healthy(tmp_path: Path) -> None:
    found = judged(tmp_path / "run", lambda heap, k: figures(other=0.02 * k))
    assert found.verdict == "healthy"
    assert found.ledger is not None
    assert sum(part.bytes for part in found.ledger.parts) == found.ledger.grown_bytes


def test_a_burst_in_objects_that_ended_leaves_it_healthy(tmp_path: Path) -> None:
    kept: list[Thing] = []

    def step(heap: Heap, k: int) -> dict[str, Any]:
        if k == 10:
            kept.append(heap.module("catalogue", ROWS=heap.list(heap.bytes(10_000) for _ in range(500))))
        return figures(malloc=5.0 * (k >= 10))

    assert judged(tmp_path / "run", step).verdict == "healthy"
