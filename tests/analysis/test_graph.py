"""A deep snapshot as a graph: references, labels, roots, and what no root reaches."""

from __future__ import annotations

import numpy as np
import pytest
from heap import Heap, Thing

from leakhunt.agent import schema
from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.errors import SnapshotError
from leakhunt.snapshot import Snapshot

from .drawing import drawn


def index_of(graph: HeapGraph, thing: Thing) -> int:
    return int(graph.index_of(np.array([thing._address], dtype=np.uint64))[0])


def types_of(graph: HeapGraph, chosen: np.ndarray) -> set[str]:
    return {graph.type_name(int(i)) for i in np.flatnonzero(chosen)}


def changed(snapshot: Snapshot, **columns: np.ndarray) -> Snapshot:
    """The snapshot with some columns replaced (`reference_target` for `reference.target`)."""
    return Snapshot(snapshot.meta, {**snapshot._columns, **{n.replace("_", "."): c for n, c in columns.items()}})


def test_references_go_both_ways() -> None:
    # root -> a -> b -> d
    #         a -> c -> d
    picture = drawn("root -> a -> b -> d, a -> c -> d")
    graph, index = picture.graph, picture.index
    assert [picture.name[int(i)] for i in graph.referents(index["a"])] == ["b", "c"]
    assert {picture.name[int(graph.sources[e])] for e in graph.referrer_edges(index["d"])} == {"b", "c"}
    assert graph.in_degrees[index["d"]] == 2


@pytest.mark.parametrize("indexed", [False, True], ids=["addresses", "indexes"])
def test_references_by_address_and_by_index_are_one_graph(indexed: bool) -> None:
    heap = Heap()
    orders = heap.list([heap.instance("shop.Order", total=heap.string()) for _ in range(3)])
    store = heap.instance("shop.Store", orders=orders)
    heap.module("shop", STORE=store)
    graph = HeapGraph(heap.snapshot(indexed=indexed))
    edge = graph.edge_between(index_of(graph, store), index_of(graph, orders))
    assert graph.label(edge) == ".orders"
    assert [graph.type_name(int(i)) for i in graph.referents(index_of(graph, orders))] == ["shop.Order"] * 3


@pytest.mark.parametrize("indexed", [False, True], ids=["addresses", "indexes"])
def test_a_reference_to_what_was_gone_is_left_out_and_labels_stay_with_their_edges(indexed: bool) -> None:
    # module shop -> Store .gone -> ?
    #                      .orders -> list
    heap = Heap()
    gone, orders = heap.string(), heap.list()
    store = heap.instance("shop.Store", gone=gone, orders=orders)
    heap.module("shop", STORE=store)
    snapshot = heap.snapshot(indexed=indexed)
    name = "reference.index" if indexed else "reference.target"
    targets = snapshot.column(name).copy()
    missing = index_of(HeapGraph(snapshot), gone) if indexed else gone._address
    targets[targets == missing] = schema.GONE if indexed else 8
    graph = HeapGraph(changed(snapshot, **{name.replace(".", "_"): targets}))
    store_index = index_of(graph, store)
    assert graph.referents(store_index).tolist() == [index_of(graph, orders)]
    assert graph.label(graph.edge_between(store_index, index_of(graph, orders))) == ".orders"


def test_of_several_references_between_two_objects_the_labelled_one_is_told() -> None:
    heap = Heap()
    item, owner = heap.string(), heap.instance("shop.Owner")
    owner._others = [(item, "")]
    owner.item = item
    heap.module("shop", OWNER=owner)
    graph = HeapGraph(heap.snapshot())
    assert graph.label(graph.edge_between(index_of(graph, owner), index_of(graph, item))) == ".item"
    assert graph.edge_between(index_of(graph, item), index_of(graph, owner)) == -1


def test_what_a_module_and_a_frame_hold_alike_is_named_by_the_module() -> None:
    heap = Heap()
    orders = heap.list()
    heap.frame("shop.main", orders=orders)
    shop = heap.module("shop")
    shop._others = [(orders, ".ORDERS")]
    graph = HeapGraph(heap.snapshot())
    _, parent = graph.tree
    assert graph.roots[0].kind == "module"
    assert parent[index_of(graph, orders)] == index_of(graph, shop)


def test_parents_are_those_of_a_shortest_path() -> None:
    # root -> a -> b -> c -> d
    #         a ----------> d
    picture = drawn("root -> a -> b -> c -> d, a -> d")
    _, parent = picture.graph.tree
    assert parent[picture.index["d"]] == picture.index["a"]
    assert parent[picture.index["a"]] == picture.graph.count


def test_a_weak_reference_is_no_reference() -> None:
    heap = Heap()
    order = heap.hold_by_c(heap.instance("shop.Order"))
    heap.module("shop", WATCH=heap.weakref(order))
    graph = HeapGraph(heap.snapshot())
    assert graph.in_degrees[index_of(graph, order)] == 0
    assert types_of(graph, graph.held_outside) == {"shop.Order"}


def test_the_surplus_is_what_the_heap_does_not_account_for() -> None:
    # module shop -> ORDER <- C <- C
    heap = Heap()
    order, plain = heap.hold_by_c(heap.instance("shop.Order"), 2), heap.instance("shop.Plain")
    heap.module("shop", ORDER=order, PLAIN=plain)
    graph = HeapGraph(heap.snapshot())
    assert graph.surplus[index_of(graph, order)] == 2
    assert graph.surplus[index_of(graph, plain)] == 0


def test_of_what_has_no_known_refcount_nothing_is_surplus() -> None:
    heap = Heap()
    text = heap.hold_by_c(heap.string(), 5)
    frame = heap.frame("shop.main", text=text)
    immortal = heap.hold_by_c(heap.instance("shop.Immortal"), 1 << 30)  # PEP 683: its count means nothing
    graph = HeapGraph(heap.snapshot())
    assert graph.surplus[index_of(graph, immortal)] == 0
    assert graph.surplus[index_of(graph, text)] == 0
    assert graph.surplus[index_of(graph, frame)] == 0


def test_a_cycle_that_nothing_leads_to_is_garbage() -> None:
    # Parent <-> Child        module shop -> Kept <-> Kept
    heap = Heap()
    parent = heap.instance("shop.Parent")
    parent.child = heap.instance("shop.Child", parent=parent)
    kept = heap.instance("shop.Kept")
    kept.other = heap.instance("shop.Kept", other=kept)
    heap.module("shop", KEPT=kept)
    graph = HeapGraph(heap.snapshot())
    assert types_of(graph, graph.garbage) == {"shop.Parent", "shop.Child"}
    heap.collect()
    assert not HeapGraph(heap.snapshot()).garbage.any()


def test_what_garbage_leads_to_is_garbage_too_but_atoms_are_not_listed() -> None:
    # Node <-> Node -> Payload -> bytes
    heap = Heap()
    node = heap.instance("shop.Node", payload=heap.instance("shop.Payload", data=heap.bytes(1000)))
    node.other = heap.instance("shop.Node", other=node)
    graph = HeapGraph(heap.snapshot())
    assert types_of(graph, graph.garbage) == {"shop.Node", "shop.Payload"}


def test_a_cycle_that_c_code_holds_is_no_garbage() -> None:
    # C -> Parent <-> Child
    heap = Heap()
    parent = heap.hold_by_c(heap.instance("shop.Parent"))
    parent.child = heap.instance("shop.Child", parent=parent)
    graph = HeapGraph(heap.snapshot())
    assert not graph.garbage.any()
    assert types_of(graph, graph.held_outside) == {"shop.Parent"}


def test_paths_from_outside_begin_at_what_has_no_referrer() -> None:
    # C -> Task -> Frame <- C
    heap = Heap()
    frame = heap.hold_by_c(heap.instance("shop.Frame"))
    task = heap.hold_by_c(heap.instance("shop.Task", frame=frame))
    graph = HeapGraph(heap.snapshot())
    _, parent = graph.kept_tree
    assert parent[index_of(graph, frame)] == index_of(graph, task)
    assert parent[index_of(graph, task)] == graph.count


def test_lengths_sizes_names_and_bounds_are_read() -> None:
    heap = Heap()
    cache = heap.bound(heap.list([1, 2, 3]), 10)
    function = heap.function("shop.handler", "shop.py", 12)
    heap.module("shop", CACHE=cache, handler=function)
    graph = HeapGraph(heap.snapshot())
    assert graph.lengths[index_of(graph, cache)] == 3
    assert graph.lengths[index_of(graph, function)] == -1
    assert graph.bounds == {index_of(graph, cache): 10}
    assert graph.names[index_of(graph, function)] == ("shop.handler", "shop.py", 12)


def test_a_snapshot_of_no_object_is_a_graph_of_none() -> None:
    snapshot = Heap().snapshot()
    empty = {name: column[:0] for name, column in snapshot._columns.items() if not name.startswith("strings")}
    graph = HeapGraph(Snapshot(snapshot.meta, {**snapshot._columns, **empty}))
    assert graph.count == 0
    assert not graph.garbage.any()
    assert graph.roots == ()
    assert graph.index_of(np.array([1, 2], dtype=np.uint64)).tolist() == [-1, -1]


def test_a_census_has_no_graph_and_says_so() -> None:
    with pytest.raises(SnapshotError, match="it is a census"):
        HeapGraph(Heap().snapshot(deep=False))
