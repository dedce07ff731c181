"""The C kernels against brute force and against the plain Python that stands in for them."""

from __future__ import annotations

import random

import numpy as np
import pytest
from numpy.typing import NDArray

from leakhunt.analysis.heap.dominators import depth_first, semi_nca

kernels = pytest.importorskip("leakhunt.analysis._kernels", reason="the C kernels are not built")

Csr = tuple[NDArray[np.int64], NDArray[np.int32], int]


def csr(references: dict[int, list[int]], root: int) -> Csr:
    """(offsets, targets, root) of a graph of the nodes 0..root."""
    rows = [references.get(node, []) for node in range(root + 1)]
    offsets = np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64)
    return offsets, np.array([t for row in rows for t in row], dtype=np.int32), root


def random_csr(seed: int, nodes: int, density: float) -> Csr:
    source = random.Random(seed)
    references = {
        node: [source.randrange(nodes + 1) for _ in range(int(source.expovariate(1 / density)))]
        for node in range(nodes + 1)
    }
    references[nodes].append(source.randrange(nodes) if nodes else 0)
    return csr(references, nodes)


def reached(graph: Csr, without: int = -1) -> set[int]:
    offsets, targets, root = graph
    seen, pending = {root}, [root]
    while pending:
        node = pending.pop()
        for target in targets[offsets[node] : offsets[node + 1]].tolist():
            if target not in seen and target != without:
                seen.add(target)
                pending.append(target)
    return seen


def dominators(graph: Csr) -> tuple[list[int], NDArray[np.int32], int]:
    offsets, targets, root = graph
    idom, order = np.zeros(root + 1, np.int32), np.zeros(root + 1, np.int32)
    count = kernels.dominators(root, offsets, targets, idom, order)
    return idom.tolist(), order, count


def test_a_diamond_is_dominated_by_its_top() -> None:
    # 4 -> 0 -> 1 -> 3, 0 -> 2 -> 3
    idom, _, count = dominators(csr({4: [0], 0: [1, 2], 1: [3], 2: [3]}, 4))
    assert idom == [4, 0, 0, 0, 4]
    assert count == 5


def test_what_is_unreachable_has_no_dominator() -> None:
    # 3 -> 0, 1 -> 2 -> 1
    idom, _, count = dominators(csr({3: [0], 1: [2, 0], 2: [1]}, 3))
    assert idom == [3, -1, -1, 3]
    assert count == 2


def test_the_root_alone() -> None:
    assert dominators(csr({}, 0))[0] == [0]


@pytest.mark.parametrize("seed", range(60))
def test_dominators_are_those_whose_removal_cuts_off(seed: int) -> None:
    graph = random_csr(seed, 1 + seed, 0.7 + seed % 5)
    idom, _, _ = dominators(graph)
    root, alive = graph[2], reached(graph)
    above = {v: {u for u in alive if u != v and v not in reached(graph, without=u)} for v in alive - {root}}
    for v in range(root):
        if v not in alive:
            assert idom[v] == -1
        else:  # the nearest of its dominators is the one that all the others dominate
            expected = max(above[v] - {root}, key=lambda u: len(above[u]), default=root)
            assert idom[v] == expected


@pytest.mark.parametrize("seed", range(10))
def test_the_plain_python_gives_the_same(seed: int) -> None:
    offsets, targets, root = random_csr(seed, 3000, 1.5)
    order, parent = depth_first(offsets, targets, root)
    expected = semi_nca(offsets, targets, root, order, parent)
    assert dominators((offsets, targets, root))[0][:root] == expected.tolist()


@pytest.mark.parametrize("seed", range(10))
def test_retained_sizes_are_what_goes_with_an_object(seed: int) -> None:
    graph = random_csr(seed, 60, 1.6)
    root, alive = graph[2], reached(graph)
    idom, order, count = dominators(graph)
    shallow = np.arange(1, root + 2, dtype=np.int64)
    retained = shallow.copy()
    kernels.retained(count, order, np.array(idom, dtype=np.int32), retained)
    for v in alive - {root}:
        gone = alive - reached(graph, without=v)
        assert retained[v] == shallow[list(gone)].sum()
    assert retained[root] == shallow[list(alive)].sum()


def test_a_chain_of_a_million_needs_no_stack() -> None:
    count = 1_000_000
    offsets = np.arange(count + 2, dtype=np.int64)
    targets = np.append(np.arange(1, count, dtype=np.int32), [count, 0]).astype(np.int32)
    idom, _, reached_count = dominators((offsets, targets, count))
    assert reached_count == count + 1
    assert idom[count - 1] == count - 2


@pytest.mark.parametrize("seed", range(10))
def test_incoming_edges_are_sorted_by_target(seed: int) -> None:
    _, targets, root = random_csr(seed, 500, 2.0)
    offsets, edges = np.zeros(root + 2, np.int64), np.zeros(len(targets), np.int32)
    kernels.incoming(root + 1, targets, offsets, edges)
    assert edges.tolist() == np.argsort(targets, kind="stable").tolist()
    assert offsets.tolist() == np.concatenate(([0], np.cumsum(np.bincount(targets, minlength=root + 1)))).tolist()


@pytest.mark.parametrize("seed", range(30))
def test_a_breadth_first_walk_finds_shortest_paths_in_the_order_of_the_starts(seed: int) -> None:
    offsets, targets, root = random_csr(seed, seed * 7, 1.5)
    source = random.Random(seed)
    starts = [source.randrange(root + 1) for _ in range(source.randrange(5))]
    parent = np.zeros(root + 1, np.int32)
    count = kernels.breadth_first(root + 1, offsets, targets, np.array(starts, np.int32), parent)
    expected, queue = {}, []
    for node in starts:
        if node not in expected:
            expected[node] = root + 1
            queue.append(node)
    for node in queue:
        for target in targets[offsets[node] : offsets[node + 1]].tolist():
            if target not in expected:
                expected[target] = node
                queue.append(target)
    assert parent.tolist() == [expected.get(node, -1) for node in range(root + 1)]
    assert count == len(expected)


def test_a_start_outside_of_the_graph_is_refused() -> None:
    offsets, targets, parent = np.array([0, 0], np.int64), np.empty(0, np.int32), np.zeros(1, np.int32)
    for start in (-1, 1):
        with pytest.raises(ValueError, match="leaves the graph"):
            kernels.breadth_first(1, offsets, targets, np.array([start], np.int32), parent)


@pytest.mark.parametrize(
    ("offsets", "targets"), [([0, 1, 1], [7]), ([0, 1, 1], [-1]), ([0, 1, 2], [0]), ([0, 2, 1], [0]), ([1, 1, 1], [0])]
)
def test_a_graph_that_is_none_is_refused(offsets: list[int], targets: list[int]) -> None:
    room = np.zeros(2, np.int32)
    with pytest.raises(ValueError, match="leaves the graph"):
        kernels.dominators(1, np.array(offsets, np.int64), np.array(targets, np.int32), room, room.copy())


def test_arrays_of_another_shape_are_refused() -> None:
    offsets, targets, room = np.array([0, 0, 0], np.int64), np.empty(0, np.int32), np.zeros(2, np.int32)
    for wrong in (offsets.astype(np.int32), offsets[:2]):
        with pytest.raises(ValueError, match="offsets"):
            kernels.dominators(1, wrong, targets, room, room.copy())
    frozen = room.copy()
    frozen.flags.writeable = False
    with pytest.raises((BufferError, ValueError)):
        kernels.dominators(1, offsets, targets, frozen, room)
