"""Rule: an old process, judged by a short look: what grew while it was looked at has grown since it began.

The rate between two looks, times the life of the process, says how much there would be had it gone on like that from
the start. Where there is about as much, older than the first look and younger than the start-up, and nothing left the
place between the looks, it has. A cache at its bound gains nothing, a population with a time to live loses as much as
it gains, a batch that is flushed or a cache that is swept holds less than its rate and the life of the process would
make, a start-up table holds what is older, and what fills up ever more slowly holds more.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import holders
from .age import AGREES, agrees, distance, is_of_start, places
from .evidence import Evidence
from .graph import Ints
from .growth import POINTS_MIN, Trend
from .holders import Place
from .rule_holders import verdicts_of
from .verdicts import SETTLED_INTERVALS, Verdict, few_looks, settled

STAYED_MIN = 0.97
DRAWDOWN_MAX = 0.1
RISES_MIN = 3
SURE = 0.95
SURE_AT_TWO_LOOKS = 0.93
PER_DISTANCE = 0.25
SAMPLE = 2000


def leaked_since_start(evidence: Evidence) -> list[Verdict]:
    """Places that gained too few times to show a trend, but at the rate at which they were filled all along."""
    if len(evidence.deep) < 2 or not evidence.is_old:
        return []
    known = {name for place in evidence.places for name in (place.owner, *place.also_owned_by)}
    least = _least_before(evidence)
    found = holders.growing_places(
        evidence.lineage, evidence.names, evidence.censuses, _grew, lambda before, gain: before >= least * gain
    )
    aged = [place for place in found if place.owner not in known and agrees(agreement_of_place(evidence, place))]
    return [_by_age(evidence, verdict) for verdict in verdicts_of(evidence, aged)]


def weighed(evidence: Evidence, verdict: Verdict) -> Verdict:
    """The verdict, less sure where what it accuses was not seen to grow for long enough (`verdicts.settled`).

    An old process was not watched for long, but where the age of what is there tells of the time before, it counts as
    if it had been; and that there were few looks is no doubt then.
    """
    if evidence.intervals >= SETTLED_INTERVALS or len(evidence.deep) < 2 or not evidence.is_old:
        return settled(verdict, evidence.intervals)
    ratio = agreement(evidence, verdict)
    if not agrees(ratio):
        return settled(verdict, evidence.intervals)
    if verdict.place is not None and verdict.trend.points >= POINTS_MIN:
        sure = min(SURE, verdict.confidence + few_looks(verdict.trend.points))
        verdict = replace(verdict, confidence=round(max(verdict.confidence, sure), 2))
    last = evidence.snapshots[-1]
    before = min(1.0, ratio) * last.number("process_seconds") / last.number("interval", 5.0)
    return settled(verdict, max(evidence.intervals, before))


def agreement(evidence: Evidence, verdict: Verdict) -> float:
    """What there was at the first look over what the rate since would have made in the life before it."""
    if verdict.place is not None:
        return agreement_of_place(evidence, verdict.place)
    life = evidence.life
    if verdict.is_in_bytes:
        return life.agreement(float(verdict.counts[0]), verdict.trend.slope * life.looked_seconds)
    then = evidence.lineage.present[evidence.first]
    graph = evidence.graph
    rows = [row for row, name in enumerate(graph.snapshot.type_names) if name == verdict.type]
    members = np.isin(graph.types, rows)
    if len(verdict.objects):
        within = np.zeros(graph.count, dtype=bool)
        within[verdict.objects] = True
        gained = int((members & within & (then < 0)).sum())
    else:
        gained = int((members & (then < 0)).sum())
    before = int((members & (then >= 0) & ~is_of_start(graph)).sum())
    return life.agreement(before, gained)


def agreement_of_place(evidence: Evidence, place: Place) -> float:
    """As `agreement`, of the entries of a place; 0.0 where some have left it."""
    lineage, first = evidence.lineage, evidence.first
    if holders.stayed(lineage, place.members, first) < STAYED_MIN:
        return 0.0
    rows = [int(lineage.present[first, index]) for index in place.members]
    before = float(sum(int(holders.extents(lineage.graphs[first])[row]) for row in rows))
    now = float(sum(int(holders.extents(lineage.last)[index]) for index in place.members))
    return evidence.life.agreement(before * (1.0 - _share_of_start(evidence, place)), now - before)


def _share_of_start(evidence: Evidence, place: Place) -> float:
    """Of the items that the place had at the first look, the share that is there since the start-up.

    An item that the collector does not list is as old as the youngest that it refers to; of atoms nothing is known.
    """
    graph = evidence.graph
    age = places(graph)
    if age is None:
        return 0.0
    is_early, then = is_of_start(graph), evidence.lineage.present[evidence.first]
    early = known = 0
    for index in place.members:
        items: Ints = np.unique(graph.referents(index)).astype(np.int64)
        items = items[then[items] >= 0]
        for item in items[np.linspace(0, len(items) - 1, min(SAMPLE, len(items))).astype(int)].tolist():
            below = graph.referents(item) if age[item] < 0 else ()
            dated = int(below[np.argmax(age[below])]) if len(below) else item
            known += age[dated] >= 0
            early += bool(is_early[dated])
    return early / known if known else 0.0


def _grew(trend: Trend) -> bool:
    """Whether it gained at several looks, where there were several, and lost next to nothing."""
    rises = round(trend.steady * (trend.points - 1))
    return trend.gain > 0 and trend.drawdown <= DRAWDOWN_MAX and (trend.points < POINTS_MIN or rises >= RISES_MIN)


def _least_before(evidence: Evidence) -> float:
    """How many times what a container gained it must have held before, at the least, to have gained all the time."""
    return AGREES[0] * min(evidence.life.times_as_long())


def _by_age(evidence: Evidence, verdict: Verdict) -> Verdict:
    ratio = agreement(evidence, verdict)
    life = evidence.life
    sure = SURE_AT_TWO_LOOKS - PER_DISTANCE * distance(ratio) - (0.05 if verdict.trend.gain < 15 else 0.0)
    reason = f"{verdict.reason}; at that rate it has grown in all the {_long(life.seconds)} that the process has run"
    return replace(verdict, confidence=round(max(0.3, sure), 2), reason=reason)


def _long(seconds: float) -> str:
    minutes = seconds / 60
    return f"{seconds:.0f} s" if minutes < 10 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
