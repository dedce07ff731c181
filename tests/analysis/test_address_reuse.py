"""Objects at the addresses of freed ones, told from those that were there all the time."""

from __future__ import annotations

import random
from collections.abc import Callable
from heapq import heappush

import pytest
from heap import Heap

from leakhunt.analysis.heap.address_reuse import longest_increasing
from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.analysis.heap.lineage import Lineage


def newcomers(heap: Heap, change: Callable[[], None], kind: str = "shop.Order") -> int:
    """How many objects of the class are others after `change` than before."""
    before = heap.snapshot()
    change()
    found = Lineage([HeapGraph(before), HeapGraph(heap.snapshot())])
    return sum(bool(new) and found.last.type_name(i) == kind for i, new in enumerate(found.is_new(0)))


@pytest.fixture
def heap() -> Heap:
    return Heap(reuse=True)


@pytest.mark.parametrize("container", ["dict", "list", "deque"])
def test_what_took_the_place_of_the_oldest_is_new(heap: Heap, container: str) -> None:
    orders = getattr(heap, container)()
    heap.module("shop", ORDERS=orders)

    def arrive(number: int) -> None:
        for _ in range(number):
            (orders.add if container == "dict" else orders.append)(heap.instance("shop.Order"))

    def change() -> None:
        for _ in range(8):
            orders.pop_oldest()
        heap.snapshot()  # what is gone is free now
        arrive(8)

    arrive(20)
    assert newcomers(heap, change) == 8


def test_what_a_new_one_alone_keeps_alive_is_new_too(heap: Heap) -> None:
    orders = heap.dict()
    heap.module("shop", ORDERS=orders)

    def arrive(number: int) -> None:
        for _ in range(number):
            customer = heap.instance("shop.Customer", address=heap.instance("shop.Address"))
            orders.add(heap.instance("shop.Order", customer=customer))

    def change() -> None:
        for _ in range(8):
            orders.pop_oldest()
        heap.snapshot()
        arrive(8)

    arrive(20)
    assert newcomers(heap, change, "shop.Address") == 8


def test_what_was_put_back_is_the_same_where_another_container_has_it_in_its_place(heap: Heap) -> None:
    orders, by_age = heap.dict(), heap.list()
    heap.module("shop", ORDERS=orders, BY_AGE=by_age)
    for number in range(20):
        orders[number] = heap.instance("shop.Order")
        by_age.append(orders[number])

    def touch() -> None:
        for number in range(8):
            order = orders[number]
            del orders[number]
            orders[number] = order

    assert newcomers(heap, touch) == 0


def test_what_was_put_back_here_and_there_is_the_same(heap: Heap) -> None:
    orders, chance = heap.dict(), random.Random(3)
    heap.module("shop", ORDERS=orders)
    for number in range(40):
        orders[number] = heap.instance("shop.Order")

    def touch() -> None:
        for number in chance.sample(range(40), 15):
            order = orders[number]
            del orders[number]
            orders[number] = order

    assert newcomers(heap, touch) == 0


@pytest.mark.parametrize("seed", range(5))
def test_a_heap_queue_moves_its_items_and_they_stay_the_same(heap: Heap, seed: int) -> None:
    jobs = heap.list()
    heap.module("shop", JOBS=jobs)
    queue: list[tuple[int, int]] = []
    made = {}

    def push(number: int) -> None:
        for k in range(number):
            made[len(made)] = heap.instance("shop.Order")
            heappush(queue, ((k * 7919 + seed * 104729) % 1009, len(made) - 1))
        jobs.clear()
        jobs.extend(made[name] for _, name in queue)

    push(200)
    assert newcomers(heap, lambda: push(100)) == 100


def test_a_list_that_only_gains_has_its_old_items(heap: Heap) -> None:
    orders = heap.list(heap.instance("shop.Order") for _ in range(20))
    heap.module("shop", ORDERS=orders)
    assert newcomers(heap, lambda: orders.append(heap.instance("shop.Order"))) == 1


def test_constants_that_stand_elsewhere_are_the_same(heap: Heap) -> None:
    classes = [heap.instance("builtins.type") for _ in range(20)]
    plugins = heap.dict()
    heap.module("shop", PLUGINS=plugins)

    def load() -> None:
        plugins.clear()
        for number, found in enumerate(classes[8:] + classes[:8]):
            plugins[number] = found

    load()
    classes.reverse()
    assert newcomers(heap, load, "builtins.type") == 0


@pytest.mark.parametrize(
    ("values", "length"),
    [([], 0), ([5], 1), ([1, 2, 3], 3), ([3, 2, 1], 1), ([5, 6, 7, 0, 1], 3), ([2, 9, 3, 8, 4], 3)],
)
def test_of_a_sequence_a_longest_part_that_increases_is_picked(values: list[int], length: int) -> None:
    picked = [value for value, is_in in zip(values, longest_increasing(values), strict=True) if is_in]
    assert picked == sorted(picked)
    assert len(picked) == length
