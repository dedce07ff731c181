"""What the snapshots of one process show."""

from __future__ import annotations

import pytest
from heap import Heap, Thing

from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.snapshot import Snapshot


@pytest.fixture
def heap() -> Heap:
    made = Heap()
    made.module("shop")
    return made


def held(heap: Heap, moments: int = 10) -> list[Snapshot]:
    def serve(k: int) -> None:
        for _ in range(10):
            heap.hold_by_c(heap.instance("shop.Token"))

    return heap.live(serve, moments)


def test_the_moment_at_exit_is_apart(heap: Heap) -> None:
    snapshots = [heap.snapshot(), heap.snapshot(), heap.snapshot(moment="exit")]
    evidence = Evidence(snapshots)
    assert len(evidence.snapshots) == 3
    assert len(evidence.censuses) == len(evidence.deep) == 2


def test_a_class_has_a_count_at_every_census_also_before_it_came(heap: Heap) -> None:
    orders = heap.list()
    heap.module("web", ORDERS=orders)

    def serve(k: int) -> None:
        orders.extend([heap.instance("web.Order")] if k > 1 else [])

    series = Evidence(heap.live(serve, moments=5, deep=lambda k: k == 4)).classes["web.Order"]
    assert series.counts.tolist() == [0, 0, 1, 2, 3]
    assert series.seconds.tolist() == [5, 10, 15, 20, 25]
    assert (series.bytes[1:] >= series.bytes[:-1]).all()


def test_the_ledger_is_zero_where_the_target_could_not_say(heap: Heap) -> None:
    evidence = Evidence([heap.snapshot(swap_bytes=5), heap.snapshot()])
    assert evidence.ledger("swap_bytes").tolist() == [5, 0]


def test_what_came_after_the_warm_up_is_new(heap: Heap) -> None:
    orders = heap.list()
    heap.module("web", ORDERS=orders)
    evidence = Evidence(heap.live(lambda k: orders.append(heap.instance("web.Order")), moments=11))
    assert evidence.first == 2
    graph = evidence.graph
    assert sum(bool(evidence.is_new[i]) for i in range(graph.count) if graph.type_name(i) == "web.Order") == 8


def test_what_c_code_holds_ever_more_of_is_a_group(heap: Heap) -> None:
    evidence = Evidence(held(heap))
    (group,) = evidence.outside
    assert (group.type, len(group.objects)) == ("shop.Token", 100)
    assert group.counts.tolist() == list(range(30, 110, 10))
    assert evidence.group_survival(group) == 1.0
    assert evidence.garbage == []


def test_a_group_that_is_let_go_does_not_survive(heap: Heap) -> None:
    tokens: list[Thing] = []

    def serve(k: int) -> None:
        tokens.extend(heap.hold_by_c(heap.instance("shop.Token")) for _ in range(10 + 10 * k))
        while len(tokens) > 10 + 10 * k:
            heap.hold_by_c(tokens.pop(0), -1)

    evidence = Evidence(heap.live(serve))
    (group,) = evidence.outside
    assert evidence.group_survival(group) < 0.5


def test_cycles_that_wait_are_a_group(heap: Heap) -> None:
    def serve(k: int) -> None:
        for _ in range(10):
            ring = heap.instance("shop.Ring")
            ring.other = heap.instance("shop.Ring", other=ring)

    evidence = Evidence(heap.live(serve, moments=10))
    assert [(group.type, len(group.objects)) for group in evidence.garbage] == [("shop.Ring", 200)]
    assert evidence.outside == []


def test_what_is_held_from_outside_has_dominators_too(heap: Heap) -> None:
    pool = heap.list([heap.instance("shop.Token")])
    heap.hold_by_c(pool)
    evidence = Evidence([heap.snapshot(), heap.snapshot()])
    graph = evidence.graph
    token = next(i for i in range(graph.count) if graph.type_name(i) == "shop.Token")
    assert graph.type_name(int(evidence.dominators.idom[token])) == "builtins.list"


def test_without_a_graph_there_are_no_places(heap: Heap) -> None:
    evidence = Evidence([heap.snapshot(deep=False) for _ in range(5)])
    assert evidence.places == []
    assert "builtins.module" in evidence.classes
