"""Folders and files of a target, which may change them at any moment to lead us elsewhere.

Two things keep that harmless. Whatever is done there is done as the target's own user, so nothing comes of it that the
target could not have done by itself; and every step of a path is opened alone, from an open folder, following no link.
The second is what counts where the target acts as root, but in a root of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from leakhunt.errors import AttachError

from .target import Target

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # no pipe is waited for


@dataclass(frozen=True)
class Owner:
    """The user as whom to act in a target's files; `uid` is None when it is our own."""

    uid: int | None
    gid: int
    groups: tuple[int, ...]

    @classmethod
    def of(cls, target: Target) -> Owner:
        return cls(
            None if target.uid == os.geteuid() else target.uid,
            target.gid,
            tuple(map(int, target.status.words("Groups"))),
        )

    @contextlib.contextmanager
    def acting(self) -> Iterator[None]:
        """The block's files are opened, made and removed by the owner, as far as this thread goes.

        Raises AttachError when the system does not let us.
        """
        if self.uid is None:
            yield
            return
        own_groups = os.getgroups()
        try:
            _become(self.uid, self.gid, self.groups)
            yield
        finally:
            _become(os.geteuid(), os.getegid(), own_groups)


def _become(uid: int, gid: int, groups: tuple[int, ...] | list[int]) -> None:
    """Change the user and groups that count for files; user 0 and back takes the rights over files away and back."""
    libc = _libc()
    if uid == os.geteuid():
        libc.setfsuid(uid)  # first, as it brings back the right to do the others
    try:
        os.setgroups(groups)
    except OSError as error:
        raise AttachError(f"leakhunt may not act as user {uid}: {error.strerror}.", "Use `sudo leakhunt …`.") from error
    libc.setfsgid(gid)
    libc.setfsuid(uid)
    if libc.setfsuid(-1) != uid:  # a change to nobody fails, and tells who it is now
        raise AttachError(f"leakhunt may not act as user {uid}.", "Run it as root, with CAP_SETUID.")


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def open_folder(path: str, below: int) -> int:
    """The folder at a relative path, each part of which must be a folder and no link."""
    descriptor = os.dup(below)
    for part in _parts(path):
        try:
            inner = os.open(part, _FOLDER, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
    return descriptor


def write_new(path: str, below: int, data: bytes) -> None:
    """Write a file that must not be there yet."""
    folder, _, name = path.rpartition("/")
    descriptor = open_folder(folder, below)
    try:
        with open(os.open(name, _NEW_FILE, 0o600, dir_fd=descriptor), "wb") as file:
            file.write(data)
    finally:
        os.close(descriptor)


def open_file(name: str, folder: int) -> int:
    """A regular file in an open folder, for reading. Raises OSError when it is anything else."""
    descriptor = os.open(name, _READ_FILE, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{name} is not a regular file")
    return descriptor


def listed(folder: int) -> list[str]:
    """Names in an open folder; empty when it can't be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _parts(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part]
    if ".." in parts:
        raise OSError(f"{path} leads upwards")
    return parts
