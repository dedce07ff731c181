"""What can be learnt of a process without touching it: which Python, which C library, whose, in what state."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

from . import procfs
from .elf import Elf
from .procfs import Mapping, Status

# What a C program must export to run Python code in it: an object that has them is a CPython.
ENTRY_POINTS = frozenset({"Py_IsInitialized", "PyGILState_Ensure", "PyGILState_Release", "PyRun_SimpleString"})

_NAMED_VERSION = re.compile(r"python(\d)\.(\d+)(t?)")
_DELETED = " (deleted)"
_PAGE = 4096


@dataclass(frozen=True)
class Image:
    """A file mapped into the target: where it starts, which parts are code, and the file's content."""

    path: str
    start: int
    mappings: tuple[Mapping, ...]
    elf: Elf

    @property
    def name(self) -> str:
        return os.path.basename(self.path).removesuffix(_DELETED)

    @property
    def code(self) -> tuple[range, ...]:
        return tuple(range(mapping.start, mapping.end) for mapping in self.mappings if mapping.is_code)

    def addresses(self, wanted: Collection[str]) -> dict[str, int]:
        """Where the target has the wanted symbols, for those that the file exports."""
        return {name: self.start + offset for name, offset in self.elf.symbols(wanted).items()}

    def section_address(self, name: str) -> int | None:
        section = self.elf.section(name)
        return None if section is None else self.start + section.address - self.elf.base


class Target:
    """A process, looked at from outside. What is read once stays as it was: make a new one to look again."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.started = procfs.start_time(pid)

    @cached_property
    def status(self) -> Status:
        return Status.of(self.pid)

    @property
    def is_gone(self) -> bool:
        """Whether the process has ended since this object was made, also when its pid was given to another."""
        return procfs.start_time(self.pid) != self.started or Status.of(self.pid).state in ("", "Z", "X")

    @property
    def uid(self) -> int:
        """The user it acts as; -1 when it is gone."""
        return self.status.uids[1] if len(self.status.uids) > 1 else -1

    @property
    def gid(self) -> int:
        return self.status.gids[1] if len(self.status.gids) > 1 else -1

    @cached_property
    def inner_pid(self) -> int:
        """The pid it has in its own namespace, the one its agent uses."""
        return self.status.inner_pid or self.pid

    @cached_property
    def mappings(self) -> tuple[Mapping, ...]:
        """Empty when they may not be read."""
        try:
            return tuple(procfs.mappings(self.pid))
        except OSError:
            return ()

    @cached_property
    def interpreter(self) -> Image | None:
        """The file that holds the interpreter: libpython if there is one, else the executable. None: not CPython."""
        return next((image for image in self._likely_interpreters() if self._is_interpreter(image)), None)

    @cached_property
    def python(self) -> tuple[int, int] | None:
        """(3, 11); None when it can't be told."""
        named = self._named_version
        return None if named is None else (int(named[1]), int(named[2]))

    @property
    def is_free_threaded(self) -> bool:
        return self._named_version is not None and self._named_version[3] == "t"

    @cached_property
    def libc(self) -> str:
        """ "glibc", "musl" or "" (static, or unknown)."""
        names = {os.path.basename(mapping.path).removesuffix(_DELETED) for mapping in self.mappings}
        if any(name.startswith(("ld-musl", "libc.musl")) for name in names):
            return "musl"
        return "glibc" if any(_is_glibc(name) for name in names) else ""

    @property
    def glibc_images(self) -> Iterator[Image]:
        """The C library's parts: libc first, and libpthread, a file of its own before glibc 2.34."""
        for path in sorted({mapping.path for mapping in self.mappings if mapping.path}, key=lambda p: "pthread" in p):
            if _is_glibc(os.path.basename(path).removesuffix(_DELETED)) and (image := self.image(path)):
                yield image

    def image(self, path: str) -> Image | None:
        """What is mapped from `path`; None when the file's content can't be had or is no longer what is mapped."""
        mine = tuple(mapping for mapping in self.mappings if mapping.path == path)
        first = next((mapping for mapping in mine if mapping.offset == 0), None)
        if first is None:
            return None
        head = self._memory(first.start, _PAGE)
        for candidate in self._readable(first, path):
            try:
                # Whose file that is, is not sure: a pipe would be waited for.
                with open(os.open(candidate, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb") as file:
                    data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                # An upgrade may have put another file at this path: the first page holds the build id.
                if data[: len(head)] == head:
                    return Image(path, first.start, mine, Elf(data))
            except (OSError, ValueError):  # gone, forbidden, empty, no ELF file
                continue
        return None

    @cached_property
    def _executable(self) -> str:
        try:
            return os.readlink(f"/proc/{self.pid}/exe")
        except OSError:
            return ""

    @cached_property
    def _named_version(self) -> re.Match[str] | None:
        """The version as its files are called; mapped modules tell it when the interpreter's own name does not."""
        if self.interpreter is None:
            return None
        paths = [self.interpreter.name, *(mapping.path for mapping in self.mappings)]
        return next((match for path in paths if (match := _NAMED_VERSION.search(path))), None)

    def _likely_interpreters(self) -> Iterator[Image]:
        """Images that may hold the interpreter, libpython before the executable that is linked with it."""
        paths = {mapping.path for mapping in self.mappings if mapping.offset == 0 and mapping.path.startswith("/")}
        likely = [path for path in paths if path == self._executable or "python" in os.path.basename(path)]
        for path in sorted(likely, key=lambda path: ("libpython" not in path, path)):
            if image := self.image(path):
                yield image

    @staticmethod
    def _is_interpreter(image: Image) -> bool:
        return len(image.elf.symbols(ENTRY_POINTS)) == len(ENTRY_POINTS)

    def _readable(self, mapping: Mapping, path: str) -> Iterator[str]:
        """Places where the mapped file's content may be read, those that can't be mistaken first."""
        yield f"/proc/{self.pid}/map_files/{mapping.start:x}-{mapping.end:x}"  # needs CAP_CHECKPOINT_RESTORE
        if path == self._executable:
            yield f"/proc/{self.pid}/exe"
        yield f"/proc/{self.pid}/root{path}"
        yield path  # a chroot in our own mount namespace shows its files by our paths

    def _memory(self, address: int, size: int) -> bytes:
        """b"" when it may not be read."""
        try:
            with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
                memory.seek(address)
                return memory.read(size) or b""
        except OSError:
            return b""


def _is_glibc(name: str) -> bool:
    return name.startswith(("libc.so", "libc-2", "libpthread.so", "libpthread-2"))
