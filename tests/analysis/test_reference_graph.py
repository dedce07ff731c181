"""Small reference graphs for people."""

from __future__ import annotations

import pytest
from heap import Heap

from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.heap.chains import instances
from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.analysis.heap.naming import Names
from leakhunt.analysis.report import reference_graph
from leakhunt.analysis.rules.detectors import judge
from leakhunt.findings import Node, RefGraph


def box(graph: RefGraph, type_name: str) -> Node:
    (found,) = [node for node in graph.nodes if node.type == type_name]
    return found


def arrows(graph: RefGraph) -> list[tuple[str, str, str, int, bool]]:
    name = {node.id: node.type for node in graph.nodes}
    return [(name[e.source], e.label, name[e.target], e.count, e.faulty) for e in graph.edges]


@pytest.fixture
def leak() -> RefGraph:
    # module shop -> STORE -> Store .orders -> list -> Order .customer -> Customer
    heap = Heap()
    heap.type("shop.Store", del_at="shop.py:5")
    heap.type("shop.Customer", del_at="shop.py:9")
    orders = heap.list()
    heap.module("shop", STORE=heap.instance("shop.Store", orders=orders))

    def serve(k: int) -> None:
        for _ in range(10):
            orders.append(heap.instance("shop.Order", customer=heap.instance("shop.Customer")))

    evidence = Evidence(heap.live(serve))
    verdict = judge(evidence)[0]
    return reference_graph.of_verdict(evidence, verdict)


def test_the_way_from_the_root_to_the_leak_is_drawn_and_the_reference_to_cut_is_marked(leak: RefGraph) -> None:
    assert arrows(leak) == [
        ("module shop", ".STORE", "shop.Store", 1, False),
        ("shop.Store", ".orders", "builtins.list", 1, False),
        ("builtins.list", "[*]", "shop.Order", box(leak, "shop.Order").count, True),
        ("shop.Order", ".customer", "shop.Customer", box(leak, "shop.Customer").count, False),
    ]


def test_each_box_has_its_role(leak: RefGraph) -> None:
    roles = {node.type: node.role for node in leak.nodes}
    assert roles == {
        "module shop": "root",
        "shop.Store": "finalizer",
        "builtins.list": "holder",
        "shop.Order": "leaked",
        "shop.Customer": "finalizer",
    }
    assert box(leak, "shop.Store").detail == "shop.py:5"


def test_objects_of_a_class_are_one_box_with_their_number_and_bytes(leak: RefGraph) -> None:
    orders = box(leak, "shop.Order")
    assert orders.count > 50
    assert orders.size_bytes == 48 * orders.count


def test_what_nothing_holds_hangs_on_the_outside() -> None:
    heap = Heap()
    heap.module("shop")

    def serve(k: int) -> None:
        for _ in range(10):
            heap.hold_by_c(heap.instance("shop.Token"))

    evidence = Evidence(heap.live(serve))
    verdict = judge(evidence)[0]
    drawn = reference_graph.of_verdict(evidence, verdict)
    assert [(source, target) for source, _, target, _, _ in arrows(drawn)] == [
        ("outside the Python heap", "shop.Token")
    ]
    assert not any(edge.faulty for edge in drawn.edges)


@pytest.fixture
def shop() -> HeapGraph:
    # module shop -> __dict__ .A -> list -> 3 Order <- dict <- .B
    heap = Heap()
    orders = [heap.instance("shop.Order") for _ in range(3)]
    heap.module("shop", A=heap.list(orders), B=heap.dict(dict(enumerate(orders[:2]))))
    return HeapGraph(heap.snapshot())


def backrefs(graph: HeapGraph, depth: int = 5, width: int = 4) -> RefGraph:
    return reference_graph.backrefs(graph, Names(graph), instances(graph, "shop.Order"), depth, width)


def test_back_references_go_back_to_the_root(shop: HeapGraph) -> None:
    found = backrefs(shop)
    assert box(found, "shop.Order").count == 3
    assert ("builtins.list", "[*]", "shop.Order", 1, False) in arrows(found)
    assert any(node.role == "root" and node.detail == "module shop" for node in found.nodes)


def test_back_references_go_no_further_than_asked(shop: HeapGraph) -> None:
    assert {node.type for node in backrefs(shop, depth=1).nodes} == {"shop.Order", "builtins.list", "builtins.dict"}
    assert len(backrefs(shop, depth=1, width=1).nodes) == 2


def test_an_object_that_refers_to_itself_does_not_go_round() -> None:
    heap = Heap()
    ring = heap.instance("shop.Order")
    ring.me = heap.instance("shop.Order", me=ring)
    found = backrefs(HeapGraph(heap.snapshot()))
    assert len(found.nodes) == 1


def many_orders(holders: int) -> HeapGraph:
    # module shop -> ALL -> list -> Order, held by `holders` lists in turn; each Order is in the tuple of a Batch too
    heap = Heap()
    lists = [heap.list() for _ in range(holders)]
    batches = heap.list()
    for number in range(30):
        order = heap.instance("shop.Order")
        lists[number % holders].append(order)
        batches.append(heap.tuple([order]))
    heap.module("shop", ALL=heap.tuple(lists), BATCHES=batches)
    return HeapGraph(heap.snapshot())


def test_the_reference_by_which_one_object_holds_most_of_many_is_the_one_to_cut() -> None:
    assert [arrow for arrow in arrows(backrefs(many_orders(1))) if arrow[-1]] == [
        ("builtins.list", "[*]", "shop.Order", 30, True)
    ]


def test_what_many_hold_between_them_is_cut_further_up_or_nowhere() -> None:
    faulty = [arrow for arrow in arrows(backrefs(many_orders(3))) if arrow[-1]]
    assert faulty == [("builtins.list", "[*]", "builtins.tuple", 30, True)]
    assert not any(arrow[-1] for arrow in arrows(backrefs(many_orders(3), depth=1)))
