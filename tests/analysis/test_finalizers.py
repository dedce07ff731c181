"""What `__del__` does to the objects of a finding."""

from __future__ import annotations

import numpy as np
import pytest
from heap import Heap, Thing

from leakhunt.analysis.heap.finalizers import finalizers, in_cycles
from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.findings import Finalizer

from .drawing import drawn


def named(picture_text: str) -> set[str]:
    picture = drawn(picture_text)
    found = in_cycles(picture.graph)
    return {name for name, index in picture.index.items() if found[index]}


def test_on_a_cycle_is_what_leads_back_to_itself() -> None:
    # root -> a -> b -> c -> b, c -> d
    assert named("root -> a -> b -> c -> b, c -> d") == {"b", "c"}


def test_what_refers_to_itself_is_a_cycle() -> None:
    assert named("root -> a -> a") == {"a"}


def found(heap: Heap) -> tuple[Finalizer, ...]:
    graph = HeapGraph(heap.snapshot())
    return finalizers(graph, np.arange(graph.count))


@pytest.fixture
def heap() -> Heap:
    made = Heap()
    made.type("shop.Cursor", del_at="shop/db.py:40")
    return made


def parted(heap: Heap) -> Thing:
    cursor = heap.instance("shop.Cursor", rows=heap.bytes(5000))
    heap.module("shop", CURSOR=cursor)
    return cursor


def test_it_is_told_where_the_finalizer_is(heap: Heap) -> None:
    parted(heap)
    (row,) = found(heap)
    assert (row.type, row.file, row.line) == ("shop.Cursor", "shop/db.py", 40)
    assert not row.in_cycle
    assert not row.resurrects
    assert "as long as the holder above keeps it" in row.says


def test_what_it_pins_is_counted_in_bytes(heap: Heap) -> None:
    parted(heap)
    assert found(heap)[0].pins_bytes > 5000


def test_one_in_a_cycle_waits_for_the_collector(heap: Heap) -> None:
    cursor = parted(heap)
    cursor.connection = heap.instance("shop.Connection", cursor=cursor)
    (row,) = found(heap)
    assert row.in_cycle
    assert "only when the collector comes by" in row.says


def test_one_that_ran_on_most_of_its_objects_resurrects_them(heap: Heap) -> None:
    heap.finalize(parted(heap))
    (row,) = found(heap)
    assert row.resurrects
    assert "put the object back" in row.says


def test_classes_without_a_finalizer_have_no_row() -> None:
    heap = Heap()
    parted(heap)
    assert found(heap) == ()
