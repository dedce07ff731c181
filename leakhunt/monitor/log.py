"""Findings as lines of a log while a service runs: one when a leak is found, and again only when it has changed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from leakhunt.findings import Finding, Findings

WARNING, NOTICE, INFO = 4, 5, 6  # priorities of syslog(3), as journald reads them from "<4>" before a line
CHANGED_RATE = 2.0  # times as fast, or as slow, as when it was last told: a leak of the same pace is not told again
CHANGED_RETAINED = 4.0  # times as much kept alive: of a leak that goes on for weeks a line comes now and then
OVERDUE_SECONDS = 600.0  # without a verdict: the interval may be too long for workers that live for seconds
GONE_ANALYSES = 2  # an analysis that does not name a leak may be of an unlucky moment: so many in a row say it is over

_LEVELS = {WARNING: "warning", NOTICE: "notice", INFO: "info"}


@dataclass(frozen=True)
class Told:
    """What was told of a leak last, and in how many analyses it was missing since."""

    finding: Finding
    missing: int = 0


class FindingsLog:
    """Writes lines by `write`, as text or JSON, with priorities before them where journald reads along.

    `known` are the leaks of earlier starts of the service by fingerprint, with the name of the first start that had
    them; `starts` says how many of those there were.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        is_json: bool = False,
        has_priorities: bool = False,
        known: Mapping[str, tuple[str, Finding]] | None = None,
        starts: int = 0,
    ) -> None:
        self._write, self._is_json, self._has_priorities = write, is_json, has_priorities
        self._known, self._starts = dict(known or {}), starts
        self._told: dict[str, Told] = {}
        self._verdict = ""
        self._has_compared = self._has_told_why = False

    def tell(self, findings: Findings, repeats: bool = False) -> None:
        """Say what is new or has changed since the last time; with `repeats` all that is known now."""
        current = {finding.fingerprint: finding for finding in findings.findings}
        for fingerprint, finding in current.items():
            told = self._told.get(fingerprint)
            if told is None:
                self._say_leak("leak", WARNING, finding)
            elif repeats or has_changed(told.finding, finding):
                self._say_leak("changed" if has_changed(told.finding, finding) else "leak", NOTICE, finding)
            else:
                self._told[fingerprint] = Told(told.finding)
                continue
            self._told[fingerprint] = Told(finding)
        self._miss(current)
        if self._told:
            findings = replace(findings, verdict="leak")
        if findings.verdict == "healthy" and (repeats or self._verdict != "healthy"):
            self.say("healthy", INFO, f"healthy after {_duration(findings.run.seconds)}: {findings.summary}")
        elif findings.verdict == "inconclusive" and (repeats or self._is_overdue(findings)):
            self._has_told_why = True
            self.say("inconclusive", INFO, f"no verdict after {_duration(findings.run.seconds)}: {findings.summary}")
        if findings.verdict != "inconclusive":
            self._verdict = findings.verdict
            self._compare(findings)

    def say(self, event: str, priority: int, text: str, **fields: object) -> None:
        """One line."""
        if self._is_json:
            about = {"time": round(time.time(), 3), "level": _LEVELS[priority], "logger": "leakhunt", "event": event}
            line = json.dumps({**about, "message": text, **fields})
        else:
            line = f"leakhunt: {_printable(text)}"
        self._write(f"<{priority}>{line}" if self._has_priorities else line)

    def _is_overdue(self, findings: Findings) -> bool:
        """Whether a verdict should be there by now: then it is said once what is missing for one."""
        return not (self._has_told_why or self._verdict) and findings.run.seconds >= OVERDUE_SECONDS

    def _miss(self, current: Mapping[str, Finding]) -> None:
        for fingerprint, told in list(self._told.items()):
            if fingerprint in current:
                continue
            if told.missing + 1 < GONE_ANALYSES:
                self._told[fingerprint] = Told(told.finding, told.missing + 1)
                continue
            del self._told[fingerprint]
            self.say("gone", INFO, f"no longer seen: {fingerprint}: {told.finding.sentence}", fingerprint=fingerprint)

    def _say_leak(self, event: str, priority: int, finding: Finding) -> None:
        holder = finding.holder
        where = f" at {holder.file}:{holder.line}" if holder and holder.file else ""
        rate = f"{finding.growth.per_minute:+,.0f}/min, {finding.growth.bytes_per_minute / 1e6:+,.2f} MB/min"
        word = "leak" if event == "leak" else "leak, changed"
        self.say(
            event, priority,
            f"{word} {finding.fingerprint}: {finding.sentence}{where}; {rate}, {finding.confidence:.0%} sure"
            f"{self._history(finding)}",
            fingerprint=finding.fingerprint, kind=finding.kind, type=finding.type,
            holder=holder.owner if holder else None, file=holder.file if holder else None,
            line=holder.line if holder else None, confidence=finding.confidence,
            per_minute=finding.growth.per_minute, bytes_per_minute=finding.growth.bytes_per_minute,
            retained_bytes=finding.retained_size_bytes, pids=list(finding.pids),
            known_since=self._known[finding.fingerprint][0] if finding.fingerprint in self._known else None,
        )  # fmt: skip

    def _history(self, finding: Finding) -> str:
        if not self._starts:
            return ""
        if finding.fingerprint in self._known:
            return f" (known since the start of {self._known[finding.fingerprint][0]})"
        return " (new: no earlier start had it)"

    def _compare(self, findings: Findings) -> None:
        """Once there is a verdict that is as good as theirs: which leaks of earlier starts are not here any more."""
        if self._has_compared:
            return
        self._has_compared = True
        current = {finding.fingerprint for finding in findings.findings}
        for fingerprint, (start, finding) in self._known.items():
            if fingerprint not in current:
                after = _duration(findings.run.seconds)
                said = f"not seen in this start so far, after {after}: {fingerprint}: {finding.sentence} (of {start})"
                self.say("gone", INFO, said, fingerprint=fingerprint)


def has_changed(before: Finding, now: Finding) -> bool:
    """Whether a leak is worth another line: another pace, many times as large, or surely one now."""
    slow, fast = sorted((abs(before.growth.per_minute), abs(now.growth.per_minute)))
    if fast > CHANGED_RATE * slow:
        return True
    return now.retained_size_bytes > CHANGED_RETAINED * max(1, before.retained_size_bytes)


def journal_reads(descriptor: int = 2) -> bool:
    """Whether journald reads what is written there; it says which file it reads in $JOURNAL_STREAM."""
    try:
        about = os.fstat(descriptor)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{about.st_dev}:{about.st_ino}"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 600
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.0f} h"
    )
