"""Files put where the target can read them, and an answer taken from there: the caller's end of `agent/payload.py`.

The folder lies in the target's own root, belongs to the target's user and goes away with the stage. It may be in a
container whose owner is no friend of ours, so everything goes through open directory descriptors and no link is
followed on the way.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
import zlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import TracebackType

from leakhunt.errors import AttachError

from . import procfs
from .refusals import TargetGone
from .request import Answer, Request
from .target import Target

AGENT_FOLDER = Path(__file__).parent.parent / "agent"
PLACES = ("tmp", "var/tmp", "dev/shm", "run")

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ANSWER_LIMIT = 65536

# One expression, because it may run in the namespace of __main__: nothing gets a name there, nothing is raised.
_CALL = """exec({text!r}, {{"STAGE": {stage!r}, "AGENT": {agent!r}}})\n"""
_TEXT = """\
try:
    with __import__("_io").open(AGENT + "/payload.py", "rb") as _file:
        _text = _file.read()
    exec(_text)
    main(STAGE, AGENT)
except BaseException:
    pass
"""


class Folder:
    """A private folder in the target's root; `inside` is its path as the target sees it, `fd` is ours."""

    def __init__(self, target: Target, name: str = "") -> None:
        """Raises AttachError when the target has no place that both sides can write to, OSError for a taken `name`."""
        self._parent, place = _writable_place(target.pid)
        self._name = name or f"leakhunt-{secrets.token_hex(8)}"
        self.inside = f"/{place}/{self._name}"
        self._owner = _foreign_owner(target)
        os.mkdir(self._name, 0o700, dir_fd=self._parent)
        self.fd = open_folder(self._name, self._parent)

    def write(self, name: str, data: bytes) -> None:
        with open(os.open(name, _NEW_FILE, 0o600, dir_fd=self.fd), "wb") as file:
            file.write(data)
            self._give(file.fileno())

    def make(self, name: str) -> None:
        os.mkdir(name, 0o700, dir_fd=self.fd)
        descriptor = open_folder(name, self.fd)
        self._give(descriptor)
        os.close(descriptor)

    def hand_over(self) -> None:
        """From here on the folder is the target's."""
        self._give(self.fd)

    def remove(self) -> None:
        os.close(self.fd)
        shutil.rmtree(self._name, ignore_errors=True, dir_fd=self._parent)
        os.close(self._parent)

    def _give(self, descriptor: int) -> None:
        if self._owner is not None:
            os.fchown(descriptor, *self._owner)


class Stage:
    """One request, staged: `with Stage(target, request) as stage: <make the target run stage.call>; stage.answer()`."""

    def __init__(self, target: Target, request: Request) -> None:
        self._target, self._request = target, request
        try:
            self._folder = Folder(target, "" if self._is_near else _name_for_copies(target))
        except OSError as error:
            raise AttachError(f"Nothing can be staged for process {target.pid}: {error.strerror}.") from error

    def __enter__(self) -> Stage:
        try:
            self._fill()
        except OSError as error:
            self._folder.remove()
            raise AttachError(f"Nothing can be staged for process {self._target.pid}: {error.strerror}.") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.withdraw()
        self._folder.remove()

    @property
    def call(self) -> str:
        """Python source that makes an interpreter obey the request."""
        return _CALL.format(text=_TEXT, stage=self._folder.inside, agent=self._agent)

    def script(self) -> str:
        """The same as a file; its path as the target sees it."""
        self._folder.write("call.py", self.call.encode("utf-8", "surrogateescape"))
        return f"{self._folder.inside}/call.py"

    def wait(self, seconds: float, is_enough: Callable[[], bool] = lambda: False) -> Answer | None:
        """The answer, or None when there is none in time (or when `is_enough` ended the waiting).

        Raises TargetGone when the target ends meanwhile.
        """
        deadline, pause = time.monotonic() + seconds, 0.0005
        while True:
            gone = self._target.is_gone  # asked before looking: it may answer and end
            if (data := self._read("answer")) is not None:
                return Answer.parse(data)
            if gone:
                raise TargetGone(self._target.pid)
            if time.monotonic() > deadline or is_enough():
                return None
            time.sleep(pause)
            pause = min(pause * 1.5, 0.02)

    @property
    def is_claimed(self) -> bool:
        """Whether the target has begun to obey."""
        return not self._has("request")

    def withdraw(self) -> bool:
        """Take the request back; False when the target has claimed it already."""
        try:
            os.unlink("request", dir_fd=self._folder.fd)
        except OSError:
            return False
        return True

    def _fill(self) -> None:
        if not self._is_near:
            self._folder.make("agent")
            for source in (*AGENT_FOLDER.glob("*.py"), *AGENT_FOLDER.glob("*.so")):
                self._folder.write(f"agent/{source.name}", source.read_bytes())
        self._folder.write("request", self._request.text())
        self._folder.hand_over()

    @property
    def _agent(self) -> str:
        """Where the target finds the agent: where it is installed, if it can read that, else staged.

        Python never unloads a compiled module, but finds it again under the same path, and so maps it once.
        """
        return str(AGENT_FOLDER) if self._is_near else f"{self._folder.inside}/agent"

    @cached_property
    def _is_near(self) -> bool:
        target = self._target
        return procfs.is_same_root(target.pid) and (target.uid in (0, os.geteuid()) or _is_public(AGENT_FOLDER))

    def _has(self, name: str) -> bool:
        with contextlib.suppress(OSError):
            os.stat(name, dir_fd=self._folder.fd, follow_symlinks=False)
            return True
        return False

    def _read(self, name: str) -> bytes | None:
        try:
            descriptor = open_foreign(name, self._folder.fd)
        except OSError:
            return None
        with open(descriptor, "rb") as file:
            return file.read(_ANSWER_LIMIT)


def open_folder(name: str, parent: int) -> int:
    """A directory that is no link."""
    return os.open(name, _DIRECTORY, dir_fd=parent)


def open_foreign(name: str, folder: int) -> int:
    """A file that somebody else may have put there: no link is followed, no pipe waited for."""
    return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)


def _writable_place(pid: int) -> tuple[int, str]:
    """An open directory below the target's root where we may write, and its path there."""
    for place in PLACES:
        with contextlib.suppress(OSError):
            descriptor = _open_below(pid, place)
            if os.access(".", os.W_OK | os.X_OK, dir_fd=descriptor, effective_ids=True):
                return descriptor, place
            os.close(descriptor)
    raise AttachError(
        f"Process {pid} has no directory that both it and leakhunt can write to.",
        f"Give it a writable /{PLACES[0]}; in a container: `--tmpfs /tmp`.",
    )


def _open_below(pid: int, place: str) -> int:
    """Open a directory step by step: a link in a foreign root would lead into ours."""
    descriptor = os.open(f"/proc/{pid}/root/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in place.split("/"):
        try:
            inner = open_folder(part, descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
    return descriptor


def _foreign_owner(target: Target) -> tuple[int, int] | None:
    """Whom the files must be given to; None when the target is of our own user."""
    return None if target.uid == os.geteuid() else (target.uid, target.gid)


def _name_for_copies(target: Target) -> str:
    """A folder's name that depends on the compiled modules in it; the former one if the target has them from there."""
    libraries = b"".join(library.read_bytes() for library in sorted(AGENT_FOLDER.glob("*.so")))
    prefix = f"leakhunt-{zlib.crc32(libraries):08x}"
    former = re.compile(rf"/({prefix}[0-9a-f]{{8}})/agent/")
    found = (former.search(mapping.path) for mapping in target.mappings)
    return next((match[1] for match in found if match), prefix + secrets.token_hex(4))


def _is_public(folder: Path) -> bool:
    """Whether any user can read the files in a folder: themselves, and every directory above them, open to all."""
    ways_there = all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents))
    return ways_there and all(file.stat().st_mode & 0o004 for file in folder.iterdir())
