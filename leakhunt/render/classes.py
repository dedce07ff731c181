"""The classes of a run as rows small enough for a page: thousands of classes, hundreds of snapshots each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from leakhunt.findings import ClassSeries, Findings, ProcessSummary
from leakhunt.render import words

ROWS = 12_000
"""Rows of the page's table over all processes; the least moving classes of a larger run are counted instead."""
_SPARK, _DIGITS = 24, "0123456789abcdefghijklmnopqrstuvwxyz"


def class_data(findings: Findings) -> Markup:
    """JSON for the table's script: per process its rows as of `class_rows`.

    No "<" is in it, so it cannot end its script element.
    """
    shown = [process for process in findings.processes if process.classes]
    share = ROWS // len(shown) if shown else 0
    tables = [_table(process, share) for process in shown]
    text = json.dumps(tables, separators=(",", ":"), ensure_ascii=True)
    return Markup(text.replace("<", "\\u003c"))


def class_rows(process: ProcessSummary) -> list[list[Any]]:
    """All classes, the largest gain first, and of those that did not move, the most numerous.

    [type, before, after, bytes before, bytes after, spark]; `spark` is None where only the ends are known.
    """
    rows = [[*_ends(series), digits(series.counts)] for series in process.classes]
    rows += [[*_ends(series), None] for series in process.quieter]
    return sorted(rows, key=lambda row: (row[1] - row[2], -max(row[1], row[2]), row[0]))


def _ends(series: ClassSeries) -> list[Any]:
    ends = [*(series.counts[:1] or (0,)), *(series.counts[-1:] or (0,))]
    sizes = [*(series.bytes[:1] or (0,)), *(series.bytes[-1:] or (0,))]
    return [words.name(series.type, 160), *ends, *sizes]


def digits(values: Sequence[int]) -> str:
    """A base-36 digit per point, 0 lowest; "" for what never changed.

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
    rows = class_rows(process)
    return {
        "pid": process.pid,
        "command": words.name(process.command, 80),
        "rows": rows[:share],
        "left_out": max(0, len(rows) - share),
    }
