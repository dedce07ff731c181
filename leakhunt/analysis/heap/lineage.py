"""The same object in several snapshots: who was there already, and since when."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from leakhunt.agent import schema

from .address_reuse import replaced, with_what_they_keep
from .dominators import Dominators, is_affordable, kept_dominators
from .graph import Bools, HeapGraph, Ints


class Lineage:
    """Deep snapshots of one process in order of time, seen from the last one.

    An object is the same when address and class name are, and no container that keeps its order has it elsewhere. A
    freed address may be used again by the same class, so survival can be overstated; it is understated only where a
    program takes an item out of a dict and puts it back.
    """

    def __init__(self, graphs: Sequence[HeapGraph], at_exit: HeapGraph | None = None) -> None:
        self.graphs, self.at_exit = tuple(graphs), at_exit
        self.last = self.graphs[-1]
        self.seconds = np.array([graph.snapshot.number("elapsed") for graph in self.graphs])

    @functools.cached_property
    def present(self) -> NDArray[np.int64]:
        """int64[S, N]: index in each snapshot of each object of the last, -1 where it was not there.

        Only unbroken presence up to the end counts: what vanished in between is another object.
        """
        rows = np.full((len(self.graphs), self.last.count), -1, dtype=np.int64)
        rows[-1] = np.arange(self.last.count)
        for k in range(len(self.graphs) - 2, -1, -1):
            rows[k] = np.where(rows[k + 1] >= 0, same(self.graphs[k], self.last), -1)
            others = replaced(self.graphs[k], self.last, rows[k])
            if others.any() and is_affordable(self.last):
                others = with_what_they_keep(others, self.dominators.idom)
            rows[k, others] = -1
        return rows

    @functools.cached_property
    def rebuilt(self) -> dict[int, Ints]:
        """Rows in each graph of containers of the last that are followed by owner and name; filled by who finds them.

        -1 where there was none yet.
        """
        return {}

    def row(self, k: int, container: int) -> int:
        """Index in graph `k` of a container of the last one, or of what went by its name then; -1 for none."""
        row = int(self.present[k, container])
        return int(self.rebuilt[container][k]) if row < 0 and container in self.rebuilt else row

    @functools.cached_property
    def dominators(self) -> Dominators:
        return kept_dominators(self.last)

    @functools.cached_property
    def born(self) -> Ints:
        """Number of the first snapshot that has each object of the last one."""
        found = np.asarray(np.argmax(self.present >= 0, axis=0), dtype=np.int64)
        found[self.last.is_old] = 0  # it may have been left out of earlier graphs, but it was there
        return found

    @functools.cached_property
    def present_at_exit(self) -> Ints:
        """Index in the snapshot at exit of each object of the last one, -1 where it is gone; without one, always."""
        found = np.full(self.last.count, -1, dtype=np.int64)
        if self.at_exit is not None:
            before = same(self.last, self.at_exit)
            found[before[before >= 0]] = np.flatnonzero(before >= 0)
        return found

    def class_survival(self, since: int) -> dict[str, tuple[int, int]]:
        """(instances in snapshot `since`, how many of them live in the last one) by class name."""
        then, names = self.graphs[since], self.graphs[since].snapshot.type_names
        before = np.bincount(then.types, minlength=len(names))
        alive = self.present[since]
        stayed = np.bincount(then.types[alive[alive >= 0]], minlength=len(names))
        found: dict[str, tuple[int, int]] = {}
        for name, old, still in zip(names, before.tolist(), stayed.tolist(), strict=True):
            earlier = found.get(name, (0, 0))
            found[name] = (earlier[0] + old, earlier[1] + still)
        return found

    def is_new(self, since: int) -> Bools:
        """Objects of the last snapshot that were not there yet in snapshot `since`."""
        return self.born > since


def same(earlier: HeapGraph, later: HeapGraph) -> Ints:
    """Index in `earlier` of each object of `later`, -1 where there is none of the same address and class name."""
    found = earlier.index_of(later.addresses)
    number_by_name = {name: number for number, name in enumerate(earlier.snapshot.type_names)}
    # Types of one name count as one: a class made anew is the same class to a reader.
    canonical = np.array([number_by_name[name] for name in earlier.snapshot.type_names], dtype=np.int64)
    translated = np.array([number_by_name.get(name, -1) for name in later.snapshot.type_names], dtype=np.int64)
    if later.count == 0 or earlier.count == 0:
        return np.full(later.count, -1, dtype=np.int64)
    matches = canonical[earlier.types[found]] == translated[later.types]
    # What can't change can't have changed its size or length either: strings come and go at one address all the time,
    # and a tuple waits in its class's free list at the size that it is used again with.
    fixed = later.are(schema.TYPE_FIXED)
    matches &= ~fixed | ((earlier.sizes[found] == later.sizes) & (earlier.lengths[found] == later.lengths))
    return np.where((found >= 0) & matches, found, -1)
