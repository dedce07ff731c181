"""A process under measurement from outside: begun, its snapshots fetched, ended."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import time
from pathlib import Path

from leakhunt.errors import AttachError

from . import attach, procfs
from .refusals import Reason
from .request import ARM, DISARM, Answer, Request
from .stage import Folder, open_folder, open_foreign
from .target import Target

_PROCESS_FOLDER = re.compile(r"pid-(\d+)\.\d+")
_SNAPSHOT_SUFFIX, _UNFINISHED_SUFFIX = ".leak", ".part"
_STOP = "stop"
_COPY_BYTES = 1 << 20
_LAST_WORDS_SECONDS = 2.0


class MeasuredAlready(AttachError):
    """There is an agent in the process, of this run or of another; `run_folder` as the process sees it."""

    def __init__(self, pid: int, run_folder: str) -> None:
        super().__init__(
            f"Process {pid} is being measured already, into {run_folder}.",
            f"`leakhunt report {run_folder}` shows it; `leakhunt detach {pid}` ends it.",
        )
        self.run_folder = run_folder


class Relay:
    """A folder in the target's root, for a target that can't write into our run folder; its content is fetched."""

    def __init__(self, target: Target, run_folder: Path) -> None:
        self._folder, self._run_folder = Folder(target), run_folder
        self._folder.hand_over()
        self.inside = self._folder.inside

    def fetch(self) -> None:
        """Copy what is new; whole snapshots are taken away from there."""
        for name in _listed(self._folder.fd):
            if _PROCESS_FOLDER.fullmatch(name):
                with contextlib.suppress(OSError):
                    self._fetch_process(name)

    def ask_to_stop(self, process: str) -> None:
        self._folder.write(f"{process}/{_STOP}", b"")

    def remove(self) -> None:
        self.fetch()
        self._folder.remove()

    def _fetch_process(self, name: str) -> None:
        home = self._run_folder / name
        home.mkdir(mode=0o700, exist_ok=True)
        descriptor = open_folder(name, self._folder.fd)
        try:
            for file in _listed(descriptor):
                if file.endswith(_UNFINISHED_SUFFIX):
                    continue
                if _copy(file, descriptor, home) and file.endswith(_SNAPSHOT_SUFFIX):
                    os.unlink(file, dir_fd=descriptor)
        finally:
            os.close(descriptor)


class Attachment:
    """What `begin` gives; `answer` says by which way."""

    def __init__(self, target: Target, run_folder: Path, relay: Relay | None, answer: Answer) -> None:
        self._target, self._run_folder, self._relay, self.answer = target, run_folder, relay, answer
        self._inside = relay.inside if relay else str(run_folder.absolute())

    @property
    def is_over(self) -> bool:
        """Whether the process has ended."""
        return self._target.is_gone

    def fetch(self) -> None:
        """Bring what was written meanwhile into the run folder."""
        if self._relay is not None:
            self._relay.fetch()

    @property
    def pid(self) -> int:
        return self._target.pid

    def end(self, stopped: set[int] | None = None) -> Reason | None:
        """Stop the agent in the process and in its children, and leave nothing there.

        A reason comes back when a process could not be reached; its agent stops by itself at its next snapshot.
        `stopped` are pids to leave out; those that were asked are added.
        """
        self.fetch()
        reason, stopped = None, set() if stopped is None else stopped
        descendants = [child for child, _ in procfs.descendants(self.pid)]
        for pid in (*reversed(descendants), self.pid):
            if pid not in stopped:
                stopped.add(pid)
                reason = self._stop(pid) or reason
        self._let_finish()
        if self._relay is not None:
            self._relay.remove()
        return reason

    def _stop(self, pid: int) -> Reason | None:
        if pid != self._target.pid and not self._is_measured(pid):
            return None
        if Target(pid).status.state in ("", "Z", "X"):
            return None
        try:
            attach(pid, Request(DISARM, self._inside))
        except AttachError as error:
            self._ask_by_file(pid)
            return Reason(f"The agent in process {pid} stops at its next snapshot only: {error.message}")
        return None

    def _is_measured(self, pid: int) -> bool:
        return any(True for _ in self._run_folder.glob(f"pid-{Target(pid).inner_pid}.*"))

    def _ask_by_file(self, pid: int) -> None:
        """The agent looks for a file of this name at each snapshot."""
        for folder in self._run_folder.glob(f"pid-{Target(pid).inner_pid}.*"):
            with contextlib.suppress(OSError):
                self._relay.ask_to_stop(folder.name) if self._relay else (folder / _STOP).touch(mode=0o600)

    def _let_finish(self) -> None:
        """Wait for a snapshot that is being written."""
        deadline = time.monotonic() + _LAST_WORDS_SECONDS
        while time.monotonic() < deadline and any(self._run_folder.glob(f"pid-*/*{_UNFINISHED_SUFFIX}")):
            time.sleep(0.02)


def begin(pid: int, run_folder: Path, options: str, method: str | None = None) -> Attachment:
    """Start the agent in a process; its snapshots come into `run_folder`, which exists.

    Raises:
        AttachError: it can't be reached, or is being measured already.
    """
    target = Target(pid)
    relay = Relay(target, run_folder) if _is_far(target) else None
    inside = relay.inside if relay else str(run_folder.absolute())
    try:
        answer = attach(pid, Request(ARM, inside, options), method)
        if answer.word != "started":
            raise _refusal(pid, answer)
    except BaseException as problem:
        if not isinstance(problem, AttachError):  # Ctrl-C: it may have started meanwhile
            with contextlib.suppress(AttachError):
                attach(pid, Request(DISARM, inside))
        if relay is not None:
            relay.remove()
        raise
    return Attachment(target, run_folder, relay, answer)


def detach(pid: int) -> Answer:
    """Stop whatever agent is in the process. Raises AttachError when it can't be reached."""
    answer = attach(pid, Request(DISARM))
    if answer.word == "failed":
        raise _refusal(pid, answer)
    return answer


def _is_far(target: Target) -> bool:
    """Whether the agent can't write where we can: another root, or another user than root."""
    return target.status.exists and not (procfs.is_same_root(target.pid) and target.uid in (0, os.geteuid()))


def _refusal(pid: int, answer: Answer) -> AttachError:
    if answer.word == "already":
        return MeasuredAlready(pid, answer.detail)
    return AttachError(f"The agent could not start in process {pid}: {answer.detail or answer.word}.")


def _listed(descriptor: int) -> list[str]:
    try:
        return sorted(os.listdir(descriptor))
    except OSError:
        return []


def _copy(name: str, folder: int, home: Path) -> bool:
    """Copy a regular file from a folder that somebody else owns, whole or not at all; whether it was done."""
    with contextlib.suppress(OSError), open(open_foreign(name, folder), "rb") as source:
        if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            return False
        temporary = home / f"{name}{_UNFINISHED_SUFFIX}"
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as copy:
            shutil.copyfileobj(source, copy, _COPY_BYTES)
        os.replace(temporary, home / name)
        return True
    return False
