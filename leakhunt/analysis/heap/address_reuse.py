"""Objects that took the address of a freed one, seen by the order of the containers that they are in.

A dict keeps the order in which entries came, and lists and deques mostly do. Where the addresses that stood at the
front stand at the end one snapshot later, the oldest objects went and others came. Addresses that moved here and there
prove nothing: a program sorts a list, and puts what it has used back at the end of a dict.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from leakhunt.agent import schema

from .graph import (
    Bools,
    HeapGraph,
    Indexes,
    Ints,
    concat_ranges,
)

ITEMS_MIN = 8
EDGES_AT_ONCE = 4_000_000
FEW, NEARLY_ALL = 0.4, 0.9


def replaced(earlier: HeapGraph, later: HeapGraph, place: Ints) -> Bools:
    """Objects of `later` that are others than those at their addresses in `earlier`, bool[N].

    `place` int64[N] is the index in `earlier` of what has the same address and class, -1 for none. An item that another
    container has where it was is the same after all.
    """
    changed, confirmed = _changed(earlier, later, place)
    moved = np.zeros(later.count, dtype=bool)
    position = np.full(earlier.count, -1, dtype=np.int64)
    for index in changed.tolist():
        items, then = _common(_content(earlier, int(place[index])), _content(later, index), place, position)
        if len(items) < ITEMS_MIN:
            continue
        stayed = np.ones(len(then), dtype=bool) if (np.diff(then) > 0).all() else longest_increasing(then.tolist())
        if stayed.mean() >= 0.5:
            confirmed[items[stayed]] = True
        is_anew = _is_by_arrival(later, index) and stayed.mean() < FEW
        if is_anew or _is_turnover(stayed, then):
            moved[items[~stayed]] = True
    return moved & ~confirmed & ~_constants(later)


def _changed(earlier: HeapGraph, later: HeapGraph, place: Ints) -> tuple[Ints, Bools]:
    """(containers whose items are not those of before with more at one end, items of the others bool[N])."""
    keeps_order = later.are(schema.TYPE_MAPPING | schema.TYPE_SEQUENCE)
    found = np.flatnonzero(keeps_order & (place >= 0) & (later.lengths >= ITEMS_MIN))
    common = np.minimum(later.lengths[found], earlier.lengths[place[found]])
    found, common = found[common >= ITEMS_MIN], common[common >= ITEMS_MIN]
    confirmed = np.zeros(later.count, dtype=bool)
    changed = np.zeros(len(found), dtype=bool)
    begin = 0
    while begin < len(found):
        end = begin + max(1, int(np.searchsorted(np.cumsum(common[begin:]), EDGES_AT_ONCE)))
        rows, counts = found[begin:end], common[begin:end]
        starts = np.cumsum(counts) - counts
        is_same = np.zeros(len(rows), dtype=bool)
        for at_end in (False, True):
            now = later.targets[_edges(later, rows, counts, at_end)]
            then = earlier.targets[_edges(earlier, place[rows], counts, at_end)]
            agree = np.logical_and.reduceat(place[now] == then, starts)
            confirmed[now[np.repeat(agree, counts)]] = True
            is_same |= agree
        changed[begin:end] = ~is_same
        begin = end
    return found[changed], confirmed


def _is_by_arrival(graph: HeapGraph, index: int) -> bool:
    """Whether the program does not order the container by itself, as it may sort or shuffle a list."""
    return graph.is_a(index, schema.TYPE_MAPPING) or graph.type_name(index) == "collections.deque"


def _edges(graph: HeapGraph, rows: Ints, counts: Ints, at_end: bool) -> Ints:
    """The first `counts` of the references to items of each container, or the last: lists are walked from the end."""
    begins = graph.offsets[rows] + (graph.lengths[rows] - counts if at_end else 0)
    return np.minimum(concat_ranges(begins, counts), len(graph.targets) - 1)


def _content(graph: HeapGraph, index: int) -> Indexes:
    """Items of a container in their order; of a mapping its values, which come before the keys."""
    return graph.referents(index)[: graph.lengths[index]]


def _common(before: Indexes, now: Indexes, place: Ints, position: Ints) -> tuple[Ints, Ints]:
    """(items that are in both, in the order of now; where they stood before), those of several positions left out.

    `position` is room for the work: -1 everywhere, before and after.
    """
    _, first, times = np.unique(now, return_index=True, return_counts=True)
    items = now[np.sort(first[times == 1])].astype(np.int64)
    objects, first, times = np.unique(before, return_index=True, return_counts=True)
    position[objects[times == 1]] = first[times == 1]
    then = np.where(place[items] >= 0, position[place[items]], -1)
    position[objects] = -1
    return items[then >= 0], then[then >= 0]


def longest_increasing(values: list[int]) -> Bools:
    """Which of the different `values` make up a longest increasing subsequence (patience sorting, O(n log n)).

    >>> longest_increasing([3, 4, 5, 0, 1]).tolist()
    [True, True, True, False, False]
    """
    tops: list[int] = []
    top_at: list[int] = []
    below = [-1] * len(values)
    for number, value in enumerate(values):
        pile = bisect_left(tops, value)
        if pile == len(tops):
            tops.append(value)
            top_at.append(number)
        else:
            tops[pile], top_at[pile] = value, number
        below[number] = top_at[pile - 1] if pile else -1
    found = np.zeros(len(values), dtype=bool)
    number = top_at[-1] if top_at else -1
    while number >= 0:
        found[number] = True
        number = below[number]
    return found


def _is_turnover(stayed: Bools, then: Ints) -> bool:
    """Whether nearly all that moved stood before what did not, and stands behind it now, or the other way round."""
    kept, gone = np.flatnonzero(stayed), np.flatnonzero(~stayed)
    if not len(gone):
        return False
    from_front = (then[gone] < then[kept].min()) & (gone > kept.max())
    from_end = (then[gone] > then[kept].max()) & (gone < kept.min())
    return bool(max(from_front.mean(), from_end.mean()) >= NEARLY_ALL)


def _constants(graph: HeapGraph) -> Bools:
    """Objects of classes that are shared, or made once: where they stand in a container says nothing."""
    return graph.are(schema.TYPE_CONSTANT | schema.TYPE_IS_CLASS)


def with_what_they_keep(moved: Bools, idom: Indexes) -> Bools:
    """`moved`, and what is kept alive by one of them only; `idom` as in `Dominators`."""
    above = np.append(idom, len(idom))
    above[above < 0] = len(idom)
    found = np.append(moved, False)
    while (above != len(idom)).any():
        found |= found[above]
        above = above[above]
    return found[: len(idom)]
