"""Long series made short enough to draw, keeping what the eye looks for."""

from __future__ import annotations

import math
from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"

Points = tuple[list[float], list[float]]


def decimate(xs: Sequence[float], ys: Sequence[float], limit: int) -> Points:
    """At most `limit` points (at least 4): first, last, and the lowest and highest of each stretch between.

    Lows and highs, not every n-th point: a saw-tooth must stay a saw-tooth.
    """
    length = min(len(xs), len(ys))
    if length <= limit:
        return list(map(float, xs[:length])), list(map(float, ys[:length]))
    kept = {0, length - 1}
    stretches = max(1, (limit - 2) // 2)
    for number in range(stretches):
        start, stop = 1 + number * (length - 2) // stretches, 1 + (number + 1) * (length - 2) // stretches
        kept |= {min(range(start, stop), key=ys.__getitem__), max(range(start, stop), key=ys.__getitem__)}
    order = sorted(kept)
    return [float(xs[i]) for i in order], [float(ys[i]) for i in order]


def spark(values: Sequence[float], width: int = 24) -> str:
    """A line of block characters, lowest to highest; "" for fewer than two values.

    >>> spark([0, 1, 2, 3])
    '▁▃▆█'
    """
    if len(values) < 2:
        return ""
    step = max(1.0, len(values) / width)
    shown = [values[min(len(values) - 1, int((i + 1) * step) - 1)] for i in range(min(width, len(values)))]
    low, high = min(shown), max(shown)
    spread = (high - low) or 1
    return "".join(_BLOCKS[round((value - low) * 7 / spread)] for value in shown)


def bars(counts: Sequence[float]) -> str:
    """A bar for each number, from nothing (a space) to the most of them.

    >>> bars([0, 1, 8, 0, 4])
    ' ▁█ ▄'
    """
    most = max(counts, default=0) or 1
    return "".join(" " if n <= 0 else _BLOCKS[math.ceil(8 * n / most) - 1] for n in counts)


def trend(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float] | None:
    """Slope and intercept of the least-squares line; None for fewer than two distinct moments."""
    length = min(len(xs), len(ys))
    if length < 2:
        return None
    mean_x, mean_y = sum(xs[:length]) / length, sum(ys[:length]) / length
    spread = sum((x - mean_x) ** 2 for x in xs[:length])
    if not spread:
        return None
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=False)) / spread
    return slope, mean_y - slope * mean_x
