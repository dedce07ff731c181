"""What grows, from the censuses of a process: classes, and containers by their holders."""

from __future__ import annotations

from heap import Heap

from leakhunt.tui.history import MOMENTS_MAX, History
from leakhunt.tui.rows import Row, growing_classes, growing_holders


def nobody(address: int, type_name: str) -> str:
    """Before there is a graph, no container has a name."""
    return ""


def observed(heap: Heap, history: History, **figures: object) -> History:
    history.add(heap.snapshot(deep=False, **figures))
    return history


def classes(history: History, in_bytes: bool = False) -> dict[str, Row]:
    return {row.name: row for row in growing_classes(history, in_bytes)}


def test_before_the_first_census_nothing_grows() -> None:
    assert growing_classes(History()) == [] and growing_holders(History(), nobody) == []


def test_a_class_that_grows_is_shown_with_its_curve_and_one_that_does_not_is_not() -> None:
    heap, history = Heap(), History()
    orders, staff = heap.root(heap.list(), "interpreter", "orders"), heap.root(heap.list(), "interpreter", "staff")
    staff.append(heap.instance("shop.Clerk"))
    for _ in range(4):
        orders.append(heap.instance("shop.Order"))
        observed(heap, history)
    row = classes(history)["shop.Order"]
    assert (row.now, row.since_start, row.since_mark, row.series) == (4, 3, None, (1, 2, 3, 4))
    assert "shop.Clerk" not in classes(history)


def test_a_class_first_met_later_grew_from_nothing() -> None:
    heap, history = Heap(), History()
    observed(heap, history)
    heap.root(heap.instance("shop.Order"), "interpreter", "order")
    row = classes(observed(heap, history))["shop.Order"]
    assert (row.now, row.since_start, row.series) == (1, 1, (0, 1))


def test_what_grew_since_the_mark_comes_before_what_grew_more_before_it() -> None:
    heap, history = Heap(), History()
    kept = heap.root(heap.list(), "interpreter", "kept")
    observed(heap, history)
    kept.extend(heap.instance("shop.Early") for _ in range(50))
    observed(heap, history).set_mark()
    kept.extend(heap.instance("shop.Late") for _ in range(5))
    found = growing_classes(observed(heap, history))
    assert [(row.name, row.since_start, row.since_mark) for row in found] == [
        ("shop.Late", 5, 5),
        ("shop.Early", 50, 0),
    ]


def test_what_shrank_since_the_start_and_grew_since_the_mark_is_shown() -> None:
    heap, history = Heap(), History()
    kept = heap.root(heap.list([heap.instance("shop.Order") for _ in range(9)]), "interpreter", "kept")
    observed(heap, history)
    kept.clear()
    observed(heap, history).set_mark()
    kept.append(heap.instance("shop.Order"))
    row = classes(observed(heap, history))["shop.Order"]
    assert (row.since_start, row.since_mark) == (-8, 1)


def test_of_two_that_grew_alike_the_programs_own_class_comes_first() -> None:
    heap, history = Heap(), History()
    kept = heap.root(heap.list(), "interpreter", "kept")
    observed(heap, history)
    kept.extend(heap.list([heap.instance("shop.Order")]) for _ in range(3))
    assert [row.name for row in growing_classes(observed(heap, history))] == ["shop.Order", "builtins.list"]


def test_a_class_can_grow_in_bytes_without_growing_in_number() -> None:
    heap, history = Heap(), History()
    buffer = heap.root(heap.list(), "interpreter", "buffer")
    observed(heap, history)
    buffer.extend(heap.string() for _ in range(100))
    observed(heap, history)
    assert "builtins.list" not in classes(history)
    assert classes(history, in_bytes=True)["builtins.list"].since_start == 800


def test_a_container_without_a_name_yet_is_shown_by_its_class() -> None:
    heap, history = Heap(), History()
    queue = heap.root(heap.list(heap.string() for _ in range(40)), "interpreter", "queue")
    observed(heap, history)
    queue.extend(heap.string() for _ in range(5))
    (row,) = growing_holders(observed(heap, history), nobody)
    assert (row.name, row.type, row.now, row.since_start, row.series) == ("", "builtins.list", 45, 5, (40, 45))


def test_containers_of_one_name_are_one_holder() -> None:
    heap, history = Heap(), History()
    rooms = [heap.root(heap.list(heap.string() for _ in range(size)), "interpreter", "r") for size in (40, 90)]
    observed(heap, history).set_mark()
    for room in rooms:
        room.extend(heap.string() for _ in range(10))
    (row,) = growing_holders(observed(heap, history), lambda address, kind: "chat.Room.lines")
    assert (row.name, row.now, row.since_start, row.since_mark, row.series) == (
        "chat.Room.lines",
        150,
        20,
        20,
        (130, 150),
    )
    assert row.address == rooms[1]._address  # of the larger one


def test_a_container_made_full_after_the_start_did_not_grow_by_all_that_it_holds() -> None:
    heap, history = Heap(), History()
    observed(heap, history)
    table = heap.root(heap.list(heap.string() for _ in range(1000)), "interpreter", "table")
    assert growing_holders(observed(heap, history), nobody) == []
    table.append(heap.string())
    (row,) = growing_holders(observed(heap, history), nobody)
    assert (row.since_start, row.series) == (1, (0, 1000, 1001))


def test_a_container_at_the_address_of_a_former_one_is_another_one() -> None:
    heap, history = Heap(reuse=True), History()
    former = heap.root(heap.list(heap.string() for _ in range(40)), "interpreter", "former")
    address = former._address
    observed(heap, history).set_mark()
    heap.leave(former)
    observed(heap, history)
    later = heap.root(heap.list(heap.string() for _ in range(500)), "interpreter", "later")
    assert later._address == address
    observed(heap, history)
    later.append(heap.string())
    (row,) = growing_holders(observed(heap, history), nobody)
    assert (row.since_start, row.since_mark, row.series) == (1, 1, (0, 0, 500, 501))


def test_the_moment_of_exit_ends_the_history_and_is_not_in_it() -> None:
    heap, history = Heap(), History()
    main = heap.frame("shop.main", orders=heap.list(heap.instance("shop.Order") for _ in range(40)))
    observed(heap, history)
    heap.leave(main)
    observed(heap, history, moment="exit")
    assert history.is_over and len(history.moments) == 1


def test_a_long_history_keeps_its_first_and_newest_moments_and_an_even_choice_between() -> None:
    heap, history = Heap(), History()
    for _ in range(5 * MOMENTS_MAX):
        observed(heap, history)
        assert len(history.moments) <= MOMENTS_MAX
    assert (history.first.seconds, history.last.seconds) == (5.0, 25.0 * MOMENTS_MAX)
    points = [moment.seconds for moment in history.spread(5)]
    wanted = [5 + share * (25.0 * MOMENTS_MAX - 5) for share in (0, 0.25, 0.5, 0.75, 1)]
    assert all(0 <= at - found <= 8 * 5 for at, found in zip(wanted, points, strict=True))


def test_the_mark_outlives_its_moment() -> None:
    heap, history = Heap(), History()
    kept = heap.root(heap.list(), "interpreter", "kept")
    for number in range(3 * MOMENTS_MAX):
        kept.append(heap.instance("shop.Order"))
        observed(heap, history)
        if number == 9:
            history.set_mark()
    assert classes(history)["shop.Order"].since_mark == 3 * MOMENTS_MAX - 10
