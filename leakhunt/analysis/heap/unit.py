"""The unit of a leak: what one more entry of a growing place keeps alive, and nothing else does.

Entries are the objects that a place refers to now and did not at the beginning. Theirs is what the old part of the
heap does not lead to without passing through one of them; the dominators of that part say what is behind what. So an
object that a second registry holds, too, is nobody's alone, and an entry is its own whoever else refers to it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from leakhunt.findings import UnitRow

from .dominators import dominators_below
from .facts import SAYS_NOTHING
from .graph import Bools, HeapGraph, Indexes, Ints
from .reachability import reach

ENTRIES_MAX = 2000  # so many are looked at, spread evenly over those there are
ROWS_MAX = 12
SHOWN_MIN = 0.05  # per entry; what is rarer is shared by them all, or was met by chance


@dataclass(frozen=True)
class Unit:
    """What a sample of entries keeps alive, by object.

    `objects` are indexes into the graph; `idom[i]` is the number in `objects` of the one that dominates `objects[i]`,
    `len(objects)` for none. `retained_bytes[i]` goes when `objects[i]` goes. `entries` is how many entries the sample
    stands for.
    """

    objects: Ints
    idom: Indexes
    retained_bytes: Ints
    entries: float


def unit(graph: HeapGraph, children: Ints, is_new: Bools, entries: float = 0.0) -> Unit:
    """What `children` keep alive alone. `entries` is how many entries these are: a mapping's have a key and a value.

    Where it is 0, each child is one.
    """
    sample = _sample(children)
    theirs = _theirs(graph, children, is_new)
    share = len(sample) / max(1, len(children))
    return _unit(graph, sample, theirs, (entries or len(children)) * share)


def reached_unit(graph: HeapGraph, children: Ints, is_new: Bools) -> Unit:
    """As `unit`, of all new objects that the entries lead to, whoever else holds them."""
    sample = _sample(children)
    return _unit(graph, sample, is_new, float(len(sample)))


def _sample(children: Ints) -> Ints:
    return np.asarray(children[np.linspace(0, len(children) - 1, min(ENTRIES_MAX, len(children))).astype(int)])


def _theirs(graph: HeapGraph, children: Ints, is_new: Bools) -> Bools:
    """New objects that what is old does not lead to but through `children`; these are among them."""
    old = np.array([root.index for root in graph.roots if not is_new[root.index]], dtype=np.int64)
    held = np.flatnonzero(graph.held_outside & ~is_new)
    closed = np.zeros(graph.count, dtype=bool)
    closed[children] = True
    return is_new & ~graph.reached_without(np.concatenate((old, held)), closed)


def _unit(graph: HeapGraph, sample: Ints, within: Bools, entries: float) -> Unit:
    objects = reach(graph, sample, within)
    starts = np.searchsorted(objects, sample[within[sample]])
    found = dominators_below(graph, objects, starts)
    return Unit(objects, found.idom, found.retained_sizes[: len(objects)], max(entries, 1.0))


def table(graph: HeapGraph, of: Unit, first: str = "") -> tuple[UnitRow, ...]:
    """The classes of a unit: the class `first`, then those that say something, by what they take, then the rest."""
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    rows, inverse = np.unique(graph.types[of.objects], return_inverse=True)
    weights = np.bincount(inverse, weights=graph.sizes[of.objects], minlength=len(rows))
    for row, number, weight in zip(rows.tolist(), np.bincount(inverse).tolist(), weights.tolist(), strict=True):
        counts[graph.snapshot.type_names[row]] += number
        sizes[graph.snapshot.type_names[row]] += int(weight)
    carriers = {name for name in counts if graph.facts.is_named(name, SAYS_NOTHING)}
    names = sorted(counts, key=lambda name: (name != first, name in carriers, -sizes[name]))
    kept = [name for name in names if name == first or counts[name] >= SHOWN_MIN * of.entries]
    return tuple(
        UnitRow(name, round(counts[name] / of.entries, 2), round(sizes[name] / of.entries)) for name in kept[:ROWS_MAX]
    )
