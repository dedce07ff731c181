"""Which of thousands of classes, holders and processes a picture shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leakhunt.findings import ClassSeries, Findings, ProcessSummary

CURVES_MAX = 7


@dataclass(frozen=True)
class Curve:
    """How much more there is of a class or in a holder than at the curve's first moment."""

    name: str
    seconds: Sequence[float]
    rises: Sequence[int]
    is_accused: bool

    @property
    def gain(self) -> int:
        return self.rises[-1] if self.rises else 0


def gain(series: ClassSeries) -> int:
    """Instances more at the last snapshot than at the first."""
    return series.counts[-1] - series.counts[0] if series.counts else 0


def accused(findings: Findings, pid: int) -> list[str]:
    """Types that findings name for this process, best finding first; a finding without pids is about all."""
    return list(dict.fromkeys(f.type for f in findings.findings if not f.pids or pid in f.pids))


def top_growing(findings: Findings, process: ProcessSummary, limit: int = 7) -> list[ClassSeries]:
    """The accused classes first, then those that grew most; none that shrank, unless accused."""
    names = accused(findings, process.pid)
    ranked = sorted(process.classes, key=lambda series: -gain(series))
    first = [series for name in names for series in ranked if series.type == name]
    return [*first, *(s for s in ranked if gain(s) > 0 and s.type not in names)][:limit]


def class_curves(findings: Findings, process: ProcessSummary) -> list[Curve]:
    """Instances of the classes that `top_growing` names."""
    blamed = accused(findings, process.pid)
    return [
        Curve(series.type, process.seconds, _rises(series.counts), series.type in blamed)
        for series in top_growing(findings, process, CURVES_MAX)
    ]


def holder_curves(findings: Findings, process: ProcessSummary) -> list[Curve]:
    """Items of the holders that grew: the accused first, then those that grew most."""
    blamed = {f.holder.owner for f in findings.findings if f.holder and (not f.pids or process.pid in f.pids)}
    curves = [Curve(s.owner, s.seconds, _rises(s.items), s.owner in blamed) for s in process.holders]
    return sorted(curves, key=lambda curve: (not curve.is_accused, -curve.gain))[:CURVES_MAX]


def _rises(values: Sequence[int]) -> list[int]:
    return [value - values[0] for value in values]


def top_processes(findings: Findings, limit: int = 4) -> list[ProcessSummary]:
    """Processes with findings first, then those seen longest, in the order of the run."""
    seen = [process for process in findings.processes if process.seconds]
    ranked = sorted(seen, key=lambda process: (-len(process.findings), -len(process.seconds)))[:limit]
    return [process for process in seen if process in ranked]
