"""Which of thousands of classes and processes a picture shows."""

from __future__ import annotations

from leakhunt.findings import ClassSeries, Findings, ProcessSummary


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


def top_processes(findings: Findings, limit: int = 4) -> list[ProcessSummary]:
    """Processes with findings first, then those seen longest, in the order of the run."""
    seen = [process for process in findings.processes if process.seconds]
    ranked = sorted(seen, key=lambda process: (-len(process.findings), -len(process.seconds)))[:limit]
    return [process for process in seen if process in ranked]
