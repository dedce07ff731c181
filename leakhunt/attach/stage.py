"""Files put where the target can read them, and an answer taken from there: the caller's end of `agent/payload.py`.

The folder lies in the target's own root, belongs to the target's user and goes away with the stage. That user may be
no friend of ours: see `foreign.py`.
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

from . import foreign, procfs
from .foreign import Owner
from .guard import Guard
from .refusals import TargetGone
from .request import Answer, Request
from .target import Target

AGENT_FOLDER = Path(__file__).parent.parent / "agent"
PLACES = ("tmp", "var/tmp", "dev/shm", "run")

ROOM_BYTES = 2_000_000  # the agent takes half of it, a first snapshot of a small program the rest

STOP = "stop"  # the file that asks an agent to stop, in its process folder

_ANSWER_LIMIT = 65536
_STOPPING_SECONDS = 8.0  # the agent looks for that file every 5

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
finally:
    globals().clear()
"""


class Folder:
    """A private folder in the target's root, of the target's user; `inside` is its path as the target sees it."""

    def __init__(self, target: Target, name: str = "") -> None:
        """Raises AttachError when the target has no place that it can write to, OSError for a taken `name`."""
        self.owner = Owner.of(target)
        self._name = name or f"leakhunt-{secrets.token_hex(8)}"
        self._parent, place = _make_in_a_place(target.pid, self.owner, self._name)
        self.inside = f"/{place}/{self._name}"
        with self.owner.acting():
            self.fd = foreign.open_folder(self._name, self._parent)
        self._guard = Guard(self._remove_late, (self.fd, self._parent))

    def write(self, name: str, data: bytes) -> None:
        with self.owner.acting():
            foreign.write_new(name, self.fd, data)

    def make(self, name: str) -> None:
        with self.owner.acting():
            os.mkdir(name, 0o700, dir_fd=self.fd)

    def read(self, name: str, limit: int) -> bytes | None:
        """The first bytes of a file; None when there is none."""
        with contextlib.suppress(OSError):
            with self.owner.acting():
                descriptor = foreign.open_file(name, self.fd)
            with open(descriptor, "rb") as file:
                return file.read(limit)
        return None

    def has(self, name: str) -> bool:
        with contextlib.suppress(OSError), self.owner.acting():
            os.stat(name, dir_fd=self.fd, follow_symlinks=False)
            return True
        return False

    def unlink(self, name: str) -> bool:
        """Whether there was such a file."""
        with contextlib.suppress(OSError), self.owner.acting():
            os.unlink(name, dir_fd=self.fd)
            return True
        return False

    def remove(self) -> None:
        os.close(self.fd)
        self._remove()
        os.close(self._parent)
        self._guard.dismiss()

    def _remove(self) -> None:
        with self.owner.acting():
            shutil.rmtree(self._name, ignore_errors=True, dir_fd=self._parent)

    def _remove_late(self) -> None:
        """When leakhunt was killed: an agent that writes here is asked to stop, and given the time to see it."""
        with self.owner.acting():
            processes = [name for name in foreign.listed(self.fd) if name.startswith("pid-")]
        for name in processes:
            with contextlib.suppress(OSError):
                self.write(f"{name}/{STOP}", b"")
        if processes:
            time.sleep(_STOPPING_SECONDS)
        self._remove()


class Stage:
    """One request, staged: `with Stage(target, request) as stage: <make the target run stage.call>; stage.answer()`."""

    def __init__(self, target: Target, request: Request) -> None:
        self._target, self._request = target, request
        try:
            self._folder = Folder(target, "" if self._is_near else _name_for_copies(target))
        except OSError as error:
            raise AttachError(f"No files can be placed for process {target.pid}: {error.strerror}.") from error

    def __enter__(self) -> Stage:
        try:
            self._fill()
        except OSError as error:
            self._folder.remove()
            raise AttachError(f"No files can be placed for process {self._target.pid}: {error.strerror}.") from error
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
            if (data := self._folder.read("answer", _ANSWER_LIMIT)) is not None:
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
        return not self._folder.has("request")

    def withdraw(self) -> bool:
        """Take the request back; False when the target has claimed it already."""
        return self._folder.unlink("request")

    def _fill(self) -> None:
        if not self._is_near:
            self._folder.make("agent")
            for source in (*AGENT_FOLDER.glob("*.py"), *AGENT_FOLDER.glob("*.so")):
                self._folder.write(f"agent/{source.name}", source.read_bytes())
        self._folder.write("request", self._request.text())

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


def _make_in_a_place(pid: int, owner: Owner, name: str) -> tuple[int, str]:
    """Make a folder in the first place with room that the target can write to: that place, open, and its path."""
    root = os.open(f"/proc/{pid}/root/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    small = ""
    try:
        with owner.acting():
            for place in PLACES:
                try:
                    return _make(name, place, root), place
                except _NoRoom:
                    small = small or place
                except _NotWritable:
                    pass
    finally:
        os.close(root)
    raise _no_place(pid, small)


def place_in(target: Target) -> str:
    """The directory below its root that a process can be given files in; nothing is written.

    Raises:
        AttachError: there is none.
    """
    owner, small = Owner.of(target), ""
    root = os.open(f"/proc/{target.pid}/root/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with owner.acting():
            for place in PLACES:
                with contextlib.suppress(OSError):
                    descriptor = foreign.open_folder(place, root)
                    try:
                        if not os.access(f"/proc/self/fd/{descriptor}", os.W_OK | os.X_OK, effective_ids=True):
                            continue
                        if _has_room(descriptor):
                            return f"/{place}"
                        small = small or place
                    finally:
                        os.close(descriptor)
    finally:
        os.close(root)
    raise _no_place(target.pid, small)


def _no_place(pid: int, small: str) -> AttachError:
    if small:
        return AttachError(
            f"/{small} of process {pid} has less than {ROOM_BYTES / 1e6:.0f} MB free, and no other place to write to.",
            f"Make room there; in a container: `--tmpfs /{small}:size=64m`, or a larger `sizeLimit` of its volume.",
        )
    return AttachError(
        f"Process {pid} has no directory that it can write to.",
        f"Give it a writable /{PLACES[0]}; in a container: `--tmpfs /{PLACES[0]}`.",
    )


def _has_room(folder: int) -> bool:
    about = os.fstatvfs(folder)
    return about.f_bavail * about.f_frsize >= ROOM_BYTES


class _NotWritable(Exception):
    """A link, or a read-only file system."""


class _NoRoom(Exception):
    """A file system that is full, or too small for the agent."""


def _make(name: str, place: str, root: int) -> int:
    """Make the folder in a place below an open root; that place, open."""
    try:
        descriptor = foreign.open_folder(place, root)
    except OSError as error:
        raise _NotWritable from error
    if not _has_room(descriptor):
        os.close(descriptor)
        raise _NoRoom
    try:
        os.mkdir(name, 0o700, dir_fd=descriptor)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, FileExistsError):
            raise
        raise _NotWritable from error
    return descriptor


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
