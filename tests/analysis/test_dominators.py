"""What would go if one object went, against taking it away and looking."""

from __future__ import annotations

import random

import numpy as np
import pytest
from heap import Heap

from leakhunt.analysis.heap.dominators import dominators
from leakhunt.analysis.heap.graph import HeapGraph

from .drawing import ROOT, Drawn, drawn


def immediate(picture: Drawn) -> dict[str, str]:
    """The immediate dominator of each drawn object by name; "" for an unreachable one."""
    idom, count = dominators(picture.graph).idom, picture.graph.count
    told = {count: ROOT, -1: "", **picture.name}
    return {name: told[int(idom[index])] for name, index in picture.index.items()}


def retained(picture: Drawn) -> dict[str, int]:
    sizes = dominators(picture.graph).retained_sizes
    return {name: int(sizes[index]) for name, index in picture.index.items()}


def test_a_chain_is_dominated_link_by_link() -> None:
    # root -> a -> b -> c
    picture = drawn("root -> a -> b -> c")
    assert immediate(picture) == {"a": ROOT, "b": "a", "c": "b"}
    assert retained(picture)["a"] == sum(picture.size.values())
    assert retained(picture)["c"] == picture.size["c"]


def test_a_diamond_is_dominated_by_its_top() -> None:
    # root -> a -> b -> d
    #         a -> c -> d
    picture = drawn("root -> a -> b -> d, a -> c -> d")
    assert immediate(picture) == {"a": ROOT, "b": "a", "c": "a", "d": "a"}
    assert retained(picture)["b"] == picture.size["b"]
    assert retained(picture)["a"] == sum(picture.size.values())


def test_what_two_roots_reach_is_dominated_by_neither() -> None:
    # root -> a -> shared
    # root -> b -> shared
    assert immediate(drawn("root -> a -> shared, root -> b -> shared"))["shared"] == ROOT


def test_a_cycle_is_dominated_by_its_entry() -> None:
    # root -> a -> b -> c -> a
    assert immediate(drawn("root -> a -> b -> c -> a")) == {"a": ROOT, "b": "a", "c": "b"}


def test_a_cycle_with_two_entries_is_dominated_from_above() -> None:
    # root -> a -> b <-> c, root -> a -> c
    assert immediate(drawn("root -> a -> b -> c -> b, a -> c")) == {"a": ROOT, "b": "a", "c": "a"}


def test_what_no_root_reaches_has_no_dominator_and_weighs_itself() -> None:
    # root -> a        lost -> found -> lost
    picture = drawn("root -> a, lost -> found -> lost")
    assert immediate(picture) == {"a": ROOT, "lost": "", "found": ""}
    assert retained(picture)["lost"] == picture.size["lost"]


def test_an_unreachable_referrer_does_not_share_in_dominating() -> None:
    # root -> a -> b <- lost
    assert immediate(drawn("root -> a -> b, lost -> b"))["b"] == "a"


def test_a_reference_to_itself_changes_nothing() -> None:
    assert immediate(drawn("root -> a -> a -> b")) == {"a": ROOT, "b": "a"}


def test_several_references_to_one_object_count_as_one_way() -> None:
    assert immediate(drawn("root -> a -> b, a -> b, a -> b")) == {"a": ROOT, "b": "a"}


def test_more_roots_can_be_given() -> None:
    # root -> a -> b <- c <- (outside)
    picture = drawn("root -> a -> b, c -> b")
    idom = dominators(picture.graph, np.array([picture.index["c"]])).idom
    assert idom[picture.index["b"]] == picture.graph.count


def test_the_virtual_root_retains_all_that_is_reachable() -> None:
    picture = drawn("root -> a -> b, lost -> found")
    found = dominators(picture.graph)
    reached, _ = picture.graph.tree
    assert found.retained_sizes[picture.graph.count] == picture.graph.sizes[reached].sum()


def test_a_chain_of_a_hundred_thousand_needs_no_recursion() -> None:
    # root -> n0 -> n1 -> … -> n99999
    heap = Heap()
    head = below = heap.instance("shop.Node")
    for _ in range(99_999):
        above, below = below, heap.instance("shop.Node")
        above.next = below
    heap.module("shop", HEAD=head)
    graph = HeapGraph(heap.snapshot())
    found = dominators(graph)
    nodes = np.flatnonzero(np.array([graph.type_name(i) == "shop.Node" for i in range(graph.count)]))
    assert (found.idom[nodes[1:]] == nodes[:-1]).all()
    assert found.retained_sizes[nodes[0]] == graph.sizes[nodes].sum()


def reachable(edges: list[tuple[str, str]], without: str = "") -> set[str]:
    seen: set[str] = set()
    pending = [ROOT]
    while pending:
        here = pending.pop()
        for source, target in edges:
            if source == here and target != without and target not in seen:
                seen.add(target)
                pending.append(target)
    return seen


@pytest.mark.parametrize("seed", range(120))
def test_of_any_graph_what_an_object_retains_is_what_goes_without_it(seed: int) -> None:
    dice = random.Random(seed)
    nodes = [f"n{i}" for i in range(dice.randint(2, 14))]
    edges = [(dice.choice([ROOT, *nodes]), dice.choice(nodes)) for _ in range(dice.randint(len(nodes), 3 * len(nodes)))]
    picture = Drawn([(ROOT, nodes[0]), *edges], lone=nodes)
    alive = reachable(picture.edges)
    goes_with = {name: alive - reachable(picture.edges, without=name) for name in alive}
    dominating = {name: {other for other in alive if name in goes_with[other]} - {name} for name in alive}
    expected = {
        name: max(above, key=lambda other: len(dominating[other]), default=ROOT) for name, above in dominating.items()
    }
    assert immediate(picture) == {name: expected.get(name, "") for name in nodes}
    weights = {name: sum(picture.size[n] for n in goes_with.get(name, {name})) for name in nodes}
    assert retained(picture) == weights
