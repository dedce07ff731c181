"""Ages from the order of the collector's list, and what a short look says of a long life."""

from __future__ import annotations

import numpy as np
import pytest
from heap import Heap

from leakhunt.agent import schema
from leakhunt.analysis.growth.age import Life, is_of_start, places, spectra
from leakhunt.analysis.growth.holders import agrees
from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.analysis.policy import POLICY
from leakhunt.snapshot import Snapshot


def rows(flags: list[int], generations: str | None = None, place: list[int] | None = None) -> HeapGraph:
    """A graph of as many objects as there are flags, with nothing else known of them."""
    meta = {} if generations is None else {"generation_rows": generations}
    columns = {f"object.{name}": np.zeros(len(flags), "<u4") for name in ("type", "size", "length", "refcount")}
    columns["object.address"] = np.arange(1, 1 + len(flags), dtype="<u8")
    columns["object.flags"] = np.array(flags, "|u1")
    columns["reference.count"] = np.zeros(len(flags), "<u4")
    columns["reference.index"] = np.zeros(0, "<u4")
    if place is not None:
        columns["object.place"] = np.array(place, "<u4")
    return HeapGraph(Snapshot(meta, columns))


def test_the_youngest_generation_is_listed_first_and_each_of_them_oldest_first() -> None:
    graph = rows([1, 1, 0, 1, 1, 0, 1], generations="2 4")  # two of generation 0, one of 1, two of 2
    assert places(graph).tolist() == [3, 4, -1, 2, 0, -1, 1]


def test_a_column_of_places_says_it_directly() -> None:
    assert places(rows([1, 1, 0], place=[1, 0, schema.NO_PLACE])).tolist() == [1, 0, -1]


@pytest.mark.parametrize("generations", [None, "", "5", "a b"])
def test_without_either_ages_are_not_known(generations: str | None) -> None:
    assert places(rows([1, 1], generations)) is None


# module shop -> a catalogue, then orders
def test_the_spectrum_shows_who_came_when() -> None:
    heap = Heap()
    first = [heap.instance("shop.Product") for _ in range(50)]
    heap.module("shop", CATALOGUE=heap.list(first), ORDERS=heap.list([heap.instance("shop.Order") for _ in range(50)]))
    found = spectra(heap.snapshot())
    assert found["shop.Product"][:6].sum() == 50
    assert found["shop.Order"][4:].sum() == 50


def test_the_start_up_is_over_when_most_modules_are_imported() -> None:
    heap = Heap()
    early = [heap.module(f"shop{n}", TABLE=heap.instance("shop.Table")) for n in range(30)]
    late = heap.instance("shop.Order")
    heap.module("shop", LATEST=late)
    for n in range(2):
        heap.module(f"lazy{n}")
    graph = HeapGraph(heap.snapshot())
    row = {address: index for index, address in enumerate(graph.addresses.tolist())}
    found = is_of_start(graph)
    assert found[row[early[10].TABLE._address]]
    assert not found[row[late._address]]


@pytest.mark.parametrize(
    ("life", "before", "gained", "expected"),
    [
        (Life(600.0, 60.0, 10.0, 1.0), 5900, 100, True),  # as if from the start
        (Life(600.0, 60.0, 10.0, 1.0), 5900, 0, False),  # a cache at its bound
        (Life(600.0, 60.0, 10.0, 1.0), 300, 100, False),  # a cache that is swept, a batch
        (Life(600.0, 60.0, 10.0, 1.0), 59_000, 100, False),  # slower and slower, or a table of the start-up
        (Life(600.0, 60.0, 10.0, 6.0), 900, 100, True),  # it idled before: its work says so
        (Life(600.0, 0.0, 10.0, 0.0), 5900, 100, True),  # the system does not tell the work
        (Life(10.0, 1.0, 0.0, 0.0), 10, 10, False),
    ],
)
def test_rate_times_life_is_compared_with_what_is_there(
    life: Life, before: float, gained: float, expected: bool
) -> None:
    assert agrees(life.agreement(before, gained), POLICY) is expected
