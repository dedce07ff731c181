"""Line charts that stand inside a page: SVG whose colours are the page's, with names at the line ends."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

from markupsafe import Markup

from leakhunt.render import units
from leakhunt.render.series import decimate

WIDTH, HEIGHT = 400, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 10, 10, 40
_POINTS = 300


@dataclass(frozen=True)
class Curve:
    """One line; `style` is a class of the page's style sheet ("main", "trend")."""

    xs: Sequence[float]
    ys: Sequence[float]
    style: str = "main"


@dataclass(frozen=True)
class Chart:
    """Curves over seconds; `marks` are moments shown as ticks on the time axis. `told` is the chart in words."""

    told: str
    curves: Sequence[Curve]
    write: units.Write = units.count
    marks: Sequence[float] = field(default=())

    def svg(self) -> Markup:
        """Empty when no curve has two points."""
        drawn = [Curve(*decimate(c.xs, c.ys, _POINTS), c.style) for c in self.curves]
        drawn = [curve for curve in drawn if len(curve.xs) > 1]
        if not drawn:
            return Markup("")
        frame = _Frame.around(drawn)
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>{escape(self.told)}</title>",
            *_value_axis(frame, self.write),
            *_time_axis(frame),
            *(_mark(frame, moment) for moment in self.marks if frame.left <= moment <= frame.right),
            *(_line(frame, curve) for curve in drawn),
            "</svg>",
        ]
        return Markup("".join(lines))


@dataclass(frozen=True)
class _Frame:
    """The values at the edges of the chart, and how they become places."""

    left: float
    right: float
    low: float
    high: float

    @classmethod
    def around(cls, curves: Sequence[Curve]) -> _Frame:
        xs = [x for curve in curves for x in curve.xs]
        ys = [y for curve in curves for y in curve.ys] + [0.0]
        low, high = min(ys), max(ys)
        return cls(min(xs), max(xs), low, high + (high - low) * 0.05 or 1.0)

    def x(self, value: float) -> float:
        return _LEFT + (value - self.left) / ((self.right - self.left) or 1) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - _BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - _TOP - _BOTTOM)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from low to high.

    >>> ticks(0, 23)
    [0.0, 5.0, 10.0, 15.0, 20.0]
    """
    rough = (high - low) / most or 1.0
    power: float = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step)
    return [step * number for number in range(first, math.floor(high / step) + 1)]


def _value_axis(frame: _Frame, write: units.Write) -> Iterator[str]:
    for value in ticks(frame.low, frame.high, 4):
        y = frame.y(value)
        yield f'<path class="rule" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(write(value))}</text>'


def _time_axis(frame: _Frame) -> Iterator[str]:
    scale, unit = time_unit(frame.right)
    for value in ticks(frame.left / scale, frame.right / scale, 5):
        at = frame.x(value * scale)
        yield f'<text x="{at:.1f}" y="{HEIGHT - _BOTTOM + 19}" text-anchor="middle">{value:g}</text>'
    yield f'<text x="{WIDTH - _RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{unit} since the process started</text>'


def time_unit(last: float) -> tuple[float, str]:
    """Seconds per unit and the unit's name, for an axis that ends at `last` seconds."""
    if last > 3 * 3600:
        return 3600.0, "hours"
    return (60.0, "minutes") if last > 300 else (1.0, "seconds")


def _mark(frame: _Frame, moment: float) -> str:
    return f'<path class="mark" d="M{frame.x(moment):.1f} {HEIGHT - _BOTTOM - 8}v14"/>'


def _line(frame: _Frame, curve: Curve) -> str:
    points = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in zip(curve.xs, curve.ys, strict=True))
    return f'<polyline class="{curve.style}" points="{points}"/>'
