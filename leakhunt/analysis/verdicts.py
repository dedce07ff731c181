"""One verdict of a rule: a kind, how sure, one sentence, and the objects it is about."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from .graph import Ints
from .growth import Floats, Trend
from .holders import Place

NONE = np.empty(0, dtype=np.int64)
SETTLED_INTERVALS = 18.0
UNSETTLED_AT_MOST = 0.7
THIRDS_POINTS = 12
# What only lives a while grows, too, until the first of it is old enough to go; these conditions are leaks at any age.
TIMELESS = frozenset(("refcount-leak", "uncollectable", "resurrected"))


@dataclass(frozen=True)
class Verdict:
    """`holder` is the container's index, -1 for none; `owner` its name in source or of an interpreter's table.

    `counts` are objects, or bytes where `is_in_bytes`. `objects` are all leaked objects, `direct` those that the
    holder refers to itself. `native_bytes` of the `weight` are memory of C code that grew with them.
    """

    kind: str
    type: str
    confidence: float
    reason: str
    advice: str
    seconds: Floats
    counts: Floats
    trend: Trend
    owner: str | None = None
    also_owned_by: tuple[str, ...] = ()
    holder: int = -1
    objects: Ints = field(default_factory=lambda: NONE)
    direct: Ints = field(default_factory=lambda: NONE)
    weight: float = 0.0
    place: Place | None = None
    is_in_bytes: bool = False
    native_bytes: float = 0.0


def confidence(trend: Trend, survival: float = 1.0, certainty: float = 0.99, per_slowing: float = 1.5) -> float:
    """How sure a growing, surviving series makes us: less for few points, few objects, unsteady or slowing growth.

    `per_slowing` is the doubt for growth that came to a stand in the later half: a cache of few keys fills ever more
    slowly. Of few points the halves say little, of many the thirds more.
    """
    doubt = 1.0 - certainty
    doubt += 0.12 if trend.points < 6 else 0.04 if trend.points < 9 else 0.0
    doubt += 0.15 * max(0.0, 0.9 - trend.steady)
    doubt += 1.5 * (1.0 - min(1.0, survival))
    doubt += per_slowing * min(1.0, max(0, trend.points - 4) / 8) * max(0.0, 0.75 - trend.later_share)
    doubt += 0.5 * per_slowing * max(0.0, 0.75 - trend.settling) if trend.points >= THIRDS_POINTS else 0.0
    doubt += 0.2 * trend.drawdown
    doubt += 0.1 if trend.gain < 15 else 0.0
    return round(max(0.3, 1.0 - doubt), 2)


def doubted(verdict: Verdict, at_most: float, unless: str) -> Verdict:
    """The verdict, no surer than `at_most`, with the other explanation that there may be."""
    return replace(verdict, confidence=min(verdict.confidence, at_most), reason=f"{verdict.reason}, unless {unless}")


def settled(verdict: Verdict, intervals: float) -> Verdict:
    """The verdict, less sure where the process was watched for fewer than SETTLED_INTERVALS intervals.

    Sessions that live for a minute, a batch that is flushed after a minute and a half: until then they only grow.
    No curve tells them from a leak, and the interval is what the user said of the program's time scale.
    """
    if intervals >= SETTLED_INTERVALS or verdict.kind in TIMELESS:
        return verdict
    return replace(verdict, confidence=min(verdict.confidence, UNSETTLED_AT_MOST))
