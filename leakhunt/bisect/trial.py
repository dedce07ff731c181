"""One run of the program below `leakhunt run`, ended after a while if it does not end by itself."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leakhunt.analysis.growth.known import Known
from leakhunt.errors import LeakhuntError
from leakhunt.findings import Findings
from leakhunt.pipeline import hunt

FIRST, LONGER, AGAIN, AGAIN_LONGER = "first", "longer", "again", "again-longer"
WORDS = {
    FIRST: "running",
    LONGER: "running longer",
    AGAIN: "running once more, to be sure,",
    AGAIN_LONGER: "running longer, to be sure,",
}
ENDING_SECONDS = 20.0  # that a program has to end when it is asked to
LOOKS = 60  # in a run that was too short: more than any rule asks for
INTERVAL_MIN = 0.05
LONGER_BY = 3.0


@dataclass(frozen=True)
class Settings:
    """How often to look, and for how long at the most, in seconds."""

    interval: float = 0.5
    duration: float = 120.0

    def longer(self, lived: float, was_ended: bool) -> Settings:
        """The same with more to see: longer for a program that goes on, more often for one that ends by itself."""
        if was_ended:
            return Settings(self.interval, self.duration * LONGER_BY)
        often = min(self.interval / LONGER_BY, max(lived, 1.0) / LOOKS)
        return Settings(max(INTERVAL_MIN, often), self.duration * LONGER_BY)


@dataclass(frozen=True)
class Ran:
    """A run that is over: `was_ended` says that it did not end by itself."""

    seconds: float
    exit_status: int
    was_ended: bool


def run(
    command: Sequence[str], folder: Path, cwd: Path, variables: Mapping[str, str], settings: Settings, log: Path
) -> Ran:
    """Run the program and record it into `folder`; what it prints goes to `log`.

    Ctrl-C ends the program, too.
    """
    words = [sys.executable, "-P", "-m", "leakhunt", "run", "-q", "--interval", f"{settings.interval:g}"]
    words += ["--out", str(folder), "--", *command]
    begun = time.monotonic()
    with open(log, "ab") as output:
        program = subprocess.Popen(
            words, cwd=cwd, env=dict(variables), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        pid_file = folder.with_name(f"{folder.name}.pid")
        pid_file.write_text(str(program.pid))
        try:
            status = program.wait(settings.duration)
            return Ran(time.monotonic() - begun, status, False)
        except subprocess.TimeoutExpired:
            seconds = time.monotonic() - begun
            return Ran(seconds, _end(program), True)
        except BaseException:
            _end(program)
            raise
        finally:
            pid_file.unlink(missing_ok=True)


def end_left_over(folder: Path) -> None:
    """End the run of a search that was killed: it would go on and write where the next one does."""
    pid_file = folder.with_name(f"{folder.name}.pid")
    with contextlib.suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        if str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.killpg(pid, signal.SIGKILL)
    pid_file.unlink(missing_ok=True)


def findings_of(folder: Path, known: Known) -> Findings | None:
    """The analysis of a run; None where it left nothing."""
    try:
        return hunt(folder, known=known)
    except LeakhuntError:
        return None


def _end(program: subprocess.Popen[bytes]) -> int:
    program.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        return program.wait(ENDING_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)
    return program.wait()
