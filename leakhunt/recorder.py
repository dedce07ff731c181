"""Snapshots of this interpreter, taken by the agent's own engine: what a notebook or a test pins, to compare later."""

from __future__ import annotations

import contextlib
import gc
import os
import tempfile
import time
from collections.abc import Iterator
from typing import Protocol

from leakhunt import births
from leakhunt.agent import asked, write
from leakhunt.agent import births as births_agent
from leakhunt.agent.engine import Engine, GilYielder, version
from leakhunt.births import Births
from leakhunt.errors import SnapshotError
from leakhunt.snapshot import Snapshot


class Question(Protocol):
    """What to look for, as `analysis.report.suspects` says it."""

    def text(self, number: int) -> str: ...


class SnapshotRecorder:
    """Takes deep snapshots of this process into a private folder, which goes with the object.

    Of itself it keeps a number only, so that taking snapshots is no growth that the next one sees. Objects of
    leakhunt's agent are in none of them.
    """

    def __init__(self, engine: str = "auto") -> None:
        self._engine = Engine("leakhunt.agent", engine)
        self._folder = tempfile.TemporaryDirectory(prefix="leakhunt-pins-")
        self._begun = time.monotonic()
        self.count = 0

    @property
    def folder(self) -> str:
        return self._folder.name

    def take(self, elapsed: float | None = None, collect: bool = True, note: str = "") -> str:
        """Write a snapshot of this moment; gives its path.

        Args:
            elapsed: stands in the snapshot in place of the seconds since this object was made.
            collect: let the collector run before, so that what nothing refers to is not counted.
            note: stands in the snapshot's `meta`.

        Raises:
            SnapshotError: it can't be written, or there is not enough memory to walk the heap.
        """
        meta: dict[str, object] = {
            "pid": os.getpid(), "sequence": self.count + 1, "moment": "pinned", "python": version(),
            "elapsed": round(time.monotonic() - self._begun, 4) if elapsed is None else elapsed, "interval": 1.0,
        }  # fmt: skip
        if note:
            meta["note"] = note
        if collect:
            meta["collected"] = gc.collect()
        path = self.path(self.count + 1)
        try:
            write.write_whole(path, write.pieces(*self._engine.snapshot(True, meta)))
        except OSError as problem:
            raise SnapshotError(f"No snapshot can be written to {self.folder}: {problem.strerror}.") from None
        except MemoryError:
            raise SnapshotError(
                "There is not enough free memory to walk this heap.", "Free some and try again."
            ) from None
        self.count += 1
        return path

    @contextlib.contextmanager
    def watching(self, question: Question) -> Iterator[list[Births]]:
        """Who makes and who keeps what is asked for, while this goes on; the list is filled at its end.

        Without anything to see, or where nothing sees it, the list stays empty: that fails nothing.
        """
        answers: list[Births] = []
        watch = None
        with contextlib.suppress(Exception):
            request = asked.Request(question.text(self.count))
            yield_gil = GilYielder(time.perf_counter(), lambda: False)
            watch = births_agent.Births(request, self._engine, self.folder, 0.0, 1.0, 0.0, yield_gil, by_caller=True)
        try:
            yield answers
        finally:
            if watch is not None:
                with contextlib.suppress(Exception):
                    watch.end()
                    if (answer := births.load(watch.path)) is not None:
                        answers.append(answer)
                watch.abandon()
                self._engine.forget_own()

    def path(self, number: int) -> str:
        """Where the snapshot of that number is, from 1 on."""
        return os.path.join(self.folder, f"{number:06d}.leak")

    def load(self, last: int | None = None) -> list[Snapshot]:
        """The snapshots taken, in order; only the `last` ones where that is given."""
        first = 1 if last is None else max(1, self.count - last + 1)
        return [Snapshot.load(self.path(number)) for number in range(first, self.count + 1)]

    def close(self) -> None:
        """Remove the folder; snapshots that are loaded stay readable."""
        self._folder.cleanup()
