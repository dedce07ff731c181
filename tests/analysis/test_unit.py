"""What one more entry of a growing place keeps alive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from heap import Heap, Thing

from leakhunt.analysis.heap.graph import Bools, HeapGraph, Ints
from leakhunt.analysis.heap.representative import candidates, telling_class
from leakhunt.analysis.heap.unit import Unit, table, unit
from leakhunt.findings import UnitRow

Fill = Callable[[Heap, Any], None]
ENTRIES = 10
OLD = ("shop.Config", "builtins.module", "builtins.frame")


def grown(fill: Fill) -> tuple[HeapGraph, Ints]:
    """A graph in which `fill(heap, items)` was called for each new entry of a list; modules and Config are old."""
    heap = Heap()
    items = heap.list()
    heap.module("shop", ITEMS=items)
    for _ in range(ENTRIES):
        fill(heap, items)
    graph = HeapGraph(heap.snapshot())
    holder = int(graph.index_of(np.array([items._address], dtype=np.uint64))[0])
    return graph, np.unique(graph.referents(holder)).astype(np.int64)


def is_new(graph: HeapGraph, children: Ints) -> Bools:
    """All but the roots, the namespaces of modules, the classes in OLD, and the one list that has the children."""
    old = np.array([graph.type_name(i) in OLD for i in range(graph.count)])
    for root in graph.roots:
        old[root.index] = True
        if root.kind == "module":
            old[graph.referents(root.index)] = True
    old[[i for i in range(graph.count) if set(children.tolist()) == set(graph.referents(i).tolist())]] = True
    return ~old


def unit_of(fill: Fill) -> tuple[HeapGraph, Unit]:
    graph, children = grown(fill)
    return graph, unit(graph, children, is_new(graph, children))


def test_the_table_says_how_many_of_each_class_an_entry_keeps() -> None:
    # items -> tuple -> Engine -> Pool -> dict, dict
    def fill(heap: Heap, items: Any) -> None:
        pool = heap.instance("shop.Pool", size=200, free=heap.dict(), used=heap.dict())
        items.append(heap.tuple([heap.instance("shop.Engine", size=100, pool=pool)]))

    graph, found = unit_of(fill)
    rows = table(graph, found, "shop.Engine")
    assert rows[:2] == (UnitRow("shop.Engine", 1.0, 100), UnitRow("shop.Pool", 1.0, 200))
    assert {(row.type, row.per_entry) for row in rows[2:]} == {("builtins.dict", 2.0), ("builtins.tuple", 1.0)}


def test_what_another_holder_keeps_too_is_no_part_of_the_unit_but_the_entry_is() -> None:
    # items -> Engine -> Pool, REGISTRY -> Engine, Pool
    def fill(heap: Heap, items: Any) -> None:
        pool = heap.instance("shop.Pool")
        engine = heap.instance("shop.Engine", pool=pool, state=heap.instance("shop.State"))
        items.append(engine)
        heap.root(heap.instance("shop.Config", pool=pool, engine=engine), "interpreter", "a table")

    graph, found = unit_of(fill)
    assert {row.type for row in table(graph, found)} == {"shop.Engine", "shop.State"}


def test_what_two_entries_share_counts_for_both_of_them() -> None:
    shared: list[Thing] = []

    def fill(heap: Heap, items: Any) -> None:
        if len(shared) % 2 == 0:
            shared.append(heap.instance("shop.Engine", size=500))
        else:
            shared.append(shared[-1])
        items.append(heap.tuple([shared[-1]]))

    graph, found = unit_of(fill)
    assert table(graph, found)[0] == UnitRow("shop.Engine", 0.5, 250)


def test_an_entry_of_a_mapping_is_a_key_and_a_value() -> None:
    heap = Heap()
    items = heap.dict()
    heap.module("shop", ITEMS=items)
    for _ in range(ENTRIES):
        items[heap.instance("shop.Key")] = heap.instance("shop.Value")
    graph = HeapGraph(heap.snapshot())
    children = np.array([i for i in range(graph.count) if graph.type_name(i) in ("shop.Key", "shop.Value")])
    fresh = np.zeros(graph.count, dtype=bool)
    fresh[children] = True
    rows = table(graph, unit(graph, children, fresh, entries=float(ENTRIES)))
    assert {(row.type, row.per_entry) for row in rows} == {("shop.Key", 1.0), ("shop.Value", 1.0)}


REPRESENTED: dict[str, tuple[Callable[[Heap], Thing], str]] = {
    "the application's record before what it holds": (
        lambda h: h.instance("shop.Entry", of=h.instance("lib.Engine", size=9000)),
        "shop.Entry",
    ),
    "what weighs most in a tuple": (
        lambda h: h.tuple([h.instance("shop.Small"), h.instance("shop.Loop", tasks=h.instance("shop.Task", size=900))]),
        "shop.Loop",
    ),
    "what a partial of a namespace of a generator carries": (
        lambda h: h.instance(
            "functools.partial",
            args=h.instance("types.SimpleNamespace", it=h.coroutine("f", it=h.instance("shop.Job"))),
        ),
        "shop.Job",
    ),
    "the object whose bound method a finalizer keeps": (
        lambda h: h.instance(
            "weakref.finalize._Info",
            func=h.instance("builtins.method", __self__=h.instance("shop.Index")),
            weakref=h.weakref(h.instance("shop.Config")),
        ),
        "shop.Index",
    ),
    "a whole tree by its top": (
        lambda h: h.instance(
            "bs.Tag", a=h.instance("bs.Tag"), b=h.instance("bs.Tag", c=h.instance("bs.Text", size=900))
        ),
        "bs.Tag",
    ),
    "lines without a head": (lambda h: h.list([h.instance("shop.Line") for _ in range(50)]), "shop.Line"),
    "a future of a task": (
        lambda h: h.instance("_asyncio.Future", cb=h.instance("_asyncio.Task", coro=h.coroutine("f"))),
        "_asyncio.Task",
    ),
    "a dead weak reference, where there is nothing else": (
        lambda h: h.instance("weakref.ReferenceType"),
        "weakref.ReferenceType",
    ),
}


@pytest.mark.parametrize("name", REPRESENTED)
def test_it_is_represented_by(name: str) -> None:
    make, expected = REPRESENTED[name]
    graph, children = grown(lambda heap, items: items.append(make(heap)))
    assert telling_class(graph, children, is_new(graph, children)) == expected


def test_a_class_of_which_seven_entries_share_an_object_stands_for_them() -> None:
    engines: list[Thing] = []

    def fill(heap: Heap, items: Any) -> None:
        engine = heap.instance("db.Engine", pool=heap.instance("db.Pool", size=5000))
        for _ in range(7):
            listener = heap.instance("db.Listeners", size=200)
            engines.append(listener)
            items.append(heap.tuple([engine, listener]))

    graph, children = grown(fill)
    assert telling_class(graph, children, is_new(graph, children)) == "db.Engine"


def test_shares_are_of_the_bytes_that_the_topmost_objects_dominate() -> None:
    graph, found = unit_of(
        lambda heap, items: items.append(heap.instance("shop.A", size=50, b=heap.instance("shop.B", size=50)))
    )
    shares = {one.name: (one.share, one.per_entry) for one in candidates(graph, found)}
    assert shares == {"shop.A": (1.0, 1.0), "shop.B": (0.5, 1.0)}
