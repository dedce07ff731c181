"""What the censuses of one process show over time, kept small however long it runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leakhunt.analysis.growth.evidence import EXIT
from leakhunt.snapshot import Snapshot

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

MOMENTS_MAX = 240  # ten for each block of a spark line; 5,000 classes and 20,000 containers take 115 MB then


@dataclass(frozen=True, eq=False)
class Containers:
    """The containers that one census lists: `addresses` uint64[K] in order, `kinds` class numbers, `lengths` items."""

    addresses: NDArray[np.uint64]
    kinds: NDArray[np.int32]
    lengths: Ints

    def pick(self, rows: Ints) -> Containers:
        """Those at `rows`."""
        return Containers(self.addresses[rows], self.kinds[rows], self.lengths[rows])

    def find(self, others: Containers) -> Ints:
        """Row of each of `others`, -1 where it is not listed or another class's object has its address."""
        if not len(self.addresses):
            return np.full(len(others.addresses), -1, dtype=np.int64)
        rows = np.minimum(np.searchsorted(self.addresses, others.addresses), len(self.addresses) - 1)
        return np.where((self.addresses[rows] == others.addresses) & (self.kinds[rows] == others.kinds), rows, -1)


@dataclass(frozen=True, eq=False)
class Beginnings:
    """Of each container of the newest census: `since` when (seconds) every census listed it, and its `lengths` then.

    One made after the start did not grow by all that it was made with, and one at the address of another that is gone
    is not that one.
    """

    since: Floats
    lengths: Ints


@dataclass(frozen=True, eq=False)
class Moment:
    """The census of that `number`: `counts` and `sizes` (bytes) by class number, without classes first met later."""

    number: int
    seconds: float
    rss_bytes: int
    counts: Ints
    sizes: Ints
    containers: Containers


class History:
    """The moments of one process in order: the first and the newest always, of those between an even choice.

    `mark` is the moment that a person compares with, None before there is one. `is_over` once the snapshot of the
    program's exit was met; it is no moment itself, for the locals of the main function are gone by then.
    """

    def __init__(self) -> None:
        self.moments: list[Moment] = []
        self.mark: Moment | None = None
        self.is_over = False
        self.beginnings = Beginnings(np.empty(0), np.empty(0, dtype=np.int64))
        self._stride = 1  # every so many-th moment is kept
        self._number_by_class: dict[str, int] = {}

    @property
    def first(self) -> Moment:
        return self.moments[0]

    @property
    def last(self) -> Moment:
        return self.moments[-1]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names by class number."""
        return tuple(self._number_by_class)

    @property
    def is_builtin(self) -> Bools:
        """By class number: those that tell a reader less than a class of the program's own."""
        return np.array([name.startswith("builtins.") for name in self._number_by_class], dtype=bool)

    def set_mark(self) -> None:
        """Compare with the newest moment from now on."""
        self.mark = self.last if self.moments else None

    def add(self, snapshot: Snapshot) -> None:
        """Take in the next census; the snapshot itself is not kept."""
        self.is_over = snapshot.meta.get("moment") == EXIT
        if self.is_over and self.moments:
            return
        moment = self._moment(snapshot)
        self.beginnings = self._beginnings(moment)
        if self.moments and self.last.number % self._stride:
            self.moments.pop()  # it stood there as the newest only
        self.moments.append(moment)
        if len(self.moments) > MOMENTS_MAX:
            self._stride *= 2
            self.moments = [m for m in self.moments if m.number % self._stride == 0 or m is moment]

    def spread(self, points: int) -> list[Moment]:
        """At most `points` moments, evenly spread in time rather than by number: a busy agent skips some."""
        if len(self.moments) <= points:
            return self.moments
        seconds = np.array([moment.seconds for moment in self.moments])
        wanted = np.linspace(seconds[0], seconds[-1], points)
        rows = np.searchsorted(seconds, wanted, side="right") - 1
        return [self.moments[row] for row in np.unique(rows).tolist()]

    def _moment(self, snapshot: Snapshot) -> Moment:
        number_by_row = self._numbers(snapshot)
        numbers = number_by_row[snapshot.column("census.type").astype(np.int64)]
        counts, sizes = np.zeros((2, len(self._number_by_class)), dtype=np.int64)
        np.add.at(counts, numbers, snapshot.column("census.count").astype(np.int64))
        np.add.at(sizes, numbers, snapshot.column("census.bytes").astype(np.int64))
        return Moment(
            number=self.last.number + 1 if self.moments else 0,
            seconds=snapshot.number("elapsed"),
            rss_bytes=int(snapshot.number("rss_bytes")),
            counts=counts,
            sizes=sizes,
            containers=self._containers(snapshot, number_by_row),
        )

    def _numbers(self, snapshot: Snapshot) -> Ints:
        """Class number of each row of the snapshot's type table."""
        numbers = self._number_by_class
        return np.array([numbers.setdefault(name, len(numbers)) for name in snapshot.type_names], dtype=np.int64)

    def _containers(self, snapshot: Snapshot, number_by_row: Ints) -> Containers:
        addresses = snapshot.column("container.address")
        order = np.argsort(addresses, kind="stable")
        return Containers(
            addresses[order].astype(np.uint64),
            number_by_row[snapshot.column("container.type").astype(np.int64)[order]].astype(np.int32),
            snapshot.column("container.length").astype(np.int64)[order],
        )

    def _beginnings(self, moment: Moment) -> Beginnings:
        """Carried over from the moment before for what was there, begun now for what is new."""
        now = moment.containers
        since, lengths = np.full(len(now.lengths), moment.seconds), now.lengths.copy()
        if self.moments:
            rows = self.last.containers.find(now)
            known = rows >= 0
            since[known], lengths[known] = self.beginnings.since[rows[known]], self.beginnings.lengths[rows[known]]
        return Beginnings(since, lengths)
