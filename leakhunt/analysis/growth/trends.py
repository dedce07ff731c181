"""Does a series grow, and will it go on? Trend tests that a warm-up, a saw-tooth or a plateau does not pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from leakhunt.analysis.policy import POLICY, Policy

Floats = NDArray[np.float64]

POINTS_MIN = 4  # of three points each order is one of six: no rise of so few is told from chance
LOOKS_MIN = 3  # it takes these where more is known of each look than a number


@dataclass(frozen=True)
class Trend:
    """What a series did after its warm-up.

    `slope` per second (Theil-Sen); `p_value` of "it does not rise" (Mann-Kendall, one-sided); `later_share` is the
    slope of the later half over that of the whole; `drawdown` is the deepest fall as a share of the gain; `steady` the
    share of intervals that rose; `settling` what the last third of the time added over what the first did, where each
    third added less than the one before, else 1; `since_first` as `steady`, of the intervals from the first rise on.
    """

    points: int
    gain: float
    slope: float
    p_value: float
    later_share: float
    drawdown: float
    steady: float
    settling: float = 1.0
    since_first: float = 0.0

    @property
    def is_growth(self) -> bool:
        """It rises, it does not fall back, and it does not slow down towards a bound: by the usual policy."""
        return not objection(self, POLICY)


def objection(trend: Trend, policy: Policy) -> str:
    """What speaks against calling it growth, in words; "" where nothing does."""
    if trend.points < POINTS_MIN:
        return f"it was seen at {trend.points} moments only"
    if trend.gain <= 0:
        return "it has no more than before"
    if trend.drawdown > policy.drawdown:
        return f"it fell back by {trend.drawdown:.0%} of what it gained"
    if trend.slope <= 0 or trend.p_value > policy.p_value:
        return "it does not rise all the time"
    if trend.later_share < policy.deceleration:
        return f"in the later half it grew at {max(0.0, trend.later_share):.0%} of its pace only: it comes to an end"
    return ""


def start(seconds: Floats, share: float, started: int = 0) -> int:
    """Number of the first look that counts: after the first `share` of a run, and at `started` or later.

    So that enough is left: POINTS_MIN after the first share, LOOKS_MIN after the start-up.
    """
    by_share = after_warm_up(seconds, share).start or 0
    return max(int(by_share), min(started, max(0, len(seconds) - LOOKS_MIN)))


FLAT = Trend(0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)


def after_warm_up(seconds: Floats, share: float = POLICY.warm_up) -> slice:
    """The part of a run that counts: what comes after its first `share`, if enough is left."""
    if len(seconds) == 0:
        return slice(0, 0)
    begin = seconds[0] + share * (seconds[-1] - seconds[0])
    first = int(np.searchsorted(seconds, begin))
    return slice(min(first, max(0, len(seconds) - POINTS_MIN)), None)


def trend(seconds: Floats, values: Floats) -> Trend:
    """The trend of a series whose warm-up is already cut off; FLAT for fewer than two points."""
    if len(values) < 2:
        return FLAT
    slope = theil_sen(seconds, values)
    middle = len(values) // 2
    later = theil_sen(seconds[middle:], values[middle:]) if len(values) - middle >= 2 else slope
    gain = float(values[-1] - values[0])
    rises = np.diff(values) > 0
    fall = float(np.max(np.maximum.accumulate(values) - values))
    return Trend(
        points=len(values),
        gain=gain,
        slope=slope,
        p_value=mann_kendall(values),
        later_share=later / slope if slope > 0 else 0.0,
        drawdown=fall / gain if gain > 0 else 1.0,
        steady=float(np.mean(rises)),
        settling=_settling(seconds, values),
        since_first=float(np.mean(rises[np.argmax(rises) :])),
    )


def _settling(seconds: Floats, values: Floats) -> float:
    early, middle, late = np.diff(np.interp(np.linspace(seconds[0], seconds[-1], 4), seconds, values)).tolist()
    return max(0.0, late) / early if early > middle > late and early > 0 else 1.0


def mann_kendall(values: Floats) -> float:
    """One-sided p-value of the Mann-Kendall test for a rise; exact for short series, with ties corrected.

    >>> mann_kendall(np.array([1.0, 2, 3, 4, 5])) < 0.01
    True
    """
    if len(values) < 3 or np.all(values == values[0]):
        return 1.0
    result = stats.kendalltau(np.arange(len(values)), values, alternative="greater")
    return float(result.pvalue)


def slope_interval(seconds: Floats, values: Floats) -> tuple[float, float, float]:
    """Theil-Sen slope per second, and the two ends of the interval in which it lies at 95 %.

    Sen's interval, by the ranks of the slopes; it takes the points for independent of one another.
    """
    seconds, values = _picked(seconds, values)
    if len(values) < 3 or seconds[0] == seconds[-1]:
        return 0.0, -np.inf, np.inf
    slope, _, low, high = stats.theilslopes(values, seconds, 0.95)
    return float(slope), float(low), float(high)


def _picked(seconds: Floats, values: Floats) -> tuple[Floats, Floats]:
    """At most 200 points, evenly picked: there are slopes for every two of them."""
    if len(values) <= 200:
        return seconds, values
    rows = np.linspace(0, len(values) - 1, 200).astype(int)
    return seconds[rows], values[rows]


def theil_sen(seconds: Floats, values: Floats) -> float:
    """Median slope over all pairs of points, per second; of at most 200 points, evenly picked."""
    seconds, values = _picked(seconds, values)
    first, second = np.triu_indices(len(values), 1)
    spans = seconds[second] - seconds[first]
    kept = spans > 0
    if not kept.any():
        return 0.0
    return float(np.median((values[second] - values[first])[kept] / spans[kept]))
