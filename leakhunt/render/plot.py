"""Growth over time as a picture: classes or holders above, the memory ledger below, one column per process."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from leakhunt.errors import UsageError
from leakhunt.findings import Findings, ProcessSummary
from leakhunt.render import palette, units, words
from leakhunt.render.chart import time_unit
from leakhunt.render.selection import Curve, class_curves, holder_curves, top_processes
from leakhunt.render.series import decimate

Choose = Callable[[Findings, ProcessSummary], list[Curve]]
FORMATS = ("png", "svg")
# What the curves are of -> how they are chosen, what the axis counts, what stands there when there is none.
BY: dict[str, tuple[Choose, str, str]] = {
    "class": (class_curves, "instances more than at the first snapshot", "No class grew."),
    "holder": (holder_curves, "items more than after the warm-up", "No holder was seen to grow."),
}
_POINTS = 600
# The number of each curve's colour, dash and marker.
LEDGER_LOOKS = {"RSS": 0, "in use by malloc": 2, "kept free by malloc": 3, "objects under gc": 1}
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "leakhunt",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def growth(findings: Findings, format: str = "png", by: str = "class") -> bytes:
    """The growth plot as "png" or "svg", by "class" or "holder"; without snapshots, a sentence in its place."""
    if format not in FORMATS:
        raise UsageError(f"A plot cannot be written as {format!r}.", f"Choose one of: {', '.join(FORMATS)}.")
    if by not in BY:
        raise UsageError(f"There is no growth by {by!r}.", f"Choose one of: {', '.join(BY)}.")
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; a warning would help nobody.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        target = io.BytesIO()
        metadata = {"Date": None} if format == "svg" else None
        _figure(findings, by).savefig(target, format=format, dpi=140, metadata=metadata)
    return target.getvalue()


def _figure(findings: Findings, by: str) -> Figure:
    processes = top_processes(findings)
    if not processes:
        return _sentence("No snapshot was taken, so there is nothing to plot.")
    figure = Figure(figsize=(10 if len(processes) == 1 else 7.5 * len(processes), 6.4), facecolor=palette.PAPER)
    heading = f"{words.VERDICT_WORDS.get(findings.verdict, '')}  {words.name(words.run_line(findings), 95)}"
    hidden = len(findings.processes) - len(processes)
    if hidden > 0:
        heading += f" (+ {units.plural(hidden, 'more process', 'more processes')})"
    figure.suptitle(heading, x=0.012, ha="left", size=10.5, weight="bold", parse_math=False)
    grid: Any = figure.subplots(2, len(processes), squeeze=False, sharex="col", height_ratios=(3, 2))
    left, right = 0.1 / len(processes) ** 0.5, 1 - 0.235 / len(processes)
    figure.subplots_adjust(left=left, right=right, top=0.88, bottom=0.125, hspace=0.13, wspace=0.62)
    for column, process in enumerate(processes):
        _growths(grid[0][column], findings, process, by)
        _ledger(grid[1][column], process)
    _key(figure, left)
    return figure


def _key(figure: Figure, left: float) -> None:
    """What the curves of the ledgers are, said once for all processes."""
    drawn = {str(line.get_label()): line for axes in figure.axes for line in axes.get_lines()}
    shown = [drawn[name] for name in LEDGER_LOOKS if name in drawn]
    look = {"fontsize": 8, "frameon": False, "handlelength": 3.4, "borderaxespad": 0.4}
    figure.legend(handles=shown, loc="lower left", bbox_to_anchor=(left, 0.0), ncols=len(shown) or 1, **look)


def _sentence(text: str) -> Figure:
    figure = Figure(figsize=(7, 1.6), facecolor=palette.PAPER)
    figure.text(0.5, 0.5, text, ha="center", va="center", color=palette.INK, size=11)
    return figure


def _growths(axes: Any, findings: Findings, process: ProcessSummary, by: str) -> None:
    choose, label, nothing = BY[by]
    curves = choose(findings, process)
    title = words.shorten(words.printable(process.command), 50)
    axes.set_title(f"process {process.pid}  {title}", loc="left", size=9, parse_math=False)
    axes.set_ylabel(label)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: units.plus(units.count(value))))
    scale, _ = time_unit(max(process.seconds))
    for number, curve in enumerate(curves):
        _line(axes, curve.seconds, curve.rises, scale, number, thick=curve.is_accused)
    if not curves:
        axes.text(0.5, 0.5, nothing, transform=axes.transAxes, ha="center", color=palette.QUIET)
        axes.set_yticks([])
    _label_ends(axes, curves)
    _mark_deep(axes, process, scale)
    _rule(axes)


def _line(axes: Any, seconds: Sequence[float], values: Sequence[float], scale: float, number: int, thick: bool) -> None:
    xs, ys = decimate([s / scale for s in seconds], values, _POINTS)
    look, step = number % len(palette.LINES), max(1, len(xs) // 8)
    axes.plot(
        xs,
        ys,
        color=palette.LINES[look],
        linestyle=palette.DASHES[look],
        marker=palette.MARKERS[look],
        markevery=(number * max(1, step // 2) % step, step),
        markersize=4.5,
        linewidth=2.4 if thick else 1.3,
    )


def _label_ends(axes: Any, curves: Sequence[Curve]) -> None:
    """Names at the line ends, moved apart where lines end close together."""
    low, high = axes.get_ylim()
    ends = [(curve.gain - low) / (high - low or 1) for curve in curves]
    for place, number in zip(_apart(sorted(ends), 0.1), sorted(range(len(ends)), key=ends.__getitem__), strict=True):
        curve, line = curves[number], axes.lines[number]
        text = f"{words.short_type(curve.name, 27)}\n{units.plus(units.count(curve.gain))}"
        axes.annotate(
            text,
            xy=(line.get_xdata()[-1], line.get_ydata()[-1]),
            xytext=(1.03, place),
            textcoords="axes fraction",
            va="center",
            size=8,
            color=line.get_color(),
            weight="bold" if curve.is_accused else "normal",
            annotation_clip=False,
            parse_math=False,
            arrowprops={"arrowstyle": "-", "color": line.get_color(), "lw": 0.6, "relpos": (0, 0.5)},
        )


def _apart(places: Sequence[float], gap: float) -> list[float]:
    """Sorted places at least `gap` apart, shifted back so that the last stays within 1 where that can be.

    >>> [round(place, 2) for place in _apart([0.5, 0.5, 1.0], 0.1)]
    [0.5, 0.6, 1.0]
    """
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + gap) if moved else place)
    top = 1.0
    for number in range(len(moved) - 1, -1, -1):
        moved[number] = top = min(moved[number], top)
        top -= gap
    return moved


def _mark_deep(axes: Any, process: ProcessSummary, scale: float) -> None:
    if process.deep_seconds:
        moments = [seconds / scale for seconds in process.deep_seconds]
        look = {"marker": "|", "color": palette.INK, "markersize": 11, "linestyle": "none", "clip_on": False}
        axes.plot(moments, [0.0] * len(moments), transform=axes.get_xaxis_transform(), **look)
        axes.text(
            0.0, -0.055, "|  whole graph taken", transform=axes.transAxes, size=7.5, color=palette.QUIET, va="top"
        )


def _ledger(axes: Any, process: ProcessSummary) -> None:
    """Memory on the left axis, objects the collector tracks on the right one: RSS that rises alone is not theirs."""
    scale, unit = time_unit(max(process.seconds))
    axes.set_xlabel(f"{unit} since the start of the process")
    memory = {
        "RSS": process.rss_bytes,
        "in use by malloc": process.malloc_in_use_bytes,
        "kept free by malloc": process.malloc_free_bytes,
    }
    _one_side(axes, process.seconds, memory, scale, "memory", units.size)
    if process.gc_objects:
        other = axes.twinx()
        other.spines["right"].set_visible(True)
        _one_side(other, process.seconds, {"objects under gc": process.gc_objects}, scale, "objects", units.count)
    _rule(axes)


def _one_side(
    axes: Any,
    seconds: Sequence[float],
    values: Mapping[str, Sequence[int]],
    scale: float,
    label: str,
    unit: units.Write,
) -> None:
    """The curves that share an axis; those without values are left out."""
    axes.set_ylabel(label)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: unit(value)))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))  # 12.5 MB would be written as 12 MB
    for name, figures in values.items():
        if figures:
            _line(axes, seconds, figures, scale, LEDGER_LOOKS[name], thick=False)
            axes.get_lines()[-1].set_label(name)
    most = max((max(figures) for figures in values.values() if figures), default=0)
    axes.set_ylim(0, most * 1.08 or 1)


def _rule(axes: Any) -> None:
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.015)
