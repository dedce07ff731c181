"""The treemap's boxes: who keeps how much, folded until a person can read it, and nothing lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from heap import Heap

from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.heap import dominators
from leakhunt.analysis.heap import retained as retained_module
from leakhunt.findings import Retained


def folded(heap: Heap) -> Retained:
    found = Evidence([heap.snapshot()]).retained
    assert found is not None
    return found


def boxes(box: Retained) -> Iterator[Retained]:
    yield box
    for inner in box.inside:
        yield from boxes(inner)


def named(box: Retained, name: str) -> Retained:
    return next(one for one in boxes(box) if one.name == name)


def shop(orders: int, size: int = 1000) -> Heap:
    # module shop -> STORE -> orders (list) -> orders of `size` bytes each
    heap = Heap()
    store = heap.instance("shop.Store", orders=heap.list())
    for _ in range(orders):
        store.orders.append(heap.instance("shop.Order", size=size))
    heap.module("shop", STORE=store)
    return heap


def test_a_container_has_a_box_by_its_name_in_the_source() -> None:
    box = named(folded(shop(3)), "shop.Store.orders")
    assert (box.type, box.count) == ("builtins.list", 1)
    assert box.size_bytes > 3000


def test_objects_of_one_class_under_one_holder_are_one_box_that_counts_them() -> None:
    (box,) = named(folded(shop(500)), "shop.Store.orders").inside
    assert box == Retained("", "shop.Order", 500_000, 500)


def test_a_large_object_stands_apart_from_its_small_brothers() -> None:
    heap = shop(500)
    heap.modules["shop"].STORE.orders.append(heap.instance("shop.Order", size=90_000))
    inside = named(folded(heap), "shop.Store.orders").inside
    assert [(box.size_bytes, box.count) for box in inside] == [(500_000, 500), (90_000, 1)]


def test_what_is_too_small_to_see_is_one_box_without_a_class() -> None:
    heap = shop(500)
    for n in range(40):
        heap.modules["shop"].STORE.orders.append(heap.instance(f"shop.Kind{n}", size=100))
    *_, last = named(folded(heap), "shop.Store.orders").inside
    assert last == Retained("", "", 4000, 40)


def test_what_is_less_than_a_thousandth_is_no_box() -> None:
    heap = shop(500)
    heap.modules["shop"].STORE.orders.append(heap.instance("shop.Kind", size=100))
    assert len(named(folded(heap), "shop.Store.orders").inside) == 1


def test_of_more_large_boxes_than_fit_the_smallest_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retained_module, "BOXES_MAX", 2)
    heap = shop(0)
    for size in (5000, 4000, 3000, 2000):
        heap.modules["shop"].STORE.orders.append(heap.instance("shop.Order", size=size))
    inside = named(folded(heap), "shop.Store.orders").inside
    assert [(box.type, box.size_bytes, box.count) for box in inside] == [
        ("shop.Order", 5000, 1),
        ("shop.Order", 4000, 1),
        ("", 5000, 2),
    ]


def test_what_two_holders_share_is_in_neither_box() -> None:
    # shop -> left -> shared, shop -> right -> shared
    heap = Heap()
    shared = heap.bytes(50_000)
    heap.module("shop", LEFT=heap.list([shared, heap.bytes(9_000)]), RIGHT=heap.list([shared, heap.bytes(9_000)]))
    found = folded(heap)
    assert max(box.size_bytes for box in boxes(found) if box.type == "builtins.list") < 10_000
    (box,) = (box for box in boxes(found) if box.shared)
    assert (box.name, box.size_bytes) == ("shop.LEFT", 50_000)


def test_the_namespace_of_an_object_has_no_box_between_it_and_its_attributes() -> None:
    heap = Heap()
    heap.module("shop", STORE=heap.instance("shop.Store", separate_dict=True, cache=heap.bytes(50_000)))
    store = named(folded(heap), "shop.STORE")
    assert [(box.name, box.type) for box in store.inside] == [("shop.Store.cache", "builtins.bytes")]


def test_a_name_is_not_said_again_by_what_is_inside() -> None:
    heap = Heap()
    heap.module("shop", CACHE=heap.list([heap.bytes(50_000)]))
    (inner,) = named(folded(heap), "shop.CACHE").inside
    assert (inner.name, inner.type) == ("", "builtins.bytes")


def test_garbage_has_no_box_and_what_only_c_holds_has_one() -> None:
    heap = Heap()
    left, right = heap.list(), heap.list()
    left.append(right), right.append(left), left.append(heap.bytes(70_000))
    heap.hold_by_c(heap.instance("codec.Frame", size=30_000))
    found = folded(heap)
    assert found.size_bytes < 40_000
    assert any(box.type == "codec.Frame" for box in boxes(found))


def test_the_boxes_in_a_box_never_hold_more_than_it_does() -> None:
    heap = shop(500)
    for n in range(50):
        heap.module(f"m{n}", TABLE=heap.dict({k: heap.bytes(37 * n) for k in range(n)}))
    found = folded(heap)
    for box in boxes(found):
        assert sum(inner.size_bytes for inner in box.inside) <= box.size_bytes
    assert sum(box.size_bytes for box in found.inside) > 0.999 * found.size_bytes


def test_a_census_has_no_boxes() -> None:
    snapshot = shop(3).snapshot()
    assert Evidence([snapshot.without_graph()]).retained is None


def test_a_large_graph_has_none_where_the_kernels_are_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dominators, "_kernels", None)
    assert folded(shop(3)).inside
    monkeypatch.setattr(dominators, "PYTHON_MAX", 2)
    assert Evidence([shop(3).snapshot()]).retained is None
