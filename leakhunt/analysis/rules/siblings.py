"""What processes that run the same code show together: workers that are recycled each live too short for a verdict.

A leak shows in every one of them, at the same place, at the same pace at the end of a life as at its beginning. What a
worker fills when it starts (imports, caches of few keys) is filled by the middle of its life. So their curves are laid
over each other by age, and the curve of the mean is judged as that of one process would be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from leakhunt.analysis.growth import holders, trends
from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.growth.trends import Floats
from leakhunt.analysis.policy import POLICY, Policy

from . import growing_holders
from .doubts import doubted
from .verdicts import Verdict

BINS = 8
# The pooled curve is not young, and its points are means of many looks.
SPARED = frozenset(("young", "few looks", "few bursts"))


@dataclass(frozen=True)
class Life:
    """What one process shows of one place: `items` at an age of `seconds`, graphs and censuses alike."""

    owner: str
    seconds: Floats
    items: Floats
    survival: float
    bound: int | None

    @property
    def gain(self) -> float:
        return float(self.items[-1] - self.items[0])


@dataclass(frozen=True)
class Pooled:
    """A place that grows in `growing` of `of` processes; `items` is their mean by age, from the youngest look on."""

    owner: str
    seconds: Floats
    items: Floats
    growing: int
    of: int


def lives(evidence: Evidence) -> list[Life]:
    """The places of one process that have more in them at its last graph than at its first; none of one graph."""
    if len(evidence.deep) < 2:
        return []
    survey, found = evidence.survey, []
    for owner, (members, _) in survey.grown(0).items():
        seen = survey.of(members, 0)
        seconds, items = seen.series
        if len(items) > 1 and not (owner.startswith("<") and len(members) > 1):
            found.append(Life(owner, seconds, items, seen.survival, seen.bound))
    return found


def pooled(processes: Sequence[Sequence[Life]], policy: Policy = POLICY) -> list[Pooled]:
    """The places that grow in nearly all of the processes, by their curves laid over each other.

    Args:
        processes: what each showed; those that were seen once only are not among them.
    """
    by_owner: dict[str, list[Life]] = defaultdict(list)
    for seen in processes:
        for life in seen:
            by_owner[life.owner].append(life)
    found = []
    for owner, same in by_owner.items():
        growing = [life for life in same if life.gain > 0 and life.bound is None and life.survival >= policy.survival]
        if len(growing) < max(policy.siblings, policy.siblings_share * len(processes)):
            continue
        seconds, items = _mean_curve(growing)
        if len(items) >= trends.POINTS_MIN:
            found.append(Pooled(owner, seconds, items, len(growing), len(processes)))
    return found


def _mean_curve(same: Sequence[Life]) -> tuple[Floats, Floats]:
    """Mean items by age: in each part of a life the mean of what was gained in it, added up.

    A part counts where a third of the processes, and two at least, were looked at before and after it.
    """
    begin, end = min(life.seconds[0] for life in same), max(life.seconds[-1] for life in same)
    edges = np.linspace(begin, end, BINS + 1)
    gains = np.full((len(same), BINS), np.nan)
    for row, life in enumerate(same):
        inside = (edges >= life.seconds[0] - 1e-9) & (edges <= life.seconds[-1] + 1e-9)
        both = inside[:-1] & inside[1:]
        gains[row, both] = np.diff(np.interp(edges, life.seconds, life.items))[both]
    enough = (~np.isnan(gains)).sum(axis=0) >= max(2, len(same) / 3)
    last = int(np.argmin(enough)) if not enough.all() else BINS  # up to the first part that too few saw
    means = np.nanmean(gains[:, :last], axis=0) if last else np.empty(0)
    return edges[: last + 1], np.concatenate(([0.0], np.cumsum(means))) if last else np.empty(0)


def verdict(evidence: Evidence, place: Pooled) -> Verdict | None:
    """The candidate for a pooled place, with the objects as one process shows them; None where it does not grow.

    Args:
        evidence: of a process that shows the place.
    """
    policy = evidence.policy
    window = trends.after_warm_up(place.seconds, policy.warm_up)
    seconds, items = place.seconds[window], place.items[window]
    trend = trends.trend(seconds, items)
    if trends.objection(trend, policy) or trend.later_share < policy.later:
        return None
    members = evidence.survey.grown(0).get(place.owner, ((), ()))[0]
    if not members:
        return None
    seen = evidence.survey.of(members, 0)
    known = holders.measured_place(place.owner, seen)
    candidate = growing_holders.candidate(evidence, replace(known, is_steady=True))
    lived = f"{place.growing} of {place.of} processes of the same kind, which lived for {place.seconds[-1]:.0f} s"
    pooled_candidate = replace(
        candidate,
        reason=f"{items[-1] - items[0]:,.0f} more items in each of {lived} at most, "
        f"as many at the end of a life as at its beginning",
        seconds=seconds,
        counts=items,
        trend=trend,
        spared=candidate.spared | SPARED,
    )
    return doubted(evidence, [pooled_candidate])[0]


def levels(seen: Sequence[Life], policy: Policy = POLICY) -> dict[str, float]:
    """By owner, how many items a place of one process had when it stopped growing, for those that did."""
    found = {}
    for life in seen:
        trend = trends.trend(life.seconds, life.items)
        stopped = trend.drawdown <= policy.drawdown and trend.later_share < policy.deceleration
        if trend.points >= trends.POINTS_MIN and trend.gain > 0 and stopped:
            found[life.owner] = float(life.items[-1])
    return found


def is_below_level(items: float, same: Sequence[float], policy: Policy = POLICY) -> bool:
    """Whether a place has no more than it had in processes of its kind when it stopped growing there.

    Args:
        same: the levels of those processes in which it did stop.
    """
    return len(same) >= policy.siblings_levelled and items <= policy.level_slack * float(np.median(same))


def groups(kinds: Iterable[tuple[str, str]]) -> dict[tuple[str, str], list[int]]:
    """Numbers of the processes by (command, parent's pid): those that run the same code."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, kind in enumerate(kinds):
        found[kind].append(number)
    return found
