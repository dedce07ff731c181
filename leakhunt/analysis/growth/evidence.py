"""What the rules judge: everything that the snapshots of one process show, computed once and when first asked for."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from leakhunt.analysis.heap.dominators import Dominators, is_affordable
from leakhunt.analysis.heap.graph import Bools, HeapGraph, Ints
from leakhunt.analysis.heap.lineage import Lineage
from leakhunt.analysis.heap.naming import Names
from leakhunt.analysis.heap.retained import retained_tree
from leakhunt.analysis.policy import POLICY, Policy
from leakhunt.births import Births
from leakhunt.findings import Retained
from leakhunt.snapshot import Snapshot

from . import holders, trends
from .allocator_totals import AllocatorTotals
from .holders import Place, Survey
from .known import BUILT_IN, Known
from .trends import Floats, Trend

EXIT = "exit"
GROUP_GAIN_MIN = int(POLICY.gain)


@dataclass(frozen=True)
class Series:
    """Counts and shallow bytes of a class at each moment, and the trend of the counts after the warm-up."""

    seconds: Floats
    counts: Floats
    bytes: Floats
    trend: Trend


@dataclass(frozen=True)
class Group:
    """Objects of one class in one condition (held from outside, garbage), growing: `objects` are those of now."""

    type: str
    seconds: Floats
    counts: Floats
    trend: Trend
    objects: Ints


class Evidence:
    """One process: `censuses` are all its snapshots in order, `deep` those with a graph; the one at exit is apart.

    A process that became large has whole graphs first and frontier graphs then. They can't be compared, for what was
    left out would seem to have gone: `deep` are the last ones of one kind.

    At exit the locals of the main function are gone, and with them what a running program holds: no trend may
    compare that moment with the others.
    """

    def __init__(
        self,
        snapshots: Sequence[Snapshot],
        known: Known = BUILT_IN,
        policy: Policy = POLICY,
        births: Sequence[Births] = (),
    ) -> None:
        self.snapshots, self.known, self.policy = tuple(snapshots), known, policy
        self.births = tuple(births)
        self.censuses = tuple(s for s in snapshots if s.meta.get("moment") != EXIT)
        self.deep = _of_one_kind([s for s in self.censuses if s.is_deep])
        self.seconds = np.array([s.number("elapsed") for s in self.censuses])

    @property
    def intervals(self) -> float:
        """For how many intervals the process was watched: until its last snapshot was taken, or its exit."""
        last = self.snapshots[-1]
        until = last.number("elapsed") + last.number("cost_ms") / 1e3
        return until / max(last.number("interval", 5.0), 1e-9)

    @functools.cached_property
    def lineage(self) -> Lineage:
        last = [s for s in self.snapshots[-1:] if s.is_deep and s.meta.get("moment") == EXIT]
        at_exit = [HeapGraph(s) for s in last if s.is_frontier == self.deep[-1].is_frontier]
        return Lineage([HeapGraph(s) for s in self.deep], *at_exit)

    @property
    def graph(self) -> HeapGraph:
        return self.lineage.last

    @functools.cached_property
    def names(self) -> Names:
        return Names(self.graph)

    @functools.cached_property
    def started(self) -> int:
        """Number of the census at which the start-up is over: by then the program has imported its modules.

        0 where modules come all the time: they are no start-up then.
        """
        modules = self._class_rows.get("builtins.module", np.zeros((len(self.censuses), 2)))[:, 0]
        if not len(modules):
            return 0
        found = int(np.argmax(modules >= self.policy.started * modules[-1]))
        later = trends.after_warm_up(self.seconds, self.policy.warm_up)
        comes_to_an_end = trends.objection(trends.trend(self.seconds[later], modules[later]), self.policy)
        return found if comes_to_an_end or found <= (later.start or 0) else 0

    @functools.cached_property
    def first(self) -> int:
        """Number of the deep snapshot at which the warm-up is over."""
        then = self.seconds[self.started] if len(self.seconds) else 0.0
        started = int(np.searchsorted(self.lineage.seconds, then))
        return min(trends.start(self.lineage.seconds, self.policy.warm_up, started), max(0, len(self.deep) - 2))

    @property
    def has_started(self) -> bool:
        """Whether the start-up was over at the graph from which on growth counts."""
        return bool(self.seconds[self.started] <= self.lineage.seconds[self.first])

    @functools.cached_property
    def since(self) -> int:
        """Number of the census at which the warm-up is over."""
        return trends.start(self.seconds, self.policy.warm_up, self.started)

    @functools.cached_property
    def is_new(self) -> Bools:
        """Objects of the last deep snapshot that came after the warm-up."""
        return self.survey.is_new(self.first)

    @functools.cached_property
    def survey(self) -> Survey:
        return Survey(self.lineage, self.names, self.censuses)

    @functools.cached_property
    def grown_places(self) -> list[Place]:
        """All places that have more in them than before, those whose growth means nothing too."""
        return holders.growing_places(self.survey, self.policy, self.first) if len(self.deep) > 1 else []

    @property
    def places(self) -> list[Place]:
        """The places that grow, the one that leads to most bytes first."""
        return [place for place in self.grown_places if place.doubt is None]

    @functools.cached_property
    def classes(self) -> dict[str, Series]:
        """Series of every class the collector lists, by name, over all censuses but the one at exit."""
        return self._classes_since(self.since)

    def _classes_since(self, start: int) -> dict[str, Series]:
        found = self._by_start.get(start)
        if found is None:
            found = self._by_start[start] = {
                name: Series(self.seconds, rows[:, 0], rows[:, 1], trends.trend(self.seconds[start:], rows[start:, 0]))
                for name, rows in self._class_rows.items()
            }
        return found

    @functools.cached_property
    def _by_start(self) -> dict[int, dict[str, Series]]:
        return {}

    @functools.cached_property
    def _class_rows(self) -> dict[str, Floats]:
        """float[S, 2] by class: instances and bytes at each census."""
        names = dict.fromkeys(name for s in self.censuses for name in s.census)
        return {name: np.array([s.census.get(name, (0, 0)) for s in self.censuses], dtype=float) for name in names}

    def ledger(self, key: str) -> Floats:
        """A figure of the memory ledger at every census, 0 where the target could not say."""
        return np.array([s.number(key) for s in self.censuses])

    @functools.cached_property
    def books(self) -> AllocatorTotals:
        """The allocators' figures beside the bytes of all objects, for the ledger."""
        return AllocatorTotals(self)

    @functools.cached_property
    def dominators(self) -> Dominators:
        return self.lineage.dominators

    @functools.cached_property
    def retained(self) -> Retained | None:
        """Who keeps the memory at the last deep snapshot; None without one, or where that would take too long."""
        if not self.deep or not is_affordable(self.graph):
            return None
        return retained_tree(self.graph, self.names, self.dominators)

    @functools.cached_property
    def outside_groups(self) -> list[Group]:
        """Classes of which more objects than before are held by something outside the heap only."""
        return self._groups("outside", lambda graph: graph.held_outside & ~graph.class_tables)

    @functools.cached_property
    def garbage_groups(self) -> list[Group]:
        """Classes with more cyclic garbage that waits for the collector than before."""
        return self._groups("garbage", lambda graph: graph.garbage)

    @property
    def outside(self) -> list[Group]:
        """Growing classes of objects that only something outside the heap holds."""
        return [group for group in self.outside_groups if not trends.objection(group.trend, self.policy)]

    @property
    def garbage(self) -> list[Group]:
        """Growing classes of cyclic garbage that waits for the collector."""
        return [group for group in self.garbage_groups if not trends.objection(group.trend, self.policy)]

    def group_survival(self, group: Group) -> float:
        """How faithfully the group's objects were held from outside while they were there, 0.0 to 1.0.

        The lesser of two shares: of those held so at the middle, the ones that still are; and of all moments at
        which an object of now was there, those at which it was held so. A walk in slices may find a dying object
        out of reach once, or another at its address, but not one and the same every time.
        """
        lineage = self.lineage
        last = len(lineage.graphs) - 1
        middle = self.first + max(1, (last - self.first) // 2)
        moments = held = 0
        stayed = 1.0
        for k in range(self.first, last):
            place = lineage.present[k, group.objects]
            there = place[place >= 0]
            faithful = int(lineage.graphs[k].held_outside[there].sum())
            moments, held = moments + len(there), held + faithful
            if k == middle:
                before = float(group.counts[k - self.first])
                stayed = faithful / before if before else 1.0
        return min(stayed, held / moments) if moments else 0.0

    def _groups(self, name: str, condition: Callable[[HeapGraph], Bools]) -> list[Group]:
        key = name, self.first
        if key not in self._groups_since:
            self._groups_since[key] = self._counted(condition)
        return [group for group in self._groups_since[key] if group.trend.gain >= self.policy.gain]

    @functools.cached_property
    def _groups_since(self) -> dict[tuple[str, int], list[Group]]:
        return {}

    def _counted(self, condition: Callable[[HeapGraph], Bools]) -> list[Group]:
        counts = []
        for graph in self.lineage.graphs[self.first :]:
            rows = np.bincount(graph.types[condition(graph)], minlength=len(graph.snapshot.type_names))
            per_name: Counter[str] = Counter()
            for name, number in zip(graph.snapshot.type_names, rows.tolist(), strict=True):
                per_name[name] += number
            counts.append(per_name)
        seconds = self.lineage.seconds[self.first :]
        now = np.flatnonzero(condition(self.graph))
        found = []
        for name in counts[-1]:
            if counts[-1][name] <= counts[0][name]:
                continue
            values = np.array([c[name] for c in counts], dtype=float)
            of_name = [row for row, text in enumerate(self.graph.snapshot.type_names) if text == name]
            objects = now[np.isin(self.graph.types[now], of_name)]
            found.append(Group(name, seconds, values, trends.trend(seconds, values), objects))
        return sorted(found, key=lambda group: -group.trend.gain)

    def with_policy(self, policy: Policy) -> Evidence:
        """The same evidence, judged by other thresholds; what does not depend on them is not computed again."""
        other = type(self)(self.snapshots, self.known, policy, self.births)
        for name in ("lineage", "names", "survey", "retained", "_class_rows", "_by_start", "_groups_since"):
            if self.deep or name in ("_class_rows", "_by_start"):
                other.__dict__[name] = getattr(self, name)
        if self.deep and other.first == self.first:
            other.__dict__["books"] = self.books
        return other


def _of_one_kind(deep: Sequence[Snapshot]) -> tuple[Snapshot, ...]:
    """The last snapshots that are all of the whole heap, or all of its frontier."""
    begin = len(deep)
    while begin > 0 and deep[begin - 1].is_frontier == deep[-1].is_frontier:
        begin -= 1
    return tuple(deep[begin:])
