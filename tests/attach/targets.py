"""Hostile targets to attach to: which interpreters are at hand, how a target is started, what it says of itself.

3.14 and 3.15 come from Debian, as root, in a root of their own, which LEAKHUNT_TEST_CHROOT names:

    debootstrap --variant=minbase --include=python3.14,python3.15 sid /srv/leakhunt-chroot
    mount --bind /proc /srv/leakhunt-chroot/proc
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
HOSTILE = HERE / "hostile.py"
KINDS = (
    "allocating", "floating", "malloc", "malloc_with_gil", "dlopen", "locks", "timers", "epoll", "event_loop",
    "blocked", "asleep", "breathing",
)  # fmt: skip
VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15")
SYSTEM_PYTHON = "/usr/bin/python3.11"
CHROOT = Path(os.environ.get("LEAKHUNT_TEST_CHROOT", "/srv/leakhunt-chroot"))

_BROKEN, _LOOPS, _OBJECTS, _ASKED = 8, 9, 10, 11


@dataclass(frozen=True)
class Interpreter:
    """`name` is "3.11", "3.11-static" or "3.14-chroot"; `root` is where its own "/" is."""

    name: str
    command: tuple[str, ...]
    root: Path = Path("/")

    @property
    def version(self) -> tuple[int, int]:
        major, minor = self.name.partition("-")[0].split(".")
        return int(major), int(minor)


@functools.cache
def interpreters() -> tuple[Interpreter, ...]:
    """Those at hand, the oldest first."""
    found = [Interpreter(version, (path,)) for version in VERSIONS if (path := _path_of(version))]
    if os.access(SYSTEM_PYTHON, os.X_OK):
        found.append(Interpreter("3.11-static", (SYSTEM_PYTHON,)))
    for version in ("3.14", "3.15"):
        if os.geteuid() == 0 and (CHROOT / f"usr/bin/python{version}").exists() and (CHROOT / "proc/self").exists():
            found.append(Interpreter(f"{version}-chroot", ("chroot", str(CHROOT), f"python{version}"), CHROOT))
    return tuple(sorted(found, key=lambda interpreter: (interpreter.version, interpreter.name)))


def _path_of(version: str) -> str | None:
    """A build of that version with a shared libpython, from pyenv."""
    homes = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{version}.*"))
    return next((str(path) for home in reversed(homes) if (path := home / "bin" / "python").exists()), None)


class HostileTarget:
    """A running hostile program; `beats()` and `broken` are what it says of itself."""

    def __init__(self, interpreter: Interpreter, kind: str, folder: Path, helper: Path | None) -> None:
        """`folder` lies below the interpreter's root, and so does `helper`'s copy in it."""
        self.kind, self.interpreter = kind, interpreter
        self._status = folder / "status"
        self._errors = folder / "errors"
        inside = Path("/") / folder.relative_to(interpreter.root)
        for file in (HOSTILE, *([helper] if helper else [])):
            shutil.copy(file, folder)
        if helper:
            shutil.copy(helper, folder / "other.so")
        arguments = [inside / HOSTILE.name, kind, inside / "status", inside / "helper.so", inside / "other.so"]
        with open(self._errors, "wb") as errors:
            self.process = subprocess.Popen(
                [*interpreter.command, *map(str, arguments)], stderr=errors, stdin=subprocess.DEVNULL
            )
        self.pid = self.process.pid
        self._wait_for_start()

    def beats(self) -> tuple[int, ...]:
        return self._words()[:8]

    @property
    def broken(self) -> int:
        """How many invariants did not hold."""
        return self._words()[_BROKEN]

    @property
    def errors(self) -> str:
        return self._errors.read_text(errors="replace")

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def goes_on(self, seconds: float = 20.0) -> bool:
        """Whether every loop that ought to beat does so within the time."""
        before, deadline = self.beats(), time.monotonic() + seconds
        loops = range(1, 2) if self.kind == "blocked" else range(self._words()[_LOOPS])
        while self.is_alive and time.monotonic() < deadline:
            now = self.beats()
            if all(now[number] > before[number] for number in loops):
                return True
            time.sleep(0.002)
        return False

    def objects(self) -> int:
        """How many objects its collector lists after a collection."""
        with open(self._status, "r+b") as file:
            file.seek(8 * _ASKED)
            file.write(struct.pack("<Q", 1))
        while self._words()[_ASKED]:
            time.sleep(0.002)
        return self._words()[_OBJECTS]

    def memory_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def stop(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def _words(self) -> tuple[int, ...]:
        try:
            return struct.unpack("<16Q", self._status.read_bytes())
        except (OSError, struct.error):
            return (0,) * 16

    def _wait_for_start(self) -> None:
        """Until its loops beat, or, where none does, until it sits in its last system call."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.is_alive:
            words = self._words()
            if (words[_LOOPS] and all(words[: words[_LOOPS]])) or (self.kind == "blocked" and words[1]):
                return
            if self.kind == "asleep" and self._sits_in_accept():
                return
            time.sleep(0.01)
        raise RuntimeError(f"{self.interpreter.name} {self.kind} did not start: {self.errors}")

    def _sits_in_accept(self) -> bool:
        return Path(f"/proc/{self.pid}/syscall").read_text().split()[0] in ("43", "288")


@functools.cache
def helper() -> Path | None:
    """The compiled helper, or None where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    path = Path(tempfile.mkdtemp(prefix="leakhunt-helper-")) / "helper.so"
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", path, HERE / "hostile.c", "-ldl"], check=True)
    return path


@contextmanager
def hostile_target(interpreter: Interpreter, kind: str) -> Iterator[HostileTarget]:
    place = interpreter.root / "tmp"
    with tempfile.TemporaryDirectory(prefix="hostile-", dir=place) as folder:
        target = HostileTarget(interpreter, kind, Path(folder), helper())
        try:
            yield target
        finally:
            target.stop()
