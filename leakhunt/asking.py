"""Asks the agents of a run who makes and who keeps what is suspected: a process beside, for analysis takes time.

`python -m leakhunt.asking RUN`, started by `leakhunt run`, `attach` and `live`; their closing of its stdin ends it. It
reads the run folder as any report does, and leaves a request in the folder of a process (`leakhunt.agent.asked`).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

FIRST_SNAPSHOTS = 3  # of a process, before it is looked at
GRAPHS_MIN = 2
ASKED_MAX = 8  # requests to one process
NICE = 10  # the program and its users come first
SHARE = 0.1  # of one CPU's time, after the first FREE_SECONDS
FREE_SECONDS = 6.0
TICK_SECONDS = 0.25
ANSWER_SECONDS = 2.5  # to wait for more of an answer, before the rest is asked for


class Asking:
    """The process beside one run folder, begun when there is something to look at; `look` often, and `close`."""

    def __init__(self, folder: Path, wanted: bool = True) -> None:
        self._folder, self._wanted = folder, wanted
        self._process: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Begin where a process has shown enough; what can't be started is gone without."""
        if not self._wanted or self._process is not None:
            return
        with contextlib.suppress(OSError):
            if not any(is_worth_a_look(folder) for folder in self._folder.glob("pid-*")):
                return
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "leakhunt.asking", os.fspath(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            return

    def close(self) -> None:
        """End it at once: it only reads, and leaves a request whole or not at all."""
        self._wanted = False
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def is_worth_a_look(folder: Path) -> bool:
    """Whether a process lives long enough to be looked at: what is needed for that is loaded meanwhile."""
    with contextlib.suppress(OSError):
        return any(name.endswith(".leak") for name in os.listdir(folder))
    return False


class Asker:
    """Looks at the processes of a run by turns, and asks what is worth asking."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._looked: dict[Path, int] = {}  # graphs that there were at the last look at a process folder
        self._asked: dict[Path, tuple[int, float]] = {}  # requests so far, and when the last was made
        self._begun = time.monotonic()

    def look(self) -> None:
        from leakhunt.errors import LeakhuntError
        from leakhunt.runfolder import read_run

        try:
            processes = read_run(self._folder).processes
        except LeakhuntError:
            return
        for process in sorted(processes, key=lambda one: self._looked.get(one.path, 0)):
            if self._is_due(process.path, len(process.snapshots)) and self._has_time():
                self._looked[process.path] = len(process.snapshots)
                with contextlib.suppress(LeakhuntError, OSError):  # it is being written, or gone
                    self._ask(process)

    def _is_due(self, path: Path, snapshots: int) -> bool:
        asked, when = self._asked.get(path, (0, 0.0))
        looked = self._looked.get(path, 0)
        if snapshots < FIRST_SNAPSHOTS or snapshots == looked or asked >= ASKED_MAX:
            return False
        if asked == 0:
            return True
        return time.monotonic() - when > ANSWER_SECONDS * asked and snapshots >= looked + 2

    def _has_time(self) -> bool:
        return time.process_time() < FREE_SECONDS + SHARE * (time.monotonic() - self._begun)

    def _ask(self, process: object) -> None:
        from leakhunt.agent import asked as format_
        from leakhunt.analysis.report import suspects
        from leakhunt.analysis.report.judgement import Judgement
        from leakhunt.config import known_places
        from leakhunt.pipeline import evidence_of
        from leakhunt.runfolder import ProcessFolder

        assert isinstance(process, ProcessFolder)
        evidence = evidence_of(process, known_places())
        if evidence is None or len(evidence.deep) < GRAPHS_MIN:
            return
        question = suspects.question(evidence, Judgement(evidence).candidates)
        number, _ = self._asked.get(process.path, (suspects.latest(evidence.births), 0.0))
        if question:
            self._asked[process.path] = number + 1, time.monotonic()
            write_whole(process.path / format_.FILE, question.text(number + 1))


def write_whole(path: Path, text: str) -> None:
    """Leave a file, whole or not at all, that only its owner can read."""
    temporary = path.with_name(f"{path.name}.part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    os.replace(temporary, path)


def main() -> None:
    """Ask until stdin is closed."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    with contextlib.suppress(OSError):
        os.nice(NICE)
    from leakhunt.analysis.report import suspects  # noqa: F401

    asker = Asker(Path(sys.argv[1]))
    while True:
        with contextlib.suppress(Exception):  # a run goes on without it
            asker.look()
        time.sleep(TICK_SECONDS)


def _end_with_stdin() -> None:
    with contextlib.suppress(OSError):
        sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
