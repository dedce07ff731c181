"""What is told of a run in figures: names, labels and values, the same for every system that collects them.

The number of series is bounded whatever the program does: 8 processes with 11 figures each, 20 places with 2 and 20
findings with 3, and a few of the run as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from leakhunt.analysis.growth.trends import theil_sen
from leakhunt.findings import Findings

from .follow import ProcessFigures

SERIES_MAX = 200
PROCESSES_MAX, PLACES_MAX, FINDINGS_MAX = 8, 20, 20
LABEL_MAX = 200  # characters

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Metric:
    """One name with a value for each set of labels; a "counter" only rises, a "gauge" does as it likes."""

    name: str
    help: str
    kind: str = "gauge"
    values: Sequence[tuple[Labels, float]] = ()


@dataclass(frozen=True)
class Watched:
    """All that is known of a run at one moment; `findings` are of the newest analysis, None before there is one."""

    processes: Sequence[ProcessFigures] = ()
    process_count: int = 0
    findings: Findings | None = None
    analyses: int = 0
    analysis_seconds: float = 0.0
    told: int = 0
    problems: int = 0
    places: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # items now, and more per minute


OF_PROCESS = (
    ("resident_memory_bytes", "rss_bytes", "gauge", "Memory of the process that is in RAM (RSS)."),
    ("malloc_in_use_bytes", "malloc_in_use_bytes", "gauge", "What malloc has handed out."),
    ("malloc_free_bytes", "malloc_free_bytes", "gauge", "What malloc keeps free."),
    ("allocated_blocks", "allocated_blocks", "gauge", "Blocks that Python's own allocator has handed out."),
    ("objects", "gc_objects", "gauge", "Objects that the garbage collector lists."),
    ("snapshots_total", "snapshots", "counter", "Snapshots taken."),
    ("graph_snapshots_total", "graphs", "counter", "Snapshots of the whole object graph."),
    ("pause_seconds_total", "pause_seconds", "counter", "Time that the program stood still for snapshots."),
    ("pause_longest_seconds", "longest_pause_seconds", "gauge", "The longest time that it stood still for one."),
    ("snapshot_seconds_total", "cost_seconds", "counter", "Time that taking snapshots took."),
    ("last_snapshot_timestamp_seconds", "last_seen", "gauge", "When the newest snapshot was taken."),
)


def metrics(watched: Watched) -> Iterator[Metric]:
    """The figures of this moment, in a fixed order; at most SERIES_MAX values together."""
    shown = watched.processes[:PROCESSES_MAX]
    for name, attribute, kind, told in OF_PROCESS:
        values = [({"pid": str(one.pid)}, float(getattr(one, attribute))) for one in shown]
        yield Metric(f"leakhunt_process_{name}", told, kind, values)
    yield _alone("processes", "Processes that were seen.", watched.process_count)
    yield from _of_places(watched)
    yield from _of_findings(watched)
    yield _alone("analyses_total", "Analyses while the run went on.", watched.analyses, "counter")
    yield _alone("analysis_seconds_total", "CPU time of them.", watched.analysis_seconds, "counter")
    yield _alone("alarms_total", "Commands of --on-leak that were run.", watched.told, "counter")
    yield _alone("problems_total", "Analyses and commands that failed.", watched.problems, "counter")


def _alone(name: str, told: str, value: float, kind: str = "gauge") -> Metric:
    return Metric(f"leakhunt_{name}", told, kind, [({}, float(value))])


def _of_places(watched: Watched) -> Iterator[Metric]:
    rows = [({"place": _label(name)}, *figures) for name, figures in list(watched.places.items())[:PLACES_MAX]]
    yield Metric("leakhunt_place_items", "Items in a place that grows.", "gauge", [(row[0], row[1]) for row in rows])
    told = "Items that a place gains per minute."
    yield Metric("leakhunt_place_growth_per_minute", told, "gauge", [(row[0], row[2]) for row in rows])


def _of_findings(watched: Watched) -> Iterator[Metric]:
    found = watched.findings.findings if watched.findings is not None else ()
    yield _alone("findings", "Leaks found by the newest analysis.", len(found))
    shown = found[:FINDINGS_MAX]
    described = [
        ({"fingerprint": f.fingerprint, "kind": f.kind, "class": _label(f.type),
          "holder": _label(f.holder.owner if f.holder else "")}, f.confidence)
        for f in shown
    ]  # fmt: skip
    yield Metric("leakhunt_finding_confidence", "How sure leakhunt is of a leak, 0 to 1.", "gauge", described)
    retained = [({"fingerprint": f.fingerprint}, float(f.retained_size_bytes)) for f in shown]
    yield Metric("leakhunt_finding_retained_bytes", "What would be freed with the leak.", "gauge", retained)
    rates = [({"fingerprint": f.fingerprint}, f.growth.bytes_per_minute) for f in shown]
    yield Metric("leakhunt_finding_growth_bytes_per_minute", "How fast the leak grows.", "gauge", rates)


def places(findings: Findings) -> dict[str, tuple[float, float]]:
    """(items now, more per minute) of the places that grow, over all processes; the fastest first."""
    found: dict[str, tuple[float, float]] = {}
    for process in findings.processes:
        for series in process.holders:
            slope = theil_sen(np.array(series.seconds), np.array(series.items, dtype=float))
            items, rate = found.get(series.owner, (0.0, 0.0))
            found[series.owner] = items + (series.items[-1] if series.items else 0), round(rate + 60 * slope, 2)
    return dict(sorted(found.items(), key=lambda item: -item[1][1]))


def _label(text: str) -> str:
    """A name of the target's as a label: cut, and without half characters, which no wire takes."""
    return text[:LABEL_MAX].encode("utf-8", "backslashreplace").decode()
