"""Whether a run shows the leak that is asked for: it was accused again, or what leaked does not grow any more."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from leakhunt.analysis.growth import trends
from leakhunt.analysis.heap.facts import says_nothing
from leakhunt.analysis.report.fingerprint import plain_name
from leakhunt.findings import Finding, Findings

LEAKS, CLEAN, UNCLEAR = "leaks", "clean", "unclear"

# An accusation that is absent is no proof. What leaked has to stand still as well, in a run about as long: a place that
# was fixed gains nothing, while one that is merely not accused goes on at its pace. Between the two nothing is said.
STILL_MAX = 0.1  # of the pace at which it leaked
GOES_ON_MIN = 0.5
WATCHED_MIN = 0.6  # of the looks that the leak was named by


@dataclass(frozen=True)
class Opinion:
    """`state` is LEAKS, CLEAN or UNCLEAR; `why` is a part of a sentence; `is_same` says that the fingerprint is.

    `goes_on`: the leak is not named, but what leaked grows at its pace. That is too little to call a release leaking,
    and enough to agree with a run in which it was named.
    """

    state: str
    why: str
    is_same: bool = False
    goes_on: bool = False


@dataclass(frozen=True)
class Target:
    """The leak that is asked for: a finding of `shown`, and the fingerprints of what is there with and without it."""

    finding: Finding
    shown: Findings
    usual: frozenset[str] = frozenset()


def opinion(seen: Findings, target: Target) -> Opinion:
    """What a run says of the leak."""
    wanted = target.finding
    if any(finding.fingerprint == wanted.fingerprint for finding in seen.findings):
        return Opinion(LEAKS, "the same leak is named", is_same=True)
    like = next((f for f in seen.findings if f.fingerprint not in target.usual and is_like(f, wanted)), None)
    if like is not None:
        return Opinion(LEAKS, f"the same is named by another place or class, {_called(like)}")
    if not seen.processes:
        return Opinion(UNCLEAR, "no Python process reported in")
    pace = _pace(seen, target)
    if pace is not None and pace >= GOES_ON_MIN:
        return Opinion(UNCLEAR, f"it is not named, but what leaked grows at {pace:.0%} of its pace", goes_on=True)
    if seen.verdict == "healthy":
        return Opinion(CLEAN, "nothing grows without end")
    if pace is None or pace > STILL_MAX:
        return Opinion(UNCLEAR, seen.summary if seen.verdict == "inconclusive" else "what leaked may still grow")
    if _looks(seen) < WATCHED_MIN * _looks(target.shown):
        return Opinion(UNCLEAR, f"it was watched by {_looks(seen)} looks only")
    return Opinion(CLEAN, "what leaked does not grow")


def different(here: Findings, there: Findings) -> list[Finding]:
    """The findings of one run that the other has not, nor anything like them; the worst first."""
    known = {finding.fingerprint for finding in there.findings}
    return [
        finding
        for finding in here.findings
        if finding.fingerprint not in known and not any(is_like(finding, other) for other in there.findings)
    ]


def is_like(one: Finding, other: Finding) -> bool:
    """Whether two findings are probably one leak under two names: a class that tells something, or a common place."""
    if one.type and one.type == other.type and not says_nothing(one.type):
        return True
    return bool(set(_names(one)) & set(_names(other)))


def _names(finding: Finding) -> Iterator[str]:
    if finding.holder is not None:
        yield from map(plain_name, (finding.holder.owner, *finding.holder.aliases))


def _called(finding: Finding) -> str:
    return f"{finding.type or finding.kind}{f' in {finding.holder.owner}' if finding.holder else ''}"


def _looks(findings: Findings) -> int:
    return max((len(process.seconds) for process in findings.processes), default=0)


def _pace(seen: Findings, target: Target) -> float | None:
    """Growth of what leaked as a share of what it was in the run that showed it; None where that can't be told."""
    finding = target.finding
    if finding.type and not says_nothing(finding.type):
        before, now = _class_rate(target.shown, finding.type), _class_rate(seen, finding.type)
    elif finding.holder is not None:
        names = frozenset(_names(finding))
        before, now = _place_rate(target.shown, names), _place_rate(seen, names)
    else:
        return None
    return max(0.0, now) / before if before > 0 else None


def _class_rate(findings: Findings, name: str) -> float:
    """Instances per second, all processes together."""
    total = 0.0
    for process in findings.processes:
        for series in process.classes:
            if series.type == name and len(series.counts) == len(process.seconds):
                total += _slope(process.seconds, series.counts)
    return total


def _place_rate(findings: Findings, names: Collection[str]) -> float:
    """Items per second in the places of these names; one that does not grow is in no list, and so gains nothing."""
    places = (place for process in findings.processes for place in process.holders if plain_name(place.owner) in names)
    return sum(_slope(place.seconds, place.items) for place in places)


def _slope(seconds: tuple[float, ...], counts: tuple[int, ...]) -> float:
    moments, values = np.array(seconds), np.array(counts, dtype=float)
    window = trends.after_warm_up(moments)
    return trends.theil_sen(moments[window], values[window]) if len(values) >= 2 else 0.0
