"""The same work again and again, a snapshot after each time: what grows on every round is a leak (as in BLeak).

There is no noise of a running service here and no time either, so a handful of snapshots is enough, and rounds stand
where a run has seconds.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from leakhunt import pipeline
from leakhunt.analysis.growth import holders, trends
from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.growth.holders import Place
from leakhunt.analysis.growth.known import BUILT_IN, Known
from leakhunt.analysis.heap.graph import HeapGraph, Ints
from leakhunt.analysis.heap.lineage import Lineage
from leakhunt.analysis.heap.naming import Names
from leakhunt.analysis.heap.reachability import reach
from leakhunt.analysis.heap.weakrefs import is_mostly_weakrefs
from leakhunt.analysis.report import suspects, to_findings
from leakhunt.analysis.rules import detectors
from leakhunt.analysis.rules.verdicts import Verdict
from leakhunt.births import Births
from leakhunt.findings import Finding
from leakhunt.snapshot import Snapshot

Naming = Callable[[Names, int], str | None]
"""The name of the place that a container (by index) is, or None where its growth is nobody's fault."""


class Rounds(Evidence):
    """Evidence of which every round counts the same: no warm-up is cut off, and no growth is too small.

    Args:
        tolerance: items by which a place may grow on a round.
    """

    def __init__(
        self,
        snapshots: Sequence[Snapshot],
        tolerance: int = 0,
        naming: Naming | None = None,
        known: Known = BUILT_IN,
        births: Sequence[Births] = (),
    ) -> None:
        super().__init__(snapshots, known, births=births)
        self.tolerance, self._naming = tolerance, naming or holders.place_name

    @functools.cached_property
    def first(self) -> int:
        """All rounds count: who chose their number chose where they begin, too."""
        return 0

    @functools.cached_property
    def places(self) -> list[Place]:
        found = [self._place(owner, members) for owner, members in self._grown().items()]
        places = holders.shared(self.graph, [place for place in found if place is not None])
        return [place for place in holders.merged(places, self.names) if place.doubt is None]

    @property
    def grown_places(self) -> list[Place]:
        return self.places

    @property
    def intervals(self) -> float:
        """Enough: a round is done when its work is."""
        return float("inf")

    def _grown(self) -> dict[str, list[int]]:
        """Containers with more items now than at first, by the name of their place."""
        frames = [root.index for root in self.graph.roots if root.kind == "frame"]
        gained = np.where(self.lineage.present[0] >= 0, self._extents[-1] - self._extents[0], 0)
        gained[frames] = 0
        groups: dict[str, list[int]] = defaultdict(list)
        for index in np.flatnonzero(gained > 0).tolist():
            name = self._naming(self.names, index)
            if name is not None:
                groups[name].append(index)
        return {name: members for name, members in groups.items() if len(members) == 1 or not name.startswith("<")}

    @functools.cached_property
    def _extents(self) -> Ints:
        """int64[S, N]: items of each object of the last snapshot at each round, 0 where it was not there."""
        rows = [holders.extents(graph) for graph in self.lineage.graphs]
        return np.array([np.where(at >= 0, row[at], 0) for row, at in zip(rows, self.lineage.present, strict=True)])

    def _place(self, owner: str, members: list[int]) -> Place | None:
        """The place when it gained more than the tolerance on each round and keeps what it got, else None."""
        values = self._extents[:, members].sum(axis=1).astype(float)
        if np.diff(values).min() <= self.tolerance:
            return None
        survival = holders.survival(self.lineage, members, 0)
        children = holders.new_children(self.lineage, members, 0)
        reached = reach(self.graph, children, self.is_new)
        if survival < holders.SURVIVAL_MIN or is_mostly_weakrefs(
            self.graph, children, reached, self.is_new, len(members)
        ):
            return None
        return Place(
            owner=owner,
            members=tuple(members),
            seconds=self.lineage.seconds,
            extents=values,
            trend=trends.trend(self.lineage.seconds, values),
            children=children,
            reached=reached,
            survival=survival,
            bound=self._bound(members),
        )

    def _bound(self, members: list[int]) -> int | None:
        """The limit that all of the containers declare and keep to, None without one."""
        limits = [holders.limit_of(self.graph, index) for index in members]
        kept = [
            n for i, n in zip(members, limits, strict=True) if n is not None and holders.entries(self.graph, i) <= n
        ]
        return max(kept) if len(kept) == len(members) else None


def is_suspect(before: Snapshot, after: Snapshot, gain: int) -> bool:
    """Whether containers that live on, or a class, have `gain` items more; a body without such is no leak."""
    lineage = Lineage([HeapGraph(before), HeapGraph(after)])
    then = lineage.present[0]
    more = np.where(then >= 0, holders.extents(lineage.last) - holders.extents(lineage.graphs[0])[then], 0)
    more[[root.index for root in lineage.last.roots if root.kind == "frame"]] = 0
    if more[more > 0].sum() >= gain:
        return True
    return any(count - before.census.get(name, (0, 0))[0] >= gain for name, (count, _) in after.census.items())


def findings(
    snapshots: Sequence[Snapshot],
    tolerance: int = 0,
    naming: Naming | None = None,
    known: Known = BUILT_IN,
    births: Sequence[Births] = (),
) -> list[Finding]:
    """What grew on every round, the heaviest first. The snapshots' `elapsed` must be the number of their round."""
    evidence = Rounds(snapshots, tolerance, naming, known, births)
    verdicts = _accused(evidence, tolerance)
    info = {"path": "\x1f".join(sys.path), "cwd": os.getcwd()}
    return [
        replace(
            pipeline.placed(info, evidence, to_findings.finding(evidence, _in_rounds(verdict), os.getpid())), rank=rank
        )
        for rank, verdict in enumerate(verdicts, 1)
    ]


def question(
    snapshots: Sequence[Snapshot], tolerance: int = 0, naming: Naming | None = None, known: Known = BUILT_IN
) -> suspects.Question:
    """What to watch for the next round, of what grew on every one."""
    evidence = Rounds(snapshots, tolerance, naming, known)
    return suspects.question(evidence, _accused(evidence, tolerance))


def _accused(evidence: Rounds, tolerance: int) -> list[Verdict]:
    candidates = detectors.judge(
        evidence, (detectors.growing_holders, detectors.held_from_outside, detectors.growing_classes)
    )
    return [v for v in candidates if not v.is_ended and (v.place is not None or _is_steady(v, tolerance))]


def _is_steady(verdict: Verdict, tolerance: int) -> bool:
    return bool(np.diff(verdict.counts).min() > tolerance)


def _in_rounds(verdict: Verdict) -> Verdict:
    """A round is a second on the snapshots' clock: say what it is."""
    return replace(verdict, reason=re.sub(r" in (\d+) s\b", r" in \1 rounds", verdict.reason, count=1))
