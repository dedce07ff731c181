"""The classes of a run as rows small enough for a page: thousands of classes, hundreds of snapshots each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from leakhunt.findings import ClassSeries, Findings, ProcessSummary
from leakhunt.render import words
from leakhunt.render.chosen import gain

ROWS = 12_000
"""Rows of the page's table over all processes; the least moving classes of a larger run are counted instead."""
_SPARK, _DIGITS = 24, "0123456789abcdefghijklmnopqrstuvwxyz"


def class_data(findings: Findings) -> Markup:
    """JSON for the table's script: per process its rows [type, before, after, bytes before, bytes after, spark].

    `spark` has one base-36 digit per point, 0 lowest. No "<" is in it, so it cannot end its script element.
    """
    shown = [process for process in findings.processes if process.classes]
    share = ROWS // len(shown) if shown else 0
    tables = [_table(process, share) for process in shown]
    text = json.dumps(tables, separators=(",", ":"), ensure_ascii=True)
    return Markup(text.replace("<", "\\u003c"))


def top_rows(process: ProcessSummary, limit: int) -> list[list[Any]]:
    """The first rows of a process, for the page before (or without) its script."""
    return [row(series) for series in by_movement(process.classes)[:limit]]


def by_movement(classes: Sequence[ClassSeries]) -> list[ClassSeries]:
    """Largest gain first, and of those that did not move, the most numerous."""
    return sorted(classes, key=lambda series: (-gain(series), -max(series.counts, default=0), series.type))


def row(series: ClassSeries) -> list[Any]:
    ends = [*(series.counts[:1] or (0,)), *(series.counts[-1:] or (0,))]
    sizes = [*(series.bytes[:1] or (0,)), *(series.bytes[-1:] or (0,))]
    return [words.name(series.type, 160), *ends, *sizes, digits(series.counts)]


def digits(values: Sequence[int]) -> str:
    """
    >>> digits([0, 1, 2]), digits([7, 7])
    ('0iz', '')
    """
    low, high = min(values, default=0), max(values, default=0)
    if low == high:
        return ""
    step = max(1.0, len(values) / _SPARK)
    shown = [values[min(len(values) - 1, int((i + 1) * step) - 1)] for i in range(min(_SPARK, len(values)))]
    return "".join(_DIGITS[round((value - low) * 35 / (high - low))] for value in shown)


def _table(process: ProcessSummary, share: int) -> dict[str, Any]:
    ranked = by_movement(process.classes)
    return {
        "pid": process.pid,
        "command": words.name(process.command, 80),
        "rows": [row(series) for series in ranked[:share]],
        "left_out": max(0, len(ranked) - share),
    }
