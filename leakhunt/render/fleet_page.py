"""A fleet as one page with plots, which opens in any browser and fetches nothing."""

from __future__ import annotations

import io
import time
from collections.abc import Iterable
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from leakhunt.findings import Fleet
from leakhunt.render import fleet as told
from leakhunt.render import palette, units, words
from leakhunt.render.html_pages import fill
from leakhunt.render.plot import STYLE

_FINDINGS, _ODD, _CURVES, _RELEASES = 40, 100, 8, 24


def fleet_page(found: Fleet) -> str:
    """The whole page."""
    return fill(
        "fleet.html.j2",
        fleet=found,
        headline=told.headline(found),
        findings=[(finding, told.has_it(finding)) for finding in found.findings[:_FINDINGS]],
        odd=[(one, *told.odd_words(one)) for one in found.odd[:_ODD]],
        memory=_drawn(_memory(found)),
        growth=_drawn(_growth(found)),
        day=told.day,
    )


def _drawn(figure: Figure) -> Markup:
    """A figure as SVG for the inside of a page; matplotlib escapes what is written in it."""
    with matplotlib.rc_context(STYLE):
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None})
    return Markup(target.getvalue()[target.getvalue().index("<svg") :])


def _memory(found: Fleet) -> Figure:
    """Memory of one process in the mean, by release, over time: what a fleet's size does not hide."""
    figure, axes = _figure()
    for number, one in enumerate(found.memory[-_CURVES:]):
        each = [rss / max(1, count) for rss, count in zip(one.rss_bytes, one.processes, strict=True)]
        hours = [moment / 3600 for moment in one.seconds]
        axes.plot(hours, each, label=words.name(f"{one.service} {one.release}"), **_look(number))
    axes.set_title("Memory of a process, in the mean", loc="left", size=9)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: units.size(value)))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: time.strftime("%m-%d %H:%M", time.gmtime(value * 3600)))
    )
    axes.locator_params(axis="x", nbins=6)
    if found.memory:
        _plain(axes.legend(fontsize=8, frameon=False).get_texts())
    return figure


def _growth(found: Fleet) -> Figure:
    """How the growth of the workers is spread, by release: the middle half as a box, lowest and highest as whiskers."""
    figure, axes = _figure()
    shown = found.releases[-_RELEASES:]
    boxes = [
        {"med": one.median, "q1": one.lower, "q3": one.upper, "whislo": one.lowest, "whishi": one.highest, "fliers": [],
         "label": words.name(f"{one.service} {one.release}", 30)}
        for one in shown
    ]  # fmt: skip
    if boxes:
        axes.bxp(boxes, showfliers=False)
    axes.set_title("Growth of the workers, per hour", loc="left", size=9)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: units.size(value)))
    axes.tick_params(axis="x", labelrotation=20, labelsize=8)
    _plain(axes.get_xticklabels())
    return figure


def _plain(texts: Iterable[Any]) -> None:
    """What a service calls itself is no formula."""
    for text in texts:
        text.set_parse_math(False)


def _figure() -> tuple[Figure, Any]:
    figure = Figure(figsize=(8, 3.2), facecolor=palette.PAPER, layout="constrained")
    return figure, figure.subplots()


def _look(number: int) -> dict[str, Any]:
    look = number % len(palette.LINES)
    return {"color": palette.LINES[look], "linestyle": palette.DASHES[look], "linewidth": 1.4}
