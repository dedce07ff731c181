"""The same object at several moments."""

from __future__ import annotations

import pytest
from heap import ITEM_SIZE, Heap, Sequence

from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.analysis.heap.lineage import Lineage, same
from leakhunt.snapshot import Snapshot


def lineage(*snapshots: Snapshot) -> Lineage:
    return Lineage([HeapGraph(snapshot) for snapshot in snapshots])


def born(found: Lineage, type_name: str) -> list[int]:
    """Number of the snapshot in which each object of a class is seen first, by age."""
    return sorted(int(b) for i, b in enumerate(found.born) if found.last.type_name(i) == type_name)


@pytest.fixture
def heap() -> Heap:
    return Heap(reuse=True)


@pytest.fixture
def orders(heap: Heap) -> Sequence:
    found = heap.list()
    heap.module("shop", ORDERS=found)
    return found


def test_an_object_is_born_in_the_first_snapshot_that_has_it(heap: Heap, orders: Sequence) -> None:
    moments = []
    for _ in range(3):
        orders.append(heap.instance("shop.Order"))
        moments.append(heap.snapshot())
    assert born(lineage(*moments), "shop.Order") == [0, 1, 2]


def test_an_address_used_again_by_another_class_is_another_object(heap: Heap, orders: Sequence) -> None:
    orders.append(heap.instance("shop.Order"))
    first = heap.snapshot()
    address = orders.pop()._address
    heap.sweep()
    orders.append(heap.instance("shop.Invoice"))
    assert orders[0]._address == address
    assert born(lineage(first, heap.snapshot()), "shop.Invoice") == [1]


def test_a_tuple_of_another_length_is_another_tuple(heap: Heap, orders: Sequence) -> None:
    # As CPython keeps it in a free list of its size: same address, class and size.
    orders.append(heap.tuple())
    first = heap.snapshot()
    orders[0].append(heap.instance("shop.Order"))
    orders[0]._size -= ITEM_SIZE
    second = heap.snapshot()
    before, after = (moment.column("object.size").tolist() for moment in (first, second))
    assert after[: len(before)] == before
    assert born(lineage(first, second), "builtins.tuple") == [1]


def test_an_address_used_again_by_the_same_class_overstates_survival(heap: Heap, orders: Sequence) -> None:
    orders.append(heap.instance("shop.Order"))
    first = heap.snapshot()
    orders.pop()
    heap.sweep()
    orders.append(heap.instance("shop.Order"))
    assert born(lineage(first, heap.snapshot()), "shop.Order") == [0]


def test_what_vanished_in_between_was_another_object(heap: Heap, orders: Sequence) -> None:
    orders.append(heap.instance("shop.Order"))
    first = heap.snapshot()
    orders.pop()
    second = heap.snapshot()
    orders.append(heap.instance("shop.Order"))
    found = lineage(first, second, heap.snapshot())
    assert born(found, "shop.Order") == [2]
    assert found.class_survival(0)["shop.Order"] == (1, 0)


def test_survivors_are_counted_by_class(heap: Heap, orders: Sequence) -> None:
    orders.extend(heap.instance("shop.Order") for _ in range(4))
    first = heap.snapshot()
    orders.pop(0)
    found = lineage(first, heap.snapshot())
    assert found.class_survival(0)["shop.Order"] == (4, 3)


def test_what_came_after_a_moment_is_new_since_then(heap: Heap, orders: Sequence) -> None:
    moments = []
    for _ in range(3):
        orders.append(heap.instance("shop.Order"))
        moments.append(heap.snapshot())
    found = lineage(*moments)
    new = [
        int(found.is_new(k)[[found.last.type_name(i) == "shop.Order" for i in range(found.last.count)]].sum())
        for k in (0, 1, 2)
    ]
    assert new == [2, 1, 0]


def test_a_class_made_anew_under_its_name_is_the_same_to_a_reader(heap: Heap, orders: Sequence) -> None:
    orders.append(heap.instance("shop.Order"))
    first = heap.snapshot()
    heap.redefine("shop.Order")
    orders.append(heap.instance("shop.Order"))
    last = heap.snapshot()
    assert sorted(born(lineage(first, last), "shop.Order")) == [0, 1]


def test_nothing_is_the_same_as_in_an_empty_snapshot(heap: Heap) -> None:
    snapshot = heap.snapshot()
    columns = {n: c if n.startswith(("strings", "type")) else c[:0] for n, c in snapshot._columns.items()}
    empty, full = HeapGraph(Snapshot(snapshot.meta, columns)), HeapGraph(snapshot)
    assert (same(empty, full) == -1).all()
    assert len(same(full, empty)) == 0
