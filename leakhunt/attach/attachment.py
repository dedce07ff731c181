"""A process under measurement from outside: begun, its snapshots fetched, ended."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import time
from pathlib import Path

from leakhunt.agent.asked import BYTES_MAX as REQUEST_BYTES_MAX
from leakhunt.agent.asked import FILE as REQUEST
from leakhunt.errors import AttachError
from leakhunt.reading import read_regular

from . import attach, foreign, procfs
from .refusals import Reason
from .request import ARM, DISARM, MOVE, Answer, Request
from .stage import STOP, Folder
from .target import Target

_PROCESS_FOLDER = re.compile(r"pid-(\d{1,10})\.(\d{1,10})", re.ASCII)
_MARK = re.compile(r"pid-\d{1,10}\.mark\.[ -.0-~]{1,200}")
_MARKS_MAX = 100
_SNAPSHOT_SUFFIX, _UNFINISHED_SUFFIX = ".leak", ".part"
_FETCHED = re.compile(r"\d{1,9}\.(?:leak|births)|process|problems")
_COPY_BYTES = 1 << 20
_KEPT_FREE = 0.02  # of our disk: what is fetched comes from somebody who may want to fill it
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
        self._marks = 0
        self._homes: dict[str, Path] = {}  # where what comes in a process folder goes
        self.inside = self._folder.inside

    def go_on_with(self, process: str) -> None:
        """What comes in the process folder of this name continues the one that is there."""
        if _PROCESS_FOLDER.fullmatch(process):
            self._homes[process] = self._run_folder / process

    def fetch(self) -> None:
        """Copy what is new; whole snapshots are taken away from there."""
        with self._folder.owner.acting():
            names = foreign.listed(self._folder.fd)
        for name in names:
            if _PROCESS_FOLDER.fullmatch(name):
                with contextlib.suppress(OSError):
                    self._fetch_process(name)
            elif _MARK.fullmatch(name) and self._marks < _MARKS_MAX:
                self._marks += not (self._run_folder / name).exists()
                with contextlib.suppress(OSError):
                    (self._run_folder / name).touch(mode=0o600)

    def ask_to_stop(self, home: str) -> None:
        """Leave a file for the agent that writes into this process folder."""
        process = next((name for name, path in self._homes.items() if path.name == home), home)
        self._folder.write(f"{process}/{STOP}", b"")

    def remove(self) -> None:
        self.fetch()
        self._folder.remove()

    def _fetch_process(self, name: str) -> None:
        owner = self._folder.owner
        with owner.acting():
            folder = foreign.open_folder(name, self._folder.fd)
            files = [file for file in foreign.listed(folder) if _FETCHED.fullmatch(file)]
        try:
            home = self._homes.get(name) or self._homes.setdefault(name, self._new_home(name))
            self._hand_over_request(name, home)
            for file in files:
                with owner.acting():
                    source = foreign.open_file(file, folder)
                _copy(source, home / file)
                if file.endswith(_SNAPSHOT_SUFFIX):
                    with owner.acting():
                        os.unlink(file, dir_fd=folder)
        finally:
            os.close(folder)

    def _hand_over_request(self, name: str, home: Path) -> None:
        """Bring a request for births to the agent, which looks for it where it writes and takes one at a time."""
        with contextlib.suppress(OSError):
            text = read_regular(home / REQUEST, REQUEST_BYTES_MAX)
            self._folder.write(f"{name}/{REQUEST}", text)
            (home / REQUEST).unlink()

    def _new_home(self, name: str) -> Path:
        """A process folder for that pid: of the same number, unless another process had it before."""
        match = _PROCESS_FOLDER.fullmatch(name)
        assert match is not None
        for number in itertools.count(int(match[2])):
            home = self._run_folder / f"pid-{match[1]}.{number}"
            with contextlib.suppress(FileExistsError):
                home.mkdir(mode=0o700)
                return home
        raise AssertionError("numbers have no end")


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
    def has_relay(self) -> bool:
        """Whether the process can't write into the run folder, so that all is fetched."""
        return self._relay is not None

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
                self._relay.ask_to_stop(folder.name) if self._relay else (folder / STOP).touch(mode=0o600)

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
    relay = Relay(target, run_folder) if is_far(target) else None
    inside = relay.inside if relay else str(run_folder.absolute())
    try:
        answer = attach(pid, Request(ARM, inside, options), method)
        if relay is not None and (answer.word, answer.detail) == ("already", own := str(run_folder.absolute())):
            answer = _move(pid, relay, own, method)
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


def _move(pid: int, relay: Relay, run_folder: str, method: str | None) -> Answer:
    """Have the agent of this very run, in a process that gave up the right to write there, write into the relay."""
    answer = attach(pid, Request(MOVE, relay.inside, run_folder), method)
    if answer.word != "moved":
        return answer
    relay.go_on_with(answer.detail)
    return Answer("started", "", answer.method, answer.pause_ms)


def detach(pid: int) -> Answer:
    """Stop whatever agent is in the process. Raises AttachError when it can't be reached."""
    answer = attach(pid, Request(DISARM))
    if answer.word == "failed":
        raise _refusal(pid, answer)
    return answer


def is_far(target: Target) -> bool:
    """Whether the agent can't write where we can: another root, or another user than root."""
    return target.status.exists and not (procfs.is_same_root(target.pid) and target.uid in (0, os.geteuid()))


def _refusal(pid: int, answer: Answer) -> AttachError:
    if answer.word == "already":
        return MeasuredAlready(pid, answer.detail)
    return AttachError(f"The agent could not start in process {pid}: {answer.detail or answer.word}.")


def _copy(source: int, path: Path) -> None:
    """Copy an open file of somebody else, whole or not at all. Raises OSError when it must not be, or can't be."""
    with open(source, "rb") as original:
        left = os.fstat(source).st_size  # and no more: it may grow as fast as we copy
        disk = shutil.disk_usage(path.parent)
        if left > disk.free - disk.total * _KEPT_FREE:
            raise OSError("the disk is nearly full")
        temporary = path.with_name(f"{path.name}{_UNFINISHED_SUFFIX}")
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as copy:
                while left and (part := original.read(min(left, _COPY_BYTES))):
                    copy.write(part)
                    left -= len(part)
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
