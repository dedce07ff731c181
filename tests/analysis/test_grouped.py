"""What is in a box of a reference graph: alike objects together, the largest first, nothing lost."""

from __future__ import annotations

import numpy as np
from heap import Heap, Thing

from leakhunt.analysis.heap.dominators import kept_dominators
from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.analysis.heap.naming import Names
from leakhunt.analysis.report.grouped import SHOWN, folded
from leakhunt.findings import Node


def unfolded(heap: Heap, things: list[Thing], retained: bool = True) -> tuple[Node, ...]:
    heap.module("shop", ITEMS=heap.list(things))
    graph = HeapGraph(heap.snapshot())
    objects = graph.index_of(np.array([thing._address for thing in things], dtype=np.uint64))
    return folded(graph, Names(graph), objects, kept_dominators(graph).retained_sizes if retained else None)


def test_a_lone_object_is_not_folded() -> None:
    heap = Heap()
    assert unfolded(heap, [heap.list()]) == ()


def test_objects_that_are_alike_are_one_line() -> None:
    heap = Heap()
    (node,) = unfolded(heap, [heap.instance("shop.Order", size=48) for _ in range(30)])
    assert node == Node(-1, "shop.Order", 30, 30 * 48, retained_bytes=30 * 48)


def test_what_keeps_most_alive_comes_first_even_where_it_is_no_larger_itself() -> None:
    heap = Heap()
    orders = [heap.instance("shop.Order") for _ in range(30)]
    orders[17].invoice = heap.bytes(9000)
    first, others = unfolded(heap, orders)
    assert (first.count, first.size_bytes, first.retained_bytes) == (1, 48, 9048)
    assert (others.count, others.retained_bytes) == (29, 29 * 48)


def test_containers_say_how_many_items_they_have() -> None:
    heap = Heap()
    lists = [heap.list(range(3)) for _ in range(5)] + [heap.list(range(700))]
    assert [node.detail for node in unfolded(heap, lists)] == ["700 items", "3 items each"]


def test_a_lone_one_says_by_what_it_is_held_where_that_has_a_name() -> None:
    heap = Heap()
    small, large = heap.bytes(10), heap.bytes(9000)
    heap.module("app", LOGO=large)
    first, _ = unfolded(heap, [small, large])
    assert first.detail.startswith(".LOGO")


def test_of_many_kinds_the_smallest_are_counted_together() -> None:
    heap = Heap()
    orders = [heap.instance("shop.Order", size=100 + n) for n in range(20) for _ in range(2)]
    *shown, rest = unfolded(heap, orders)
    assert [node.size_bytes for node in shown] == [2 * (119 - n) for n in range(SHOWN)]
    assert (rest.count, rest.type) == (40 - 2 * SHOWN, "shop.Order")
    assert sum(node.size_bytes for node in (*shown, rest)) == sum(2 * (100 + n) for n in range(20))


def test_without_dominators_size_decides() -> None:
    heap = Heap()
    large, small = unfolded(heap, [heap.instance("shop.Order", size=size) for size in (50, 60)], retained=False)
    assert (large.size_bytes, large.retained_bytes, small.size_bytes) == (60, 0, 50)
