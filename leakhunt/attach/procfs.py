"""Reading /proc: text in, plain values out. Nothing here touches the process that is read about."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

RUNNING = -1  # in place of a system call's number: the thread is on a processor
UNKNOWN = -2  # the kernel does not say

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Mapping:
    """One line of /proc/PID/maps. `path` is "" for anonymous memory and may end in " (deleted)"."""

    start: int
    end: int
    access: str
    offset: int
    path: str

    @property
    def is_code(self) -> bool:
        return "x" in self.access


@dataclass(frozen=True)
class SystemCall:
    """Where a thread is: the number of the system call it waits in (or RUNNING, UNKNOWN) and its arguments."""

    number: int
    arguments: tuple[int, ...] = ()


class Status:
    """/proc/PID/status by key; `exists` is False when there is no such process."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()

    @classmethod
    def of(cls, pid: int | str, root: str = "/proc") -> Status:
        try:
            with open(f"{root}/{pid}/status", encoding="utf-8", errors="replace") as file:
                return cls(file.read())
        except OSError:
            return cls("")

    @property
    def exists(self) -> bool:
        return bool(self._lines)

    @cached_property
    def _by_key(self) -> dict[str, str]:
        return {key: value.strip() for key, _, value in (line.partition(":") for line in self._lines)}

    @property
    def state(self) -> str:
        """One letter as in ps(1): R, S, D, T (stopped), t (traced), Z (zombie), X (dead); "" when unknown."""
        return self._by_key.get("State", "")[:1]

    @property
    def uids(self) -> tuple[int, ...]:
        """Real, effective, saved and file-system user ids."""
        return tuple(map(int, self._by_key.get("Uid", "").split()))

    @property
    def gids(self) -> tuple[int, ...]:
        return tuple(map(int, self._by_key.get("Gid", "").split()))

    def number(self, key: str) -> int:
        """A decimal value; 0 when the kernel does not give it."""
        words = self._by_key.get(key, "").split()
        return int(words[0]) if words and words[0].isdigit() else 0

    def mask(self, key: str) -> int:
        """A hexadecimal value (SigBlk, SigCgt, CapEff, …); 0 when the kernel does not give it."""
        return int(self._by_key.get(key, "0") or "0", 16)

    @property
    def inner_pid(self) -> int:
        """Its pid as it knows itself, in the innermost pid namespace; 0 when the kernel does not say."""
        words = self._by_key.get("NSpid", "").split()
        return int(words[-1]) if words else 0

    def words(self, key: str) -> list[str]:
        return self._by_key.get(key, "").split()


def mappings(pid: int) -> Iterator[Mapping]:
    """Raises OSError when the process is gone or may not be read."""
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            words = line.rstrip("\n").split(None, 5)
            start, _, end = words[0].partition("-")
            yield Mapping(int(start, 16), int(end, 16), words[1], int(words[2], 16), words[5] if len(words) > 5 else "")


def threads(pid: int) -> list[int]:
    """Thread ids, the oldest (main) first; empty when the process is gone."""
    try:
        return sorted(map(int, os.listdir(f"/proc/{pid}/task")), key=lambda tid: (tid != pid, tid))
    except OSError:
        return []


def system_call(pid: int, tid: int) -> SystemCall:
    """What the thread waits in. Needs the same permission as ptrace; UNKNOWN without it."""
    try:
        with open(f"/proc/{pid}/task/{tid}/syscall") as file:
            words = file.read().split()
    except OSError:
        return SystemCall(UNKNOWN)
    if not words or words[0] == "running":
        return SystemCall(RUNNING)
    return SystemCall(int(words[0]), tuple(int(word, 16) for word in words[1:7]))


def switches(pid: int, tid: int) -> int:
    """How often the thread left the processor so far: two equal readings mean that it did not run between."""
    status = Status.of(f"{pid}/task/{tid}")
    return status.number("voluntary_ctxt_switches") + status.number("nonvoluntary_ctxt_switches")


def start_time(pid: int) -> int:
    """Clock ticks from boot to the start of the process; with the pid it names one for good. 0 when it is gone."""
    return _of_stat(pid, 22)


def start_of_stack(pid: int) -> int:
    """Where the main thread's stack begins: another place after each exec. 0 when it is gone or may not be known."""
    return _of_stat(pid, 28)


def ticks_since_boot() -> int:
    """The clock of `start_time`."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


def _of_stat(pid: int, number: int) -> int:
    """A field of /proc/PID/stat, numbered from 1 as in proc(5); 0 when there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[number - 3])
    except (OSError, IndexError, ValueError):
        return 0


def descendants(pid: int) -> Iterator[tuple[int, int]]:
    """(pid, parent's pid) of children and theirs, parents first."""
    children = [int(child) for tid in threads(pid) for child in setting(f"/proc/{pid}/task/{tid}/children").split()]
    for child in children:
        yield child, pid
        yield from descendants(child)


def command(pid: int) -> list[str]:
    """The command line of a process; empty when there is none."""
    return _zero_separated(f"/proc/{pid}/cmdline") or []


def environment(pid: int) -> dict[str, str] | None:
    """The environment with which the program was started; None when it may not be read."""
    entries = _zero_separated(f"/proc/{pid}/environ")
    if entries is None:
        return None
    return {key: value for key, equals, value in (entry.partition("=") for entry in entries) if equals}


def _zero_separated(path: str) -> list[str] | None:
    try:
        with open(path, "rb") as file:
            return os.fsdecode(file.read()).split("\0")[:-1]
    except OSError:
        return None


def is_same_namespace(pid: int, kind: str) -> bool:
    """Whether it shares our namespace of a kind ("mnt", "pid", "net", "user"); True when that can't be read."""
    try:
        return os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/self/ns/{kind}")
    except OSError:
        return True


def is_same_root(pid: int) -> bool:
    """Whether a path means the same file to the process as to us: one mount namespace and one root directory."""
    try:
        theirs, ours = os.stat(f"/proc/{pid}/root/"), os.stat("/")
    except OSError:
        return True
    return is_same_namespace(pid, "mnt") and (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)


def setting(path: str) -> str:
    """A kernel setting's text, "" when the kernel has no such setting."""
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def find(pid: int, mapping: Mapping, pattern: bytes) -> int | None:
    """The address of the first occurrence of a pattern in mapped memory; None when it may not be read."""
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for start in range(mapping.start, mapping.end, _CHUNK):
                memory.seek(start)
                offset = memory.read(min(_CHUNK, mapping.end - start)).find(pattern)
                if offset >= 0:
                    return start + offset
    except OSError:
        pass
    return None
