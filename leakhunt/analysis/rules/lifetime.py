"""What the age of things says of a candidate in an old process that was looked at for a short while.

The rate between two looks, times the life of the process, says how much there would be had it gone on like that from
the start. Where there is about as much, older than the first look and younger than the start-up, and nothing went
between the looks, it has. A cache at its bound gains nothing, a population with a time to live loses as much as it
gains, a batch that is flushed or a cache that is swept holds less than its rate and the life of the process would make,
a start-up table holds what is older, and what fills up ever more slowly holds more.
"""

from __future__ import annotations

import numpy as np

from leakhunt.analysis.growth.age import is_of_start, is_old
from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.growth.holders import agrees
from leakhunt.analysis.growth.trends import POINTS_MIN
from leakhunt.analysis.heap.graph import Ints

from .verdicts import Verdict


def has_grown_all_along(evidence: Evidence, candidate: Verdict) -> bool:
    """Whether a process that was looked at for too short to be judged by it came to what it has at the rate of now."""
    policy = evidence.policy
    if evidence.intervals >= policy.settled_intervals or len(evidence.deep) < 2:
        return False
    if not is_old(evidence.censuses[0], policy.settled_intervals):
        return False
    if candidate.place is not None:
        return evidence.survey.of(candidate.place.members, evidence.first).has_grown_all_along(policy)
    trend = candidate.trend
    rises = round(trend.steady * (trend.points - 1))
    grew = trend.gain > 0 and trend.drawdown <= policy.age_drawdown
    often = trend.points < POINTS_MIN or rises >= policy.age_rises
    return grew and often and agrees(agreement(evidence, candidate), policy)


def agreement(evidence: Evidence, candidate: Verdict) -> float:
    """What there was at the first look over what the growth since would have made in the life before it.

    0.0 where much of that has gone.
    """
    if candidate.place is not None:
        return evidence.survey.of(candidate.place.members, evidence.first).agreement
    life = evidence.survey.life(evidence.first)
    if candidate.is_in_bytes:
        return life.agreement(float(candidate.counts[0]), candidate.trend.slope * life.looked_seconds)
    then = evidence.lineage.present[evidence.first]
    if candidate.group is not None:
        return _of_group(evidence, candidate, then)
    graph = evidence.graph
    rows = [row for row, name in enumerate(graph.snapshot.type_names) if name == candidate.type]
    members, within = np.isin(graph.types, rows), np.zeros(graph.count, dtype=bool)
    within[candidate.objects] = True
    gained = int((members & within & (then < 0)).sum())
    return life.agreement(int((members & (then >= 0) & ~is_of_start(graph)).sum()), gained)


def _of_group(evidence: Evidence, candidate: Verdict, then: Ints) -> float:
    """Of objects in one condition: those that were in it at the first look and are in it now."""
    stayed = float((then[candidate.direct] >= 0).sum())
    if stayed < evidence.policy.age_stayed * candidate.counts[0]:
        return 0.0
    return evidence.survey.life(evidence.first).agreement(stayed, float(candidate.counts[-1]) - stayed)
