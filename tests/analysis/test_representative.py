"""The class that tells most."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from heap import Heap, Thing

from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.analysis.heap.representative import code_name, telling_class


def told(make: Callable[[Heap], Thing], kept: tuple[str, ...] = ()) -> str:
    """The telling class of ten things made by `make` in a list; classes in `kept` were there before."""
    heap = Heap()
    items = heap.list([make(heap) for _ in range(10)])
    heap.module("shop", ITEMS=items)
    graph = HeapGraph(heap.snapshot())
    holder = int(graph.index_of(np.array([items._address], dtype=np.uint64))[0])
    within = np.array([graph.type_name(i) not in kept for i in range(graph.count)])
    return telling_class(graph, np.unique(graph.referents(holder)).astype(np.int64), within)


def made_for_it(heap: Heap) -> Thing:
    name = f"shop.Model{len(heap._things)}"
    heap.hold_by_c(heap.class_(name))
    return heap.instance(name)


CONTEXT = "_contextvars.Context"
CASES = {
    "an instance": (lambda h: h.instance("shop.Order"), "shop.Order"),
    "an instance in a tuple": (lambda h: h.tuple([h.instance("shop.Order"), h.string()]), "shop.Order"),
    "an instance in a dict in a list": (lambda h: h.list([h.dict({1: h.instance("shop.Order")})]), "shop.Order"),
    "a bound method": (lambda h: h.instance("builtins.method", __self__=h.instance("shop.View")), "shop.View"),
    "a closure": (lambda h: h.function("shop.f", closure={"request": h.instance("shop.Request")}), "shop.Request"),
    "a partial": (lambda h: h.instance("functools.partial", args=h.tuple([h.instance("shop.Job")])), "shop.Job"),
    "a callback and its context": (
        lambda h: h.tuple([h.function("shop.f", closure={"r": h.instance("shop.Request")}), h.instance(CONTEXT)]),
        "shop.Request",
    ),
    "a context": (lambda h: h.instance(CONTEXT), CONTEXT),
    "strings": (lambda h: h.string(), "builtins.str"),
    "a class": (lambda h: h.class_("shop.Made"), "builtins.type"),
    "an instance of a class made for it": (made_for_it, "builtins.type"),
    "a dict of strings": (lambda h: h.dict({1: h.string()}), "builtins.dict"),
    "a wrapper with more below": (lambda h: h.instance("shop.Node", next=h.instance("shop.Payload")), "shop.Node"),
}


@pytest.mark.parametrize("name", CASES)
def test_it_tells(name: str) -> None:
    make, expected = CASES[name]
    assert told(make) == expected


def test_bytes_beside_small_strings_tell_by_their_weight() -> None:
    heap = Heap()
    items = heap.dict()
    heap.module("shop", PAGES=items)
    for _ in range(10):
        items.add(heap.bytes(10_000))
    graph = HeapGraph(heap.snapshot())
    holder = int(graph.index_of(np.array([items._address], dtype=np.uint64))[0])
    assert (
        telling_class(graph, graph.referents(holder).astype(np.int64), np.ones(graph.count, dtype=bool))
        == "builtins.bytes"
    )


def test_what_was_there_before_does_not_tell() -> None:
    assert told(lambda h: h.tuple([h.instance("shop.Config"), h.string()]), kept=("shop.Config",)) == "builtins.tuple"


def test_nothing_new_tells_nothing() -> None:
    graph = HeapGraph(Heap().snapshot())
    assert telling_class(graph, np.empty(0, dtype=np.int64), np.ones(graph.count, dtype=bool)) == ""


def test_leaked_functions_are_called_by_their_name() -> None:
    heap = Heap()
    items = heap.list([heap.function("shop.on_close", "shop.py", 9) for _ in range(3)] + [heap.function("shop.other")])
    heap.module("shop", ITEMS=items)
    graph = HeapGraph(heap.snapshot())
    holder = int(graph.index_of(np.array([items._address], dtype=np.uint64))[0])
    assert code_name(graph, graph.referents(holder).astype(np.int64)) == "shop.on_close"
    assert code_name(graph, np.empty(0, dtype=np.int64)) == ""
