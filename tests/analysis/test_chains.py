"""Why the objects of a class are alive."""

from __future__ import annotations

import numpy as np
import pytest
from heap import Heap

from leakhunt.analysis.heap.chains import chains, instances
from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.errors import UsageError


def labels(graph: HeapGraph, type_name: str, limit: int = 3) -> list[list[str]]:
    return [[link.label for link in chain.links] for chain in chains(graph, type_name, limit)]


@pytest.fixture
def graph() -> HeapGraph:
    # module shop -> ORDERS -> 5 Order;   module shop -> LAST -> Order;   C -> Order
    heap = Heap()
    heap.type("shop.Store", del_at="shop.py:5")
    orders = heap.list([heap.instance("shop.Order") for _ in range(5)])
    heap.module("shop", STORE=heap.instance("shop.Store", orders=orders), LAST=heap.instance("shop.Order"))
    heap.hold_by_c(heap.instance("shop.Order"))
    return HeapGraph(heap.snapshot())


def test_the_commonest_way_comes_first(graph: HeapGraph) -> None:
    assert labels(graph, "shop.Order") == [
        ["module shop", ".STORE", ".orders", "[*]"],
        ["held outside the Python heap"],
        ["module shop", ".LAST"],
    ]


def test_no_more_than_asked_for_are_given(graph: HeapGraph) -> None:
    assert len(chains(graph, "shop.Order", 1)) == 1


def test_a_finalizer_on_the_way_is_marked(graph: HeapGraph) -> None:
    marks = [link.finalizer for link in chains(graph, "shop.Order", 1)[0].links]
    assert marks == [None, "shop.py:5", None, None]


def test_instances_of_classes_of_one_name_are_all_found() -> None:
    heap = Heap()
    orders = heap.list([heap.instance("shop.Order")])
    heap.redefine("shop.Order")
    orders.append(heap.instance("shop.Order"))
    heap.module("shop", ORDERS=orders)
    assert len(instances(HeapGraph(heap.snapshot()), "shop.Order")) == 2


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("Order", "Did you mean shop.Order?"),
        ("order", "Did you mean shop.Order?"),
        ("shop.Oder", "Did you mean shop.Order"),
        ("Oders", "Did you mean shop.Order"),
        ("dict", "Did you mean builtins.dict?"),
        ("zzz", "module.qualname, as in builtins.dict"),
    ],
)
def test_an_unknown_class_is_answered_with_near_matches(graph: HeapGraph, asked: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        chains(graph, asked, 3)
    assert hint in str(raised.value)
    assert raised.value.exit_code == 2


def test_a_class_without_instances_is_no_near_match(graph: HeapGraph) -> None:
    with pytest.raises(UsageError) as raised:
        instances(graph, "shop.NoSuch")
    assert "NoSuch" in str(raised.value)


def test_a_class_that_the_graph_of_a_large_heap_leaves_out_is_not_called_unknown() -> None:
    whole = Heap()
    whole.module("shop", ORDERS=whole.list([whole.instance("shop.Order") for _ in range(5)]))
    snapshot = whole.snapshot()
    snapshot.meta["left_out"] = "5"
    graph = HeapGraph(snapshot)
    graph.types = np.where(graph.types == snapshot.type_names.index("shop.Order"), 0, graph.types)
    with pytest.raises(UsageError, match=r"The 5 objects of class shop\.Order are older than the first look"):
        instances(graph, "shop.Order")
