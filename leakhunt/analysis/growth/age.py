"""How old things are: places in the collector's list as ages, and what a short look says of a long life.

The collector lists what it tracks in order of birth (agent/listing.py says where it does not). A place in that list is
an order, not a time. Time comes from looks: what came between two of them has a rate, and a rate times the life of the
process is a number that can be compared with what is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from leakhunt.agent import schema
from leakhunt.analysis.heap.graph import Bools, HeapGraph, Ints
from leakhunt.snapshot import Snapshot

STARTED = 0.75  # of a program's modules are imported when its start-up is over; some come later, with the agent too
WORK_MIN_SECONDS = 0.1  # the system counts it in hundredths
SAMPLE = 2000


@dataclass(frozen=True)
class Life:
    """How long a process lived before it was looked at, and how long it was looked at.

    `seconds` and `work` are of its whole life up to the last look, `looked_seconds` and `looked_work` of the time
    between the two looks; work is processor time without the agent's, 0.0 where it is not known.
    """

    seconds: float
    work: float
    looked_seconds: float
    looked_work: float

    @classmethod
    def between(cls, first: Snapshot, last: Snapshot) -> Life:
        lived, before = (snapshot.number("process_seconds") for snapshot in (last, first))
        work, work_before = (
            snapshot.number("process_cpu_seconds") - snapshot.number("spent_seconds") for snapshot in (last, first)
        )
        return cls(lived, work, lived - before, work - work_before)

    def __str__(self) -> str:
        minutes = self.seconds / 60
        if minutes < 10:
            return f"{self.seconds:.0f} s"
        return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"

    def times_as_long(self) -> tuple[float, float]:
        """(life, life by work) in looks: how many times the time between the looks fits into the life before them."""
        by_time = (self.seconds - self.looked_seconds) / self.looked_seconds if self.looked_seconds > 0 else 0.0
        is_known = self.looked_work >= WORK_MIN_SECONDS
        by_work = (self.work - self.looked_work) / self.looked_work if is_known else by_time
        return by_time, by_work

    def agreement(self, before: float, gained: float) -> float:
        """What was there `before` the looks over what growth as between them would have made since the start.

        A program may be busier now than it used to be, so its work is a clock as good as the wall's: of the two, the
        one that agrees better is meant. 0.0 where nothing was gained.
        """
        if gained <= 0:
            return 0.0
        ratios = [before / (gained * times) for times in self.times_as_long() if times > 0]
        return min(ratios, key=distance, default=0.0)


def distance(ratio: float) -> float:
    """How far a ratio is from 1, the same for a half and for twice."""
    return abs(float(np.log(ratio))) if ratio > 0 else float("inf")


def is_old(first: Snapshot, intervals: float) -> bool:
    """Whether a process had lived for so many intervals before it was first looked at."""
    before = first.number("process_seconds") - first.number("elapsed")
    return before >= intervals * first.number("interval", 5.0)


def places(graph: HeapGraph) -> Ints | None:
    """Place of each object in the collector's list, 0 for the oldest, -1 for what it does not list; None if unknown."""
    snapshot = graph.snapshot
    if snapshot.has("object.place"):
        found = snapshot.column("object.place").astype(np.int64)
        found[found == schema.NO_PLACE] = -1
        return found
    try:
        first, second = (int(row) for row in snapshot.meta["generation_rows"].split())
    except (KeyError, ValueError):
        return None
    found = np.full(graph.count, -1, dtype=np.int64)
    rows = np.flatnonzero(snapshot.column("object.flags") & schema.OBJECT_TRACKED > 0)
    young, middle = np.searchsorted(rows, (first, second))
    found[np.concatenate((rows[middle:], rows[young:middle], rows[:young]))] = np.arange(len(rows))
    return found


def spectra(snapshot: Snapshot) -> dict[str, Ints]:
    """By class name: how many of its instances stand in each tenth of the collector's list; empty if unknown."""
    if not snapshot.has("spectrum.count"):
        return {}
    rows = snapshot.column("spectrum.count").astype(np.int64).reshape(-1, schema.TENTHS)
    found: dict[str, Ints] = {}
    for row, kind in zip(rows, snapshot.column("census.type").tolist(), strict=True):
        name = snapshot.type_names[kind]
        found[name] = found[name] + row if name in found else row
    return found


def place_of_start(graph: HeapGraph, place: Ints) -> int:
    """Where in the list the start-up ends: by then STARTED of all modules are imported.

    -1 where most are not in the list: `gc.freeze` took the start-up out of it.
    """
    is_module = np.array([name == "builtins.module" for name in graph.snapshot.type_names], dtype=bool)[graph.types]
    modules = place[is_module & (place >= 0)]
    return int(np.quantile(modules, STARTED)) if 2 * len(modules) > is_module.sum() else -1


def is_of_start(graph: HeapGraph) -> Bools:
    """Objects that are there since the start-up; none where ages are not known."""
    place = places(graph)
    if place is None:
        return np.zeros(graph.count, dtype=bool)
    return (place >= 0) & (place <= place_of_start(graph, place))


def share_of_start(graph: HeapGraph, then: Ints, containers: Iterable[int]) -> float:
    """Of the items that containers had at an earlier moment, the share that is there since the start-up.

    `then` int64[N]: index at that moment, -1 for none. An item that the collector does not list is as old as the
    youngest that it refers to; of atoms nothing is known.
    """
    age = places(graph)
    if age is None:
        return 0.0
    end = place_of_start(graph, age)
    early = known = 0
    for index in containers:
        items = np.unique(graph.referents(index)).astype(np.int64)
        items = items[then[items] >= 0]
        for item in items[np.linspace(0, len(items) - 1, min(SAMPLE, len(items))).astype(int)].tolist():
            dated = int(age[item])
            if dated < 0:
                dated = int(np.max(age[graph.referents(item)], initial=-1))
            known += dated >= 0
            early += 0 <= dated <= end
    return early / known if known else 0.0
