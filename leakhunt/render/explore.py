"""Pages to look around in, for notebooks: a treemap to go into, curves to pick from, ages. Nothing is fetched."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from leakhunt.findings import Findings, ProcessSummary, Retained
from leakhunt.render import palette, units, words
from leakhunt.render.html_pages import fill
from leakhunt.render.treemap import told_of

CURVES_MAX = 40
POINTS_MAX = 400
AGES_MAX = 60  # classes in a spectrum of ages
MOMENTS_MAX = 60

Moment = tuple[float, Mapping[str, Sequence[int]]]  # seconds; by class, its instances in each tenth, the oldest first


def treemap_page(whole: Retained, title: str) -> str:
    """The boxes of a heap; a click on one goes into it, and the path above goes back."""
    return fill("explore_treemap.html.j2", title=words.sentence(title), data=_script(_box(whole)))


def series_page(findings: Findings, by: str) -> str:
    """Curves of every process: classes in objects or bytes, or places in items, those that changed most first."""
    curves = [curve for process in findings.processes for curve in _curves(process, by)]
    curves.sort(key=lambda curve: -abs(curve["ys"][-1] - curve["ys"][0]))
    data = {"curves": curves[:CURVES_MAX], "colors": palette.LINES, "bytes": by == "bytes"}
    what = {"class": "Objects by class", "bytes": "Bytes by class", "holder": "Items by place"}[by]
    return fill("explore_series.html.j2", title=what, data=_script(data), empty=not curves)


def spectrum_page(moments: Sequence[Moment], title: str, unknown: str = "") -> str:
    """How old the instances of each class are, at one moment or at several to go through.

    Args:
        moments: in order of time; the classes shown are the largest of the newest one.
        unknown: why there is nothing to show, where there is not.
    """
    shown = largest(moments[-1][1])[:AGES_MAX] if moments else []
    data = {
        "seconds": [seconds for seconds, _ in moments],
        "classes": [
            {"name": words.name(name), "tenths": [list(map(int, found.get(name, ()))) for _, found in moments]}
            for name in shown
        ],
    }
    return fill("explore_spectrum.html.j2", title=words.sentence(title), data=_script(data), unknown=unknown)


def largest(spectra: Mapping[str, Sequence[int]]) -> list[str]:
    """Names of the classes that have instances, those with the most first."""
    return sorted((name for name in spectra if sum(spectra[name])), key=lambda name: (-sum(spectra[name]), name))


def _curves(process: ProcessSummary, by: str) -> list[dict[str, Any]]:
    if by == "holder":
        rows = [(series.owner, series.seconds, series.items) for series in process.holders]
    else:
        rows = [(s.type, process.seconds, s.bytes if by == "bytes" else s.counts) for s in process.classes]
    return [
        {"name": words.name(name), "pid": process.pid, "xs": xs[:: _stride(xs)], "ys": ys[:: _stride(xs)]}
        for name, xs, ys in rows
        if len(ys) > 1 and len(xs) == len(ys)
    ]


def _stride(points: tuple[float, ...]) -> int:
    return max(1, -(-len(points) // POINTS_MAX))


def _box(box: Retained) -> dict[str, Any]:
    return {
        "told": told_of(box) if box.type or not box.inside else "everything",
        "size": box.size_bytes,
        "shown": units.size(box.size_bytes),
        "inside": [_box(inner) for inner in box.inside],
    }


def _script(data: object) -> Markup:
    """JSON that may stand in a script: no name of the target's ends it."""
    text = json.dumps(data)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
