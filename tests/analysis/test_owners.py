"""Who holds every object, all at once, is what `Names` says of each alone."""

from __future__ import annotations

import numpy as np
import pytest
from heap import Heap

from leakhunt.analysis.heap import owners
from leakhunt.analysis.heap.edges import KINDS, edge_names
from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.analysis.heap.naming import Names

from .test_any_heap import Life


def told(called: owners.Called, index: int) -> str:
    row = int(called.rows[index])
    return called.texts[row] if row >= 0 else ""


@pytest.mark.parametrize("seed", range(12))
def test_owners_and_roots_of_any_heap_are_those_of_names(seed: int) -> None:
    life = Life(seed)
    for k in range(8):
        figures = life.step(k)
    graph = HeapGraph(life.heap.snapshot(**figures))
    names, kept = Names(graph), graph.kept_tree[0]
    places, roots = owners.owners_of(graph, names), owners.roots_of(graph, names)
    for index in range(graph.count):
        owner, root = next(iter(names.owners(index)), ""), names.root_of(index)
        assert told(roots, index) == (root if kept[index] else "")
        if kept[index] and told(places, index) != owner:
            assert ".<" in owner, (owner, told(places, index))  # named by analogy, where Names does without


def test_instances_beyond_those_that_the_agent_named_are_held_by_the_attribute_of_the_others() -> None:
    heap = Heap()
    first = heap.instance("shop.Order", total=heap.instance("shop.Sum"))
    second, sum_ = heap.instance("shop.Order"), heap.instance("shop.Sum")
    heap.refer(second, sum_)
    heap.module("shop", ORDERS=heap.list([first, second]))
    graph = HeapGraph(heap.snapshot())
    names = Names(graph)
    index = int(graph.index_of(np.array([sum_._address], dtype=np.uint64))[0])
    assert names.owners(index)[0] == "shop.Order.<attribute>"
    assert told(owners.owners_of(graph, names), index) == "shop.Order.total"


def test_garbage_has_no_owner() -> None:
    heap = Heap()
    heap.module("shop")
    cycle = heap.instance("shop.Cycle")
    cycle.itself = cycle
    graph = HeapGraph(heap.snapshot())
    index = int(graph.index_of(np.array([cycle._address], dtype=np.uint64))[0])
    assert told(owners.owners_of(graph, Names(graph)), index) == ""


@pytest.mark.parametrize("seed", range(4))
def test_every_reference_of_any_heap_has_a_kind_and_a_labelled_one_its_name(seed: int) -> None:
    life = Life(seed)
    for k in range(8):
        figures = life.step(k)
    graph = HeapGraph(life.heap.snapshot(**figures))
    names = edge_names(graph)
    for edge in range(len(graph.targets)):
        label = graph.label(edge)
        kind, text = KINDS[names.kinds[edge]], names.texts[names.names[edge]]
        if label.startswith("-defaults"):
            assert (kind, text) == ("internal", "__defaults__")
        elif label:
            assert {".": "attribute", "@": "local", "~": "closure", "-": "internal"}[label[0]] == kind
            assert text == label[1:]
