"""Dominators and retained sizes: what would go if one object went."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .graph import HeapGraph, concat_ranges

try:
    from leakhunt.analysis import _kernels
except ImportError:
    _kernels = None  # type: ignore[assignment]


PYTHON_MAX = 400_000  # objects of which it takes seconds without the C kernels


@dataclass(frozen=True)
class Dominators:
    """`idom[i]`: object index; N when only the roots as a group dominate i; -1 when i is unreachable.

    `retained_sizes[i]`: bytes freed with i; index N holds the total.
    """

    idom: NDArray[np.int32]
    retained_sizes: NDArray[np.int64]


def is_affordable(graph: HeapGraph) -> bool:
    """Whether `dominators` of this graph takes seconds at the most."""
    return _kernels is not None or graph.count <= PYTHON_MAX


def dominators(graph: HeapGraph, also_roots: NDArray[np.int64] | None = None) -> Dominators:
    """Immediate dominator of every object reachable from the GC roots (and from `also_roots`).

    Semi-NCA (Georgiadis 2005): O(E log N) time, O(N) memory. In C where the accelerator is built.
    """
    starts = np.array([root.index for root in graph.roots], dtype=np.int64)
    if also_roots is not None:
        starts = np.concatenate((starts, also_roots))
    starts = np.unique(starts)
    return _dominators(graph.offsets, graph.targets, starts, graph.sizes)


def dominators_below(graph: HeapGraph, objects: NDArray[np.int64], starts: NDArray[np.int64]) -> Dominators:
    """Dominators among `objects` (indexes, ascending) alone, of those numbered `starts` as roots, by number there."""
    counts = graph.offsets[objects + 1] - graph.offsets[objects]
    edges = concat_ranges(graph.offsets[objects], counts)
    number = np.full(graph.count, -1, dtype=np.int64)
    number[objects] = np.arange(len(objects))
    targets = number[graph.targets[edges]]
    inside = np.concatenate(([0], np.cumsum(targets >= 0)))
    offsets = inside[np.concatenate(([0], np.cumsum(counts)))]
    return _dominators(offsets, targets[targets >= 0], np.unique(starts), graph.sizes[objects])


def _dominators(
    offsets: NDArray[np.int64],
    targets: NDArray[np.int32] | NDArray[np.int64],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
) -> Dominators:
    """Dominators of a graph whose roots are `starts`; `offsets` and `targets` without the virtual root."""
    count = len(sizes)
    offsets = np.concatenate((offsets, [offsets[-1] + len(starts)])).astype(np.int64)
    targets = np.concatenate((targets, starts)).astype(np.int32)
    if _kernels is not None:
        return _by_kernels(offsets, targets, sizes)
    order, parent = depth_first(offsets, targets, count)
    idom = semi_nca(offsets, targets, count, order, parent)
    return Dominators(idom, retained(sizes, order, idom))


def kept_dominators(graph: HeapGraph) -> Dominators:
    """As `dominators`, with what is held from outside the heap as roots too: of all but garbage."""
    kept, parents = graph.kept_tree
    return dominators(graph, np.flatnonzero(kept & (parents == graph.count)))


def _by_kernels(offsets: NDArray[np.int64], targets: NDArray[np.int32], sizes: NDArray[np.int64]) -> Dominators:
    idom, order = np.empty(len(sizes) + 1, dtype=np.int32), np.empty(len(sizes) + 1, dtype=np.int32)
    count = _kernels.dominators(len(sizes), offsets, targets, idom, order)
    total = np.append(sizes, 0)
    _kernels.retained(count, order, idom, total)
    return Dominators(idom[: len(sizes)], total)


def depth_first(offsets: NDArray[np.int64], targets: NDArray[np.int32], root: int) -> tuple[list[int], list[int]]:
    """(preorder of the objects reached from `root`, parent by object, -1 where unreached)."""
    starts, following = offsets.tolist(), targets.tolist()
    parent = [-1] * (root + 1)
    parent[root] = root
    order, stack = [root], [(root, starts[root])]
    while stack:
        node, edge = stack.pop()
        end = starts[node + 1]
        while edge < end:
            child = following[edge]
            edge += 1
            if parent[child] == -1:
                parent[child] = node
                order.append(child)
                stack.append((node, edge))
                stack.append((child, starts[child]))
                break
    return order, parent


def semi_nca(
    offsets: NDArray[np.int64], targets: NDArray[np.int32], root: int, order: list[int], parent: list[int]
) -> NDArray[np.int32]:
    """Immediate dominators from a depth-first tree; see `Dominators.idom`."""
    size = len(order)
    number = np.full(root + 1, -1, dtype=np.int64)
    number[order] = np.arange(size)
    sources = number[np.repeat(np.arange(root + 1), np.diff(offsets))]
    ends = number[targets]
    kept = (sources >= 0) & (ends >= 0)
    by_end = np.argsort(ends[kept], kind="stable")
    predecessors = sources[kept][by_end].tolist()
    firsts = np.concatenate(([0], np.cumsum(np.bincount(ends[kept], minlength=size)))).tolist()
    up = number[np.array(parent)[order]].tolist()
    semi, ancestor, best = list(range(size)), [-1] * size, list(range(size))
    for node in range(size - 1, 0, -1):
        lowest = up[node]
        for source in predecessors[firsts[node] : firsts[node + 1]]:
            is_below = source > node
            lowest = min(lowest, semi[_lowest(source, semi, ancestor, best)] if is_below else source)
        semi[node] = lowest
        ancestor[node] = up[node]
    dominator = up
    for node in range(1, size):
        above = dominator[node]
        while above > semi[node]:
            above = dominator[above]
        dominator[node] = above
    idom = np.full(root + 1, -1, dtype=np.int32)
    found = np.array(order)
    idom[found] = found[np.array(dominator)]
    return idom[:root]


def _lowest(node: int, semi: list[int], ancestor: list[int], best: list[int]) -> int:
    """The node of lowest semidominator between `node` and the root of its tree, paths compressed as it goes."""
    path = []
    while ancestor[node] != -1 and ancestor[ancestor[node]] != -1:
        path.append(node)
        node = ancestor[node]
    for below in reversed(path):
        above = ancestor[below]
        if semi[best[above]] < semi[best[below]]:
            best[below] = best[above]
        ancestor[below] = ancestor[above]
    return best[path[0]] if path else best[node]


def retained(sizes: NDArray[np.int64], order: list[int], idom: NDArray[np.int32]) -> NDArray[np.int64]:
    """Shallow sizes summed up the dominator tree, int64[N+1]."""
    total = sizes.tolist() + [0]
    above = idom.tolist()
    for node in reversed(order[1:]):
        total[above[node]] += total[node]
    return np.array(total, dtype=np.int64)
