"""What Chrome's DevTools and memlab find in an exported heap."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from heap import Heap

from leakhunt.analysis.heap.dominators import kept_dominators
from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.export import heapsnapshot
from leakhunt.pipeline import newest_graph

from .reading import Node, nodes_of, retained

# Cycles, weak references, closures, caches, garbage, threads, arrays: what a real heap has.
PROGRAM = """
import asyncio, collections, email, functools, gc, json, logging, threading, time, weakref
class Node:
    def __init__(self, left, right):
        self.left, self.right, self.tags = left, right, {"weight": 1.5, "list": [object()]}
def tree(depth):
    return None if depth == 0 else Node(tree(depth - 1), tree(depth - 1))
TREE = tree(12)
LOCAL = threading.local(); LOCAL.names = [1, 2, 3]
WATCHED = [weakref.ref(TREE.left), weakref.WeakValueDictionary({1: TREE.right})]
@functools.lru_cache(100)
def cached(number):
    return [number]
for number in range(50):
    cached(number)
def suspended():
    kept = [1.25] * 10
    yield kept
GENERATOR = suspended(); next(GENERATOR)
def closure():
    big = [str(number) for number in range(1000)]
    return lambda: big
CLOSURE = closure()
gc.disable()
for number in range(100):
    dead = Node(None, TREE); dead.left = dead
time.sleep(1.5)
"""


def graph_of(heap: Heap) -> HeapGraph:
    return HeapGraph(heap.snapshot())


def named(nodes: list[Node], name: str) -> Node:
    found = [node for node in nodes if node.name == name]
    assert len(found) == 1, [node.name for node in nodes]
    return found[0]


def led_to(nodes: list[Node], node: Node) -> dict[str | int, tuple[str, str]]:
    """(kind of the edge, name of the node) by the edge's name."""
    return {name: (kind, nodes[target].name) for kind, name, target in node.edges}


def test_roots_hang_in_groups_below_one_node() -> None:
    heap = Heap()
    heap.module("shop", STORE=heap.instance("shop.Store"))
    heap.frame("shop.main", orders=heap.list())
    nodes = nodes_of(graph_of(heap))
    assert (nodes[0].id, nodes[0].kind) == (1, "synthetic")
    groups = [nodes[target] for _, _, target in nodes[0].edges]
    assert {"(modules)", "(running functions)", "(interpreter)"} <= {group.name for group in groups}
    assert led_to(nodes, named(nodes, "(modules)")) == {"shop": ("property", "builtins.module")}
    assert led_to(nodes, named(nodes, "(running functions)")) == {
        "shop.main (MainThread)": ("property", "builtins.frame")
    }


def test_attributes_are_properties_items_elements_and_locals_variables() -> None:
    heap = Heap()
    order = heap.instance("shop.Order", lines=heap.list([heap.instance("shop.Line"), heap.instance("shop.Tax")]))
    heap.frame("shop.main", order=order)
    nodes = nodes_of(graph_of(heap))
    assert led_to(nodes, named(nodes, "builtins.frame"))["order"] == ("context", "shop.Order")
    assert led_to(nodes, named(nodes, "shop.Order"))["lines"] == ("property", "builtins.list")
    items = led_to(nodes, nodes[named(nodes, "shop.Order").edges[0][2]])
    assert items == {0: ("element", "shop.Line"), 1: ("element", "shop.Tax")}


def test_keys_of_a_mapping_are_told_from_its_values() -> None:
    heap = Heap()
    heap.module("shop", STOCK=heap.dict({heap.instance("shop.Key"): heap.instance("shop.Article")}))
    nodes = nodes_of(graph_of(heap))
    stock = next(node for node in nodes if any(nodes[t].name == "shop.Article" for _, _, t in node.edges))
    assert led_to(nodes, stock) == {0: ("element", "shop.Article"), "key": ("internal", "shop.Key")}


def test_attributes_of_the_thousandth_object_are_named_by_analogy() -> None:
    heap = Heap()
    first = heap.instance("shop.Order", total=heap.instance("shop.Sum"))
    second = heap.instance("shop.Order")
    heap.refer(second, heap.instance("shop.Sum"))  # the agent had named enough of them
    heap.module("shop", ORDERS=heap.list([first, second]))
    nodes = nodes_of(graph_of(heap))
    orders = [node for node in nodes if node.name == "shop.Order"]
    assert [led_to(nodes, order) for order in orders] == 2 * [{"total": ("property", "shop.Sum")}]


def test_objects_with_attributes_in_another_order_stay_without_names() -> None:
    heap = Heap()
    sum_, tax = heap.instance("shop.Sum"), heap.instance("shop.Tax")
    third = heap.instance("shop.Order")
    heap.refer(third, sum_, tax)
    others = [heap.instance("shop.Order", sum=sum_, tax=tax), heap.instance("shop.Order", tax=tax, sum=sum_)]
    heap.module("shop", ORDERS=heap.list([*others, third]))
    nodes = nodes_of(graph_of(heap))
    orders = [node for node in nodes if node.name == "shop.Order"]
    assert sorted(list(map(str, led_to(nodes, order))) for order in orders) == [
        ["0", "1"],
        ["sum", "tax"],
        ["tax", "sum"],
    ]


def test_a_weak_reference_is_a_weak_edge() -> None:
    heap = Heap()
    session = heap.instance("shop.Session")
    heap.module("shop", SESSION=session, WATCH=heap.weakref(session))
    nodes = nodes_of(graph_of(heap))
    assert led_to(nodes, named(nodes, "weakref.ReferenceType"))["referent"] == ("weak", "shop.Session")


def test_garbage_has_a_group_and_keeps_nothing_that_lives() -> None:
    # shop -> store <- a <-> b, which nothing leads to
    heap = Heap()
    store = heap.instance("shop.Store")
    heap.module("shop", STORE=store)
    a = heap.instance("shop.A", store=store)
    a.b = heap.instance("shop.B", a=a)
    nodes = nodes_of(graph_of(heap))
    assert led_to(nodes, named(nodes, "(waiting for the collector)")) == {"shop.A": ("property", "shop.A")}
    assert led_to(nodes, named(nodes, "shop.A")) == {"store": ("weak", "shop.Store"), "b": ("property", "shop.B")}


def test_what_c_code_holds_has_a_group() -> None:
    heap = Heap()
    heap.module("shop")
    heap.hold_by_c(heap.instance("shop.Handle"))
    nodes = nodes_of(graph_of(heap))
    assert led_to(nodes, named(nodes, "(held from outside the heap)")) == {"shop.Handle": ("property", "shop.Handle")}


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x100000000, 0xFFFFFFFF * 2 + 5])
def test_an_object_too_large_for_32_bits_is_in_parts(size: int) -> None:
    heap = Heap()
    heap.module("shop", MATRIX=heap.bytes(size))
    nodes = nodes_of(graph_of(heap))
    matrix = named(nodes, "builtins.bytes")
    parts = [nodes[target] for _, _, target in matrix.edges]
    assert matrix.size + sum(part.size for part in parts) == size
    assert len(parts) == (size - 1) // 0xFFFFFFFF


def test_an_object_has_the_same_id_in_the_next_snapshot_and_no_other_has_it() -> None:
    heap = Heap()
    orders = heap.list([heap.instance("shop.Order") for _ in range(3000)])
    heap.module("shop", ORDERS=orders)
    before = graph_of(heap)
    orders.append(heap.instance("shop.Order"))
    after = graph_of(heap)
    old, new = heapsnapshot.node_ids(before), heapsnapshot.node_ids(after)
    assert len(np.unique(new)) == after.count
    assert np.all(new % 2 == 1)
    same = after.index_of(before.addresses)
    assert np.array_equal(new[same], old)


def test_names_of_any_script_and_half_characters_are_read_back() -> None:
    heap = Heap()
    heap.module("лавка", X=heap.instance('shop."Ω\\\n'))
    assert any(node.name == 'shop."Ω\\\n' for node in nodes_of(graph_of(heap)))


def test_memlab_finds_our_retained_sizes_and_dominators_in_a_real_heap(tmp_path: Path) -> None:
    """An independent check of `dominators`: Lengauer-Tarjan in JavaScript against Semi-NCA in C."""
    run = tmp_path / "run"
    (tmp_path / "app.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "leakhunt", "run", "--deep", "every", "--interval", "0.5", "--out", str(run)]
    subprocess.run([*command, "--", sys.executable, str(tmp_path / "app.py")], check=True, capture_output=True)
    graph = HeapGraph(newest_graph(run))
    with open(tmp_path / "heap.heapsnapshot", "wb") as file:
        heapsnapshot.write(graph, file)
    theirs = retained(tmp_path / "heap.heapsnapshot")
    ids, kept = heapsnapshot.node_ids(graph).tolist(), graph.kept_tree[0]
    assert (~kept).sum() >= 100 or not gc.isenabled(), "the program leaves garbage"
    ours = kept_dominators(graph)
    differ = [i for i, id_ in enumerate(ids) if theirs[id_][0] != graph.sizes[i]]
    assert not differ, "shallow sizes"
    kept_indexes = np.flatnonzero(kept).tolist()
    differ = [i for i in kept_indexes if theirs[ids[i]][1] != ours.retained_sizes[i]]
    assert not differ, [(graph.type_name(i), theirs[ids[i]], ours.retained_sizes[i]) for i in differ[:5]]
    inner = [i for i in kept_indexes if ours.idom[i] < graph.count]
    assert all(theirs[ids[i]][2] == ids[ours.idom[i]] for i in inner)
