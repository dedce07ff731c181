"""What a person is told of a verdict."""

from __future__ import annotations

import pytest
from heap import Heap

from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.report import to_findings
from leakhunt.analysis.rules.detectors import judge
from leakhunt.findings import Finding


def found(heap: Heap, step: object, moments: int = 12) -> Finding:
    evidence = Evidence(heap.live(step, moments))  # type: ignore[arg-type]
    return to_findings.finding(evidence, judge(evidence)[0], 7)


@pytest.fixture
def finding() -> Finding:
    # module shop -> ORDERS -> Order .lines -> list -> Line, and ~> .customer -> Customer (one for all)
    heap = Heap()
    heap.type("shop.Line", del_at="shop.py:30")
    orders, customer = heap.list(), heap.instance("shop.Customer", size=10_000)
    heap.module("shop", ORDERS=orders, CUSTOMER=customer)

    def serve(k: int) -> None:
        for _ in range(10):
            lines = heap.list([heap.instance("shop.Line", size=500)])
            orders.append(heap.instance("shop.Order", lines=lines, customer=customer))

    return found(heap, serve)


def test_classes_that_grow_with_it_are_named_beside_it(finding: Finding) -> None:
    assert finding.type == "shop.Order"
    assert set(finding.also_growing) == {"builtins.list", "shop.Line"}


def test_the_retained_size_is_what_would_go_with_the_leaked_objects(finding: Finding) -> None:
    one = 48 + (56 + 8) + 500
    leaked = finding.retained_size_bytes // one
    assert finding.retained_size_bytes == leaked * one
    assert leaked >= 80  # and the customer, whom others hold, not once


def test_growth_is_told_per_minute_with_every_count(finding: Finding) -> None:
    assert finding.growth.per_minute == pytest.approx(120)
    assert finding.growth.counts == tuple(range(10, 130, 10))
    assert len(finding.growth.bytes) == len(finding.growth.seconds) == 12
    assert finding.growth.bytes_per_minute >= 120 * 612


def test_finalizers_among_the_leaked_are_told(finding: Finding) -> None:
    assert [(row.type, row.file, row.line) for row in finding.finalizers] == [("shop.Line", "shop.py", 30)]


def test_a_finding_knows_its_process(finding: Finding) -> None:
    assert finding.pids == (7,)


def of_token(name: str, moments: int = 12) -> Finding:
    heap = Heap()
    tokens = heap.dict()
    heap.module("shop", **{name: tokens})
    return found(heap, lambda k: [tokens.add(heap.instance("shop.Token")) for _ in range(10)] and None, moments)


def test_the_length_of_the_run_does_not_change_the_fingerprint_and_another_place_does() -> None:
    assert of_token("WORKERS").fingerprint == of_token("WORKERS", moments=20).fingerprint
    assert of_token("WORKERS").fingerprint != of_token("OTHER").fingerprint


def test_what_nothing_holds_has_no_holder() -> None:
    heap = Heap()
    heap.module("shop")
    finding = found(heap, lambda k: [heap.hold_by_c(heap.instance("shop.Token")) for _ in range(10)] and None)
    assert finding.kind == "refcount-leak"
    assert finding.holder is None
    assert finding.chain is not None
    assert finding.chain.links[0].label == "held outside the Python heap"


def place(owner: str) -> tuple[str, str, str | None, int | None]:
    heap = Heap()
    heap.type("ext.Thing", file="/lib/ext.so")
    store = heap.class_("shop.Store", "/app/shop.py", 3)
    handler = heap.function("shop.serve.<locals>.handler", "/app/shop.py", 40)
    heap.module("shop", "/app/shop.py", Store=store, handler=handler, thing=heap.instance("ext.Thing"))
    return to_findings.place_of(Evidence([heap.snapshot()]), owner)


def test_the_place_of_an_attribute_is_its_class() -> None:
    assert place("shop.Store.orders") == ("shop.Store", "orders", "/app/shop.py", 3)


def test_the_place_of_a_global_is_its_module() -> None:
    assert place("shop.ORDERS")[:3] == ("shop", "ORDERS", "/app/shop.py")


def test_the_place_of_a_closure_variable_is_its_function() -> None:
    assert place("shop.serve.<locals>.handler.<seen>") == ("shop.serve.<locals>.handler", "<seen>", "/app/shop.py", 40)


def test_the_place_of_a_class_that_was_not_walked_is_its_file() -> None:
    assert place("ext.Thing.cache") == ("ext.Thing", "cache", "/lib/ext.so", None)


def test_the_place_of_a_table_of_the_interpreter_is_nowhere() -> None:
    assert place("gc.garbage")[2] is None
