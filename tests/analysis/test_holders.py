"""The places that grow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from heap import Heap, Thing

from leakhunt.analysis.growth import holders
from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.growth.holders import Place
from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.analysis.heap.lineage import Lineage
from leakhunt.snapshot import Snapshot

from .drawing import drawn
from .test_graph import index_of


def places(snapshots: list[Snapshot]) -> dict[str, Place]:
    return {place.owner: place for place in Evidence(snapshots).places}


def types(snapshots: list[Snapshot], found: np.ndarray) -> set[str]:
    graph = HeapGraph([s for s in snapshots if s.is_deep][-1])
    return {graph.type_name(int(i)) for i in found}


def survival(change: Callable[[Heap, Thing, int], object], kind: str = "list") -> float:
    """Survival of the items of a list of the module, after `change` at each of nine moments."""
    heap = Heap()
    items = heap.list() if kind == "list" else heap.dict()
    heap.module("shop", ITEMS=items)
    for _ in range(20):
        items.add(heap.instance("shop.Item"))
    lineage = Lineage([HeapGraph(s) for s in heap.live(lambda k: change(heap, items, k) and None, moments=9)])
    return holders.survival(lineage, [index_of(lineage.last, items)], 0)


def add(heap: Heap, items: Thing, k: int) -> None:
    for _ in range(5):
        items.add(heap.instance("shop.Item"))


def turn_over(heap: Heap, items: Thing, k: int) -> None:
    add(heap, items, k)
    for _ in range(5):
        items.pop(0)


def test_all_items_of_what_is_only_added_to_survive() -> None:
    assert survival(add) == 1.0
    assert survival(add, "dict") == 1.0


def test_of_a_population_with_turnover_the_oldest_are_gone() -> None:
    assert survival(turn_over) < 0.5


def test_nothing_survives_a_clearing() -> None:
    def clear(heap: Heap, items: Thing, k: int) -> None:
        if k == 6:
            items.clear()
        add(heap, items, k)

    assert survival(clear) == 0.0


def test_a_place_tells_what_is_new_in_it_and_all_that_this_leads_to() -> None:
    # module shop -> ORDERS -> Order .lines -> list -> Line .product -> Product (old)
    heap = Heap()
    orders, product = heap.list(), heap.instance("shop.Product")
    heap.module("shop", ORDERS=orders, PRODUCT=product)

    def serve(k: int) -> None:
        for _ in range(10):
            line = heap.instance("shop.Line", product=product)
            orders.append(heap.instance("shop.Order", lines=heap.list([line])))

    snapshots = heap.live(serve)
    place = places(snapshots)["shop.ORDERS"]
    assert types(snapshots, place.children) == {"shop.Order"}
    assert types(snapshots, place.reached) == {"shop.Order", "builtins.list", "shop.Line"}
    assert len(place.children) == place.trend.gain
    assert place.survival == 1.0
    assert place.bound is None


def test_a_large_container_is_followed_at_every_census() -> None:
    heap = Heap()
    orders = heap.list([heap.instance("shop.Order") for _ in range(40)])
    heap.module("shop", ORDERS=orders)

    def serve(k: int) -> None:
        for _ in range(10):
            orders.append(heap.instance("shop.Order"))

    place = places(heap.live(serve, moments=24, deep=lambda k: k % 6 == 5))["shop.ORDERS"]
    assert len(place.seconds) > 4
    assert place.extents[-1] - place.extents[0] == place.trend.gain


def test_what_is_only_seen_between_the_graphs_is_no_growth() -> None:
    """At each deep snapshot the batch is longer, but the censuses between see it cleared."""
    heap = Heap()
    batch = heap.list()
    heap.module("shop", BATCH=batch)

    def serve(k: int) -> None:
        if k % 4 == 0:
            batch.clear()
        for _ in range(20 + k if k % 4 != 3 else 100):
            batch.append(heap.instance("shop.Row"))

    assert places(heap.live(serve, moments=24, deep=lambda k: k % 4 == 3)) == {}


@pytest.mark.parametrize(("each_time", "found"), [(1, []), (2, ["shop.ORDERS"])])
def test_less_than_eight_more_items_are_no_growth(each_time: int, found: list[str]) -> None:
    heap = Heap()
    orders = heap.list()
    heap.module("shop", ORDERS=orders)

    def serve(k: int) -> None:
        orders.extend(heap.instance("shop.Order") for _ in range(each_time))

    assert list(places(heap.live(serve, moments=8))) == found


def test_inner_containers_of_what_turns_over_are_no_place() -> None:
    # module shop -> REQUESTS -> Request .log -> list, each for two moments only
    heap = Heap()
    requests = heap.deque()
    heap.module("shop", REQUESTS=requests)

    def serve(k: int) -> None:
        for request in requests._content:
            request.log.append(heap.string())
        requests.extend(heap.instance("shop.Request", log=heap.list()) for _ in range(10 + k))
        while len(requests) > 30 + 3 * k:
            requests.pop(0)

    assert places(heap.live(serve, moments=14)) == {}


def test_what_a_few_long_requests_among_many_short_ones_gather_is_no_place() -> None:
    # module shop -> REQUESTS -> Request .log -> list: three stay, thirty others come and go
    heap = Heap()
    long = [heap.instance("shop.Request", log=heap.list()) for _ in range(3)]
    requests = heap.list(long)
    heap.module("shop", REQUESTS=requests)

    def serve(k: int) -> None:
        for request in long:
            request.log.extend(heap.string() for _ in range(5))
        while len(requests) > 3:
            requests.pop()
        requests.extend(heap.instance("shop.Request", log=heap.list()) for _ in range(30))

    assert places(heap.live(serve)) == {}


def test_weak_references_to_the_living_are_named_with_those_or_not_at_all() -> None:
    # module shop -> ORDERS -> Order;   module shop -> WATCHED -> weakref ~> Order
    heap = Heap()
    orders, watched = heap.list(), heap.list()
    heap.module("shop", ORDERS=orders, WATCHED=watched)

    def serve(k: int) -> None:
        for _ in range(10):
            orders.append(heap.instance("shop.Order", data=heap.bytes(2000)))
            watched.append(heap.weakref(orders[-1]))

    assert list(places(heap.live(serve))) == ["shop.ORDERS"]


def test_a_table_of_the_living_by_number_is_no_place() -> None:
    # C -> dict -> int: weakref ~> Model, as a class keeps its subclasses;   module shop -> MODELS -> Model
    heap = Heap()
    models, subclasses = heap.list(), heap.hold_by_c(heap.dict())
    heap.module("shop", MODELS=models)

    def serve(k: int) -> None:
        for _ in range(10):
            models.append(heap.instance("shop.Model", data=heap.bytes(2000)))
            subclasses[heap.instance("builtins.int")] = heap.weakref(models[-1])
            subclasses[heap.instance("builtins.int")] = heap.weakref(heap.instance("shop.Gone"))

    assert list(places(heap.live(serve))) == ["shop.MODELS"]


def test_weak_references_to_the_dead_that_pile_up_are_a_place() -> None:
    heap = Heap()
    watched = heap.list()
    heap.module("shop", WATCHED=watched)

    def serve(k: int) -> None:
        for _ in range(10):
            watched.append(heap.weakref(heap.instance("shop.Order")))

    assert list(places(heap.live(serve))) == ["shop.WATCHED"]


def test_many_weak_references_to_one_object_are_a_place() -> None:
    # module shop -> WATCHED -> weakref ~> Shop, weakref ~> Shop, …   (with a callback, each is an object of its own)
    heap = Heap()
    watched, shop = heap.list(), heap.instance("shop.Shop")
    heap.module("shop", WATCHED=watched, SHOP=shop)

    def serve(k: int) -> None:
        watched.extend(heap.weakref(shop) for _ in range(10))

    assert list(places(heap.live(serve))) == ["shop.WATCHED"]


@pytest.mark.parametrize("keeps", [False, True])
def test_the_registry_of_finalizers_is_a_place_where_it_keeps_its_objects(keeps: bool) -> None:
    # weakref.finalize -> _registry -> finalize: _Info .weakref ~> Pool, .args -> tuple (-> Pool);   C -> list -> Pool
    heap = Heap()
    registry, pools = heap.dict(), heap.hold_by_c(heap.list())
    heap.module("weakref", finalize=heap.class_("weakref.finalize", "weakref.py", 1, _registry=registry))

    def serve(k: int) -> None:
        for _ in range(10):
            pool = heap.instance("shop.Pool")
            if not keeps:
                pools.append(pool)
            args = heap.list([pool] if keeps else [heap.instance("shop.Queue")])
            entry = heap.instance("weakref.finalize._Info", weakref=heap.weakref(pool), args=args)
            registry[heap.instance("weakref.finalize")] = entry

    assert ("weakref.finalize._registry" in places(heap.live(serve))) == keeps


@pytest.mark.parametrize("keeps", [False, True])
def test_a_mapping_of_weak_keys_is_a_place_where_its_values_keep_them(keeps: bool) -> None:
    # module shop -> STATE -> weakref ~> Order: State (-> Order);   module shop -> ORDERS -> Order
    heap = Heap()
    state, orders = heap.dict(), heap.list()
    heap.module("shop", STATE=state, ORDERS=orders)

    def serve(k: int) -> None:
        for _ in range(10):
            order = heap.instance("shop.Order", data=heap.bytes(2000))
            if keeps:
                state[heap.weakref(order)] = heap.instance("shop.State", order=order)
            else:
                orders.append(order)
                state[heap.weakref(order)] = heap.instance("shop.State")

    assert list(places(heap.live(serve))) == (["shop.STATE"] if keeps else ["shop.ORDERS"])


def test_what_two_places_reach_is_shared_between_them() -> None:
    # module shop -> A -> Common, Own…;   module shop -> B -> Common, Other…
    heap = Heap()
    a, b = heap.list(), heap.list()
    heap.module("shop", A=a, B=b)

    def serve(k: int) -> None:
        for _ in range(10):
            common = heap.instance("shop.Common", size=1000)
            a.extend([common, heap.instance("shop.Own", size=1000)])
            b.extend([common, *(heap.instance("shop.Other", size=1000) for _ in range(3))])

    found = places(heap.live(serve))
    assert found["shop.B"].share_bytes / found["shop.A"].share_bytes == pytest.approx(3.5 / 1.5)
    assert list(found) == ["shop.B", "shop.A"]


def test_reaching_goes_on_through_the_new_only() -> None:
    # a -> b -> c -> a, b -> old -> d
    picture = drawn("root -> a -> b -> c -> a, b -> old -> d")
    within = np.ones(picture.graph.count, dtype=bool)
    within[picture.index["old"]] = False
    found = holders.reach(picture.graph, np.array([picture.index["a"]]), within)
    assert {picture.name[int(i)] for i in found} == {"a", "b", "c"}
    assert len(holders.reach(picture.graph, np.array([picture.index["old"]]), within)) == 0


def test_reaching_a_hundred_thousand_new_objects_is_quick() -> None:
    heap = Heap()
    orders = heap.list([heap.list([heap.instance("shop.Line")]) for _ in range(20_000)])
    heap.module("shop", ORDERS=orders)
    graph = HeapGraph(heap.snapshot())
    found = holders.reach(graph, np.array([index_of(graph, orders)]), np.ones(graph.count, dtype=bool))
    assert len(found) == 40_001
