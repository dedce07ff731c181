"""Looks at a run folder until whoever started the watch is through."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from leakhunt.analysis.growth.known import Known
from leakhunt.errors import LeakhuntError
from leakhunt.findings import Findings
from leakhunt.pipeline import hunt

from .ending import Ending
from .figures import Metric, Watched, metrics, places
from .follow import Followed
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
        self, path: Path, interval: float, known: Known, notifier: Notifier | None, say: Callable[[str], None]
    ) -> None:
        self._path, self._interval, self._known, self._notifier, self._say = path, interval, known, notifier, say
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
            if self._is_due():
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

    def _analyse(self, ending: Ending) -> None:
        """One analysis; what goes wrong in it is told once and counted."""

        def step(text: str, share: float) -> None:
            if ending.is_over:
                raise Interrupted

        self._analysed, begun = self._followed.snapshots, time.process_time()
        try:
            self._take(hunt(self._path, step, self._known))
        except Interrupted:
            pass
        except Exception as problem:  # the next look may find more; the program must not notice
            self._fail(str(problem) if isinstance(problem, LeakhuntError) else f"{type(problem).__name__}: {problem}")
        spent = time.process_time() - begun
        self._not_before = time.monotonic() + spent * (1 / SHARE - 1)
        self._change(analyses=self._watched.analyses + 1, analysis_seconds=self._watched.analysis_seconds + spent)

    def _conclude(self, ending: Ending) -> None:
        """Tell of the leaks of the final report, or of an analysis of its own where none came."""
        if self._notifier is None or ending.is_in_haste:
            return
        try:
            text = ending.text.decode("utf-8", "replace")
            self._take(Findings.from_json(text) if text else hunt(self._path, known=self._known))
        except Exception as problem:
            self._fail(str(problem))

    def _take(self, findings: Findings) -> None:
        self._change(findings=findings, places=places(findings))
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
