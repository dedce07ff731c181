"""What `attach` says while it measures: what it would report by now, each time that changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from leakhunt.cli.output import say
from leakhunt.errors import LeakhuntError

if TYPE_CHECKING:
    from leakhunt.analysis.growth.known import Known
    from leakhunt.findings import Findings

SURE = 0.9


class Thinking:
    """Called again and again, it analyses the run folder beside the measuring when there is something new to see.

    One analysis at a time; what is left of one when the measuring ends is given up, for the report comes then.
    """

    def __init__(self, folder: Path, known: Known, tell: Callable[[str], None] = say) -> None:
        self._folder, self._known, self._tell = folder, known, tell
        self._thread: threading.Thread | None = None
        self._seen = 0
        self._said: object = None
        self._is_over = False

    def __call__(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        seen = sum(1 for _ in self._folder.glob("pid-*/*.leak"))
        if seen > max(self._seen, 1):
            self._seen = seen
            self._thread = threading.Thread(target=self._think, daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Say nothing from here on."""
        self._is_over = True

    def _think(self) -> None:
        from leakhunt.pipeline import hunt

        try:
            findings = hunt(self._folder, known=self._known)
        except (LeakhuntError, OSError):  # a snapshot is being written, or the folder is gone: the report will say
            return
        key, text = thought(findings)
        if text and key != self._said and not self._is_over:
            self._said = key
            self._tell(text)


def thought(findings: Findings) -> tuple[object, str]:
    """(what changes only when the thought does, the thought in one line); the line is "" before the second look."""
    seconds = max((process.seconds[-1] for process in findings.processes if process.seconds), default=0.0)
    if max((len(process.deep_seconds) for process in findings.processes), default=0) < 2:
        return None, ""
    if not findings.findings:
        return findings.verdict, f"after {seconds:.0f} s: nothing to accuse so far"
    first = findings.findings[0]
    more = f", and {len(findings.findings) - 1} more" if len(findings.findings) > 1 else ""
    surely = "surely" if first.confidence >= SURE else "probably"
    line = first.sentence.rstrip(".")
    return (first.fingerprint, surely, len(findings.findings)), f"after {seconds:.0f} s, {surely}: {line}{more}"
