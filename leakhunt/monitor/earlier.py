"""What earlier starts of a service found, by their reports."""

from __future__ import annotations

import contextlib
from pathlib import Path

from leakhunt.errors import LeakhuntError
from leakhunt.findings import Finding
from leakhunt.reports import read_report
from leakhunt.runfolder import starts
from leakhunt.starts import REPORT

REPORTS_MAX = 20  # newest starts that are looked into


def earlier(run: Path) -> tuple[dict[str, tuple[str, Finding]], int]:
    """Leaks of the starts before this one, by fingerprint, with the first start that had them; how many starts."""
    known: dict[str, tuple[str, Finding]] = {}
    count = 0
    for start in [start for start in starts(run.parent) if start != run][-REPORTS_MAX:]:
        with contextlib.suppress(LeakhuntError):
            found = read_report(start / REPORT)
            count += found.verdict != "inconclusive"
            for finding in found.findings:
                known.setdefault(finding.fingerprint, (start.name, finding))
    return known, count
