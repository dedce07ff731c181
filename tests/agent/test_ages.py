"""The place of an object in a snapshot is its age: on every interpreter, by both engines."""

from __future__ import annotations

import itertools

import pytest

from leakhunt.agent import listing, schema
from leakhunt.analysis.growth.age import places, spectra
from leakhunt.analysis.heap.graph import HeapGraph

from .target import Heap, Target, said

# Survivors of several collections, made in order, with what comes and goes between them; the dicts and the Orders
# are of classes that the Python engine treats apart.
SURVIVORS = """
class Order:
    pass
orders, lines, numbers = [], [], []
for number in range(6000):
    order = Order()
    order.lines = {"number": [number]}
    orders.append(order)
    lines.append(order.lines)
    waste = [Order() for _ in range(4)]
    waste.append(waste)
    if number in (2000, 5000):
        gc.collect()
    if number == 5900:
        gc.collect(0)
for item in orders:
    print("order", id(item))
for item in lines:
    print("line", id(item))
take()
"""
TRIFLING = 20  # of 6,000: an automatic collection in the middle of making one


def survivors(target: Target) -> tuple[Heap, dict[str, list[int]]]:
    ran = target.run(SURVIVORS + "\nsys.stdout.flush()\nos._exit(0)\n")
    found: dict[str, list[int]] = {"order": [], "line": []}
    for name, address in said(ran):
        found[name].append(address)
    return ran.heaps[0], found


def test_objects_stand_in_order_of_birth(target: Target) -> None:
    heap, made = survivors(target)
    graph = HeapGraph(heap.snapshot)
    place = places(graph)
    if place is None:
        pytest.skip("this interpreter's list is in another order")
    for name in ("order", "line"):
        ages = place[[heap.row_by_address[address] for address in made[name]]].tolist()
        assert min(ages) >= 0
        assert sum(first > second for first, second in itertools.pairwise(ages)) <= TRIFLING
    listed = place[place >= 0]
    assert len(set(listed.tolist())) == len(listed)


def test_the_spectrum_counts_a_class_by_tenths_of_the_list(target: Target) -> None:
    heap, _ = survivors(target)
    found = spectra(heap.snapshot)
    if not found:
        pytest.skip("this interpreter's list is in another order")
    orders = found["__main__.Order"]
    assert len(orders) == schema.TENTHS
    assert orders.sum() == heap.census["__main__.Order"][0]
    assert orders[-7:].sum() > 0.8 * orders.sum()  # what the interpreter brought came first
    assert orders[0] == 0


@pytest.mark.parametrize(
    ("version", "flags", "expected"),
    [
        ((3, 8, 18, "final", 0), "", True),
        ((3, 13, 0, "final", 0), "", True),
        ((3, 13, 0, "final", 0), "t", False),
        ((3, 14, 0, "final", 0), "", False),
        ((3, 14, 4, "final", 0), "", False),
        ((3, 14, 5, "final", 0), "", True),
        ((3, 15, 0, "alpha", 3), "", False),
        ((3, 15, 0, "final", 0), "", True),
    ],
)
def test_where_the_list_is_in_another_order_is_known(
    version: tuple[int, int, int, str, int], flags: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing.sys, "version_info", version)
    monkeypatch.setattr(listing.sys, "abiflags", flags)
    assert listing.is_in_order_of_birth() is expected
