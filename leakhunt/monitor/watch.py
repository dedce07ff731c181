"""Looks at a run folder until whoever started the watch is through."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from leakhunt.agent.governor import DEEP_RATIO, FIRST_DEEP
from leakhunt.analysis.growth.known import Known
from leakhunt.errors import LeakhuntError
from leakhunt.findings import Findings
from leakhunt.pipeline import hunt
from leakhunt.starts import REPORT, REQUEST

from .ending import Ending
from .figures import Metric, Watched, metrics, places
from .follow import Followed, ProcessFigures
from .log import INFO, FindingsLog
from .notify import Notifier

SHARE = 0.05  # of one CPU's time, for analyses while the run goes on
TICK_SECONDS = 1.0
FEWEST_SNAPSHOTS = 8


class Interrupted(Exception):
    """The run ended in the midst of an analysis, which is of no use any more."""


class Watch:
    """Follows a run folder, analyses it now and then, and tells of leaks.

    An analysis that took 3 seconds of CPU time is followed by a minute without: SHARE of the time, however large the
    heaps are.
    """

    def __init__(
        self,
        path: Path,
        interval: float,
        known: Known,
        notifier: Notifier | None,
        say: Callable[[str], None],
        log: FindingsLog | None = None,
        limit_bytes: int = 0,
    ) -> None:
        self._path, self._interval, self._known, self._notifier, self._say = path, interval, known, notifier, say
        self._log, self._limit_bytes = log, limit_bytes
        self._has_told_size = not limit_bytes
        self._requests = [folder / REQUEST for folder in ([path, path.parent] if limit_bytes else [path])]
        self._followed = Followed(path)
        self._watched = Watched()
        self._analysed = 0  # snapshots that there were at the last analysis
        self._not_before = 0.0
        self._problem = ""

    def metrics(self) -> Iterator[Metric]:
        """The figures of now."""
        return metrics(self._watched)

    def until(self, ending: Ending) -> None:
        """Watch until the end, and tell then what the last analysis found."""
        while not ending.wait(min(TICK_SECONDS, self._interval)):
            self.look()
            self._tell_size()
            if request := next((file for file in self._requests if file.exists()), None):
                self._analyse(ending, is_requested=True)
                with contextlib.suppress(OSError):
                    request.unlink()
            elif self._is_due():
                self._analyse(ending)
        self.look()
        self._conclude(ending)

    def look(self) -> None:
        """Take in the newest censuses."""
        self._followed.look()
        self._change(processes=self._followed.living(self._interval), process_count=self._followed.count)

    def _is_due(self) -> bool:
        new = self._followed.snapshots > self._analysed
        return new and self._followed.snapshots >= FEWEST_SNAPSHOTS and time.monotonic() >= self._not_before

    def _tell_size(self) -> None:
        """Say once, when sizes are known, what the run will write."""
        figures = self._followed.living(self._interval)
        if self._has_told_size or self._log is None or not any(one.graph_bytes for one in figures):
            return
        self._has_told_size = True
        hourly = sum(hourly_bytes(one, self._interval) for one in figures)
        limit = f"{self._limit_bytes / 1e6:,.0f} MB for all its starts together"
        said = f"about {hourly / 1e6:,.0f} MB in the first hour, and less in each later one"
        self._log.say("started", INFO, f"writes {said}, into {self._path}; at most {limit}", hourly_bytes=hourly)

    def _analyse(self, ending: Ending, is_requested: bool = False) -> None:
        """One analysis; what goes wrong in it is told once and counted."""

        def step(text: str, share: float) -> None:
            if ending.is_over:
                raise Interrupted

        self._analysed, begun = self._followed.snapshots, time.process_time()
        try:
            self._take(hunt(self._path, step, self._known), is_requested)
        except Interrupted:
            pass
        except Exception as problem:  # the next look may find more; the program must not notice
            self._fail(str(problem) if isinstance(problem, LeakhuntError) else f"{type(problem).__name__}: {problem}")
        spent = time.process_time() - begun
        self._not_before = time.monotonic() + spent * (1 / SHARE - 1)
        self._change(analyses=self._watched.analyses + 1, analysis_seconds=self._watched.analysis_seconds + spent)

    def _conclude(self, ending: Ending) -> None:
        """Tell of the leaks of the final report, or of an analysis of its own where none came."""
        if (self._notifier is None and self._log is None) or ending.is_in_haste:
            return
        try:
            text = ending.text.decode("utf-8", "replace")
            self._take(Findings.from_json(text) if text else hunt(self._path, known=self._known))
        except Exception as problem:
            self._fail(str(problem))

    def _take(self, findings: Findings, is_requested: bool = False) -> None:
        self._change(findings=findings, places=places(findings))
        if self._log is not None:
            self._log.tell(findings, is_requested)
            write_report(self._path, findings)
        if self._notifier is not None:
            self._notifier.tell(findings)
            self._change(told=self._notifier.count)
            if self._notifier.problem:
                self._fail(self._notifier.problem)
                self._notifier.problem = ""

    def _fail(self, problem: str) -> None:
        self._change(problems=self._watched.problems + 1)
        if problem != self._problem:
            self._problem = problem
            self._say(problem)

    def _change(self, **figures: Any) -> None:
        """A scrape on another thread sees all of a change or nothing."""
        self._watched = dataclasses.replace(self._watched, **figures)


def write_report(run: Path, findings: Findings) -> None:
    """Keep the newest report in the run folder, whole, readable by its owner only; never raises."""
    temporary = run / f".{REPORT}.{os.getpid()}"
    with contextlib.suppress(OSError):
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(findings.to_json(indent=None))
        os.replace(temporary, run / REPORT)


def hourly_bytes(figures: ProcessFigures, interval: float) -> float:
    """What one process writes in its first hour: censuses at the interval, graphs ever fewer (agent/governor.py)."""
    graphs = math.log(3600 / (FIRST_DEEP * interval)) / math.log(DEEP_RATIO) if interval < 600 else 1.0
    return figures.census_bytes * 3600 / interval + figures.graph_bytes * max(1.0, graphs)
