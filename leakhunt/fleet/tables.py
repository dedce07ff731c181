"""A run as rows of the fleet's tables, split by day and thinned to what a report over thousands of them can use."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leakhunt.analysis.growth import trends
from leakhunt.findings import ClassSeries, Finding, Findings, ProcessSummary

SAMPLES_MAX = 288  # a day: one in five minutes
SERIES_MAX = 48  # of each class
CLASSES_MAX = 40  # the largest, and as many of those that grew most
HOUR, DAY = 3600.0, 86400.0

Row = dict[str, Any]
Tables = dict[str, list[Row]]


@dataclass(frozen=True)
class Origin:
    """Where a run is from; `started` are the moments at which its processes were first seen, by their folder's name."""

    run: str
    service: str
    release: str
    host: str
    started: Sequence[tuple[str, float]]


def rows(findings: Findings, origin: Origin) -> dict[str, Tables]:
    """The rows of every table, by day (UTC, as 2026-11-21).

    A finding is told of each process that has it, its growth shared among them.
    """
    days: dict[str, Tables] = defaultdict(lambda: defaultdict(list))
    by_rank = {finding.rank: finding for finding in findings.findings}
    for (name, started), process in zip(origin.started, findings.processes, strict=False):
        keys = {"run": origin.run, "process": name}
        moments = started + np.array(process.seconds, dtype=float)
        for day, window in _days(moments):
            tables = days[day]
            found = [by_rank[rank] for rank in process.findings if rank in by_rank]
            _add(tables, keys, started, moments, window, process, found, findings.verdict)
    return {day: dict(tables) for day, tables in days.items()}


def _add(
    tables: Tables,
    keys: Row,
    started: float,
    moments: NDArray[np.float64],
    window: slice,
    process: ProcessSummary,
    found: Iterable[Finding],
    verdict: str,
) -> None:
    at = moments[window]
    hours = float(at[-1] - at[0]) / HOUR
    rss, objects = np.array(process.rss_bytes[window]), np.array(process.gc_objects[window])
    tables["processes"].append({
        **keys, "pid": process.pid, "command": process.command, "python": process.python, "started": _stamp(started),
        "seconds": float(at[-1] - at[0]), "looks": len(at), "rss_bytes": int(rss[-1]),
        "rss_bytes_per_hour": _per_hour(at, rss), "objects_per_hour": _per_hour(at, objects), "verdict": verdict,
    })  # fmt: skip
    for k in _thinned(len(at), SAMPLES_MAX):
        tables["samples"].append({**keys, "at": _stamp(at[k]), "rss_bytes": int(rss[k]), "gc_objects": int(objects[k])})
    for finding in found:
        tables["findings"].append(_finding(finding, keys, started, hours))
    classes = [c for c in process.classes if len(c.counts) == len(moments)]
    whole = sum(c.bytes[window][-1] for c in classes) or 1
    for one in _chosen(classes, window):
        counts, sizes = one.counts[window], one.bytes[window]
        tables["classes"].append({
            **keys, "type": one.type, "objects": counts[-1], "size_bytes": sizes[-1], "share": sizes[-1] / whole,
            "bytes_per_hour": _per_hour(at, np.array(sizes)),
        })  # fmt: skip
        for k in _thinned(len(at), SERIES_MAX):
            tables["series"].append(
                {**keys, "at": _stamp(at[k]), "type": one.type, "objects": counts[k], "size_bytes": sizes[k]}
            )


def _finding(finding: Finding, keys: Row, started: float, hours: float) -> Row:
    """`growth` of a finding is that of all processes that have it."""
    holder, sharers = finding.holder, max(1, len(finding.pids))
    per_hour = finding.growth.bytes_per_minute * 60 / sharers
    return {
        **keys, "fingerprint": finding.fingerprint, "kind": finding.kind, "type": finding.type,
        "holder": holder.owner if holder else None, "file": holder.file if holder else None,
        "line": holder.line if holder else None, "confidence": finding.confidence,
        "objects_per_hour": finding.growth.per_minute * 60 / sharers, "bytes_per_hour": per_hour,
        "lost_bytes": int(max(0.0, per_hour) * hours), "started": _stamp(started),
    }  # fmt: skip


def _days(moments: NDArray[np.float64]) -> Iterator[tuple[str, slice]]:
    """(day, where its moments are) for each day that has some."""
    numbers = (moments // DAY).astype(np.int64)
    for number in np.unique(numbers).tolist():
        begin, end = np.searchsorted(numbers, [number, number + 1]).tolist()
        yield time.strftime("%Y-%m-%d", time.gmtime(number * DAY)), slice(begin, end)


def _chosen(classes: Sequence[ClassSeries], window: slice) -> list[ClassSeries]:
    """The largest classes at the end of the window and those that gained most in it."""
    largest = sorted(classes, key=lambda c: -c.bytes[window][-1])[:CLASSES_MAX]
    grown = sorted(classes, key=lambda c: c.bytes[window][0] - c.bytes[window][-1])[:CLASSES_MAX]
    return list({c.type: c for c in [*largest, *grown]}.values())


def _per_hour(at: NDArray[np.float64], values: NDArray[Any]) -> float:
    cut = trends.after_warm_up(at)
    return trends.theil_sen(at[cut], values[cut].astype(float)) * HOUR if len(at) >= 2 else 0.0


def _thinned(count: int, most: int) -> list[int]:
    """At most so many of the indices, the first and the last with them."""
    return list(range(count)) if count <= most else np.linspace(0, count - 1, most).astype(int).tolist()


def _stamp(seconds: float) -> int:
    """Microseconds since the epoch."""
    return int(seconds * 1e6)
