"""Classes between two and three snapshots."""

from __future__ import annotations

from heap import Heap, Sequence

from leakhunt.analysis.report.diff import diff
from leakhunt.findings import DiffRow
from leakhunt.snapshot import Snapshot


def rows(*snapshots: Snapshot) -> dict[str, DiffRow]:
    return {row.type: row for row in diff(snapshots).rows}


def shop() -> tuple[Heap, Sequence]:
    heap = Heap()
    orders = heap.list()
    heap.module("shop", ORDERS=orders)
    return heap, orders


def test_births_deaths_and_survivors_are_told_apart() -> None:
    heap, orders = shop()
    orders.extend(heap.instance("shop.Order") for _ in range(5))
    before = heap.snapshot()
    for _ in range(2):
        orders.pop(0)
    orders.extend(heap.instance("shop.Order") for _ in range(4))
    row = rows(before, heap.snapshot())["shop.Order"]
    assert (row.before, row.after) == (5, 7)
    assert (row.births, row.deaths, row.survivors) == (4, 2, 3)
    assert row.alive_from_middle is None


def test_of_three_the_middle_tells_what_was_born_before_it_and_still_lives() -> None:
    heap, orders = shop()
    orders.append(heap.instance("shop.Order"))
    first = heap.snapshot()
    orders.extend(heap.instance("shop.Order") for _ in range(3))
    middle = heap.snapshot()
    orders.pop()
    orders.extend(heap.instance("shop.Order") for _ in range(2))
    row = rows(first, middle, heap.snapshot())["shop.Order"]
    assert (row.before, row.after, row.alive_from_middle) == (1, 5, 2)


def test_an_unchanged_class_between_three_has_none_from_the_middle() -> None:
    heap, orders = shop()
    orders.append(heap.instance("shop.Order"))
    first, middle, last = (heap.snapshot() for _ in range(3))
    assert rows(first, middle, last)["shop.Order"].alive_from_middle == 0


def test_classes_that_came_and_went_have_rows() -> None:
    heap, orders = shop()
    orders.append(heap.instance("shop.Old"))
    before = heap.snapshot()
    orders.clear()
    orders.append(heap.instance("shop.New"))
    found = rows(before, heap.snapshot())
    assert (found["shop.Old"].before, found["shop.Old"].after, found["shop.Old"].deaths) == (1, 0, 1)
    assert (found["shop.New"].before, found["shop.New"].after, found["shop.New"].births) == (0, 1, 1)


def test_the_largest_growth_in_bytes_comes_first() -> None:
    heap, orders = shop()
    before = heap.snapshot()
    orders.extend(heap.instance("shop.Small") for _ in range(50))
    orders.append(heap.bytes(1_000_000))
    found = diff([before, heap.snapshot()])
    assert [row.type for row in found.rows[:2]] == ["builtins.bytes", "shop.Small"]
    assert found.seconds == 5.0


def test_objects_that_the_collector_does_not_list_are_counted_where_both_are_deep() -> None:
    heap, orders = shop()
    before = heap.snapshot()
    orders.extend(heap.bytes(100) for _ in range(3))
    assert rows(before, heap.snapshot())["builtins.bytes"].births == 3


def test_a_census_knows_counts_but_no_births_and_says_so() -> None:
    heap, orders = shop()
    before = heap.snapshot()
    orders.extend(heap.instance("shop.Order") for _ in range(3))
    found = diff([before, heap.snapshot(deep=False)])
    row = next(row for row in found.rows if row.type == "shop.Order")
    assert (row.before, row.after, row.births) == (0, 3, None)
    assert "births are not known" in found.notes[0]


def test_classes_of_one_name_are_one_row() -> None:
    heap, orders = shop()
    orders.append(heap.instance("shop.Order"))
    heap.redefine("shop.Order")
    orders.append(heap.instance("shop.Order"))
    row = rows(heap.snapshot(), heap.snapshot())["shop.Order"]
    assert (row.before, row.after, row.survivors) == (2, 2, 2)


def test_graphs_that_leave_something_out_are_compared_by_what_the_collector_lists() -> None:
    heap, orders = shop()
    before = heap.snapshot()
    orders.extend(heap.instance("shop.Order") for _ in range(3))
    after = heap.snapshot()
    after.meta["left_out"] = "100"
    found = diff([before, after])
    row = next(row for row in found.rows if row.type == "shop.Order")
    assert (row.before, row.after, row.births) == (0, 3, None)
    assert "all of the heap" in found.notes[0]
