"""Into CPython 3.14+ by its own door (PEP 768): write a script's path into a thread's state, and ask it to look.

Works from any Python version to any known one, since the target itself tells its layout (`_Py_DebugOffsets`). The main
thread is asked first: its state lives as long as the interpreter. Another thread might end, and free its state, while
we write; so it is stopped for that moment.
"""

from __future__ import annotations

import os
import platform
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

from leakhunt.errors import AttachError

from . import procfs, refusals
from .refusals import LeftBehind, Reason, TargetGone
from .request import Answer, Request
from .safe_ptrace import undisturbed
from .stage import Stage
from .target import Target
from .thread_hijack import borrow

FIRST = (3, 14)
COOKIE = b"xdebugpy"

_RUNTIME_SECTION = ".PyRuntime"
_INTERPRETERS_HEAD, _THREADS_HEAD, _THREADS_MAIN, _THREAD_NEXT = 40, 72, 80, 192
# minor version -> where in _Py_DebugOffsets thread_state.native_thread_id and debugger_support are
_LAYOUTS = {14: (224, 712), 15: (248, 840)}
_PLEASE_STOP = 1 << 5
_FINAL_RELEASES = (0xC, 0xF)  # layouts of alphas and betas still move
_PATH_BYTES = 512

_THREADS_ASKED, _THREADS_MAX = 4, 10_000
_GLANCE_SECONDS = 0.05
_AWAKE_SECONDS, _ASLEEP_SECONDS = 1.5, 0.3
_GRACE_SECONDS = 0.05
_CLAIMED_SECONDS = 60.0


class Pep768:
    name = "pep768"
    description = "asks the interpreter to run a script (Python 3.14+, nothing is stopped)"

    def why_not(self, pid: int) -> Reason | None:
        target = Target(pid)
        if reason := refusals.first_reason(target, refusals.LIVING_PYTHON):
            return reason
        if target.python is None or target.python < FIRST:
            return Reason("Only Python 3.14 and newer can be asked to run a script.", "The ptrace way does without.")
        try:
            with Memory.of(target) as memory:
                return Door.find(target, memory).why_not()
        except (OSError, struct.error):
            return Reason(f"The interpreter's state in process {pid} can't be read.", "Try again.")
        except AttachError as error:
            return Reason(error.message, error.hint)

    def inject(self, pid: int, request: Request) -> Answer:
        """Raises AttachError when no thread looked in time; nothing is left then."""
        target = Target(pid)
        try:
            with Stage(target, request) as stage, Memory.of(target) as memory:
                return self._ask(target, stage, Door.find(target, memory))
        except OSError as error:
            if target.is_gone:
                raise TargetGone(pid) from error
            raise AttachError(f"The interpreter's state in process {pid} can't be read.", "Try again.") from error

    def _ask(self, target: Target, stage: Stage, door: Door) -> Answer:
        script = stage.script().encode("utf-8", "surrogateescape")
        for thread in door.threads_by_promise():
            patience = _AWAKE_SECONDS if thread.is_awake else _ASLEEP_SECONDS
            if not door.knock(thread, script):
                continue
            answer = stage.wait(patience)
            if answer is None and stage.is_claimed:
                answer = stage.wait(_CLAIMED_SECONDS)
                if answer is None:
                    raise LeftBehind(f"Process {target.pid} began to start the agent and did not come back.")
            if answer is not None:
                return Answer(answer.word, answer.detail, self.name)
            door.withdraw(thread)
        stage.withdraw()
        # A thread that took the path at the last moment still finds the file, and no request.
        time.sleep(_GRACE_SECONDS)
        raise AttachError(f"All threads of process {target.pid} are blocked in C code and cannot run a script.")


@dataclass(frozen=True)
class ThreadState:
    address: int
    tid: int
    is_main: bool
    is_awake: bool = False


class Memory:
    """The target's memory."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    @contextmanager
    def of(cls, target: Target) -> Iterator[Memory]:
        descriptor = os.open(f"/proc/{target.pid}/mem", os.O_RDWR | os.O_CLOEXEC)
        try:
            yield cls(descriptor)
        finally:
            os.close(descriptor)

    def read(self, address: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, address)

    def word(self, address: int) -> int:
        (value,) = struct.unpack("<Q", self.read(address, 8))
        return int(value)

    def integer(self, address: int) -> int:
        (value,) = struct.unpack("<i", self.read(address, 4))
        return int(value)

    def write(self, address: int, data: bytes) -> bool:
        return os.pwrite(self._descriptor, data, address) == len(data)


class Door:
    """The debugger's entrance to one interpreter, as `_Py_DebugOffsets` describes it."""

    def __init__(self, target: Target, memory: Memory, runtime: int) -> None:
        """`runtime` is the address of `_PyRuntime`. Raises AttachError for a layout that is not known."""
        self._target, self._memory, self._runtime = target, memory, runtime
        version = memory.word(runtime + 8)
        if memory.read(runtime, 8) != COOKIE or version >> 4 & 0xF not in _FINAL_RELEASES or memory.word(runtime + 16):
            raise AttachError("This build of Python is not one that leakhunt knows.", "Use a released one.")
        layout = _LAYOUTS.get(version >> 16 & 0xFF)
        if layout is None:
            raise AttachError(f"Python 3.{version >> 16 & 0xFF} keeps its state in a way that leakhunt does not know.")
        self._native = memory.word(runtime + layout[0])
        debugger = (memory.word(runtime + layout[1] + 8 * i) for i in range(6))
        self._breaker, self._support, self._enabled, self._pending, self._path, size = debugger
        self._interpreter = memory.word(runtime + memory.word(runtime + _INTERPRETERS_HEAD))
        if size != _PATH_BYTES or not self._interpreter:
            raise AttachError(f"The Python in process {target.pid} is starting or ending.", "Try again.")

    @classmethod
    def find(cls, target: Target, memory: Memory) -> Door:
        runtime = target.interpreter.section_address(_RUNTIME_SECTION) if target.interpreter else None
        if runtime is None:
            raise AttachError("The interpreter's file does not tell where its state is (no .PyRuntime section).")
        return cls(target, memory, runtime)

    def why_not(self) -> Reason | None:
        if not self._memory.integer(self._interpreter + self._enabled):
            return Reason(
                "Remote debugging is switched off in the program.",
                "Start it without PYTHON_DISABLE_REMOTE_DEBUG and -X disable-remote-debug.",
            )
        main = next((state for state in self._states() if state.is_main), None)
        if main is None or main.tid != self._target.inner_pid:
            return Reason("The interpreter's list of threads does not match the system's.", "Try again.")
        return None

    def threads_by_promise(self) -> list[ThreadState]:
        """The main thread, then others that ran within the last moment, the oldest first."""
        pid = self._target.pid
        before = {tid: procfs.switches(pid, tid) for tid in procfs.threads(pid)}
        time.sleep(_GLANCE_SECONDS)
        awake = {tid for tid, count in before.items() if procfs.switches(pid, tid) != count or _runs(pid, tid)}
        states = [replace(state, is_awake=state.tid in awake) for state in map(self._outside, self._states())]
        others = [state for state in states if not state.is_main and state.is_awake]
        return [state for state in states if state.is_main] + others[: -_THREADS_ASKED - 1 : -1]

    def knock(self, thread: ThreadState, script: bytes) -> bool:
        """Ask the thread to run the script; False when it has gone, or somebody else's script waits there."""
        return self._holding(thread, lambda: self._knock(thread, script))

    def withdraw(self, thread: ThreadState) -> None:
        """Let the thread forget it; when it is about to look, it finds the request gone."""
        pending = thread.address + self._support + self._pending
        self._holding(thread, lambda: self._memory.write(pending, struct.pack("<i", 0)))

    def _holding(self, thread: ThreadState, action: Callable[[], bool]) -> bool:
        """Do something to a thread's state while it can't end: False when it has ended already."""
        if thread.is_main:
            return action()
        if platform.machine() != "x86_64":
            return False

        def stopped() -> float:
            with borrow(self._target.pid, thread.tid):
                return self._is_listed(thread) and action()

        try:
            return bool(undisturbed(stopped))
        except TargetGone:
            return False

    def _knock(self, thread: ThreadState, script: bytes) -> bool:
        memory, support, breaker = self._memory, thread.address + self._support, thread.address + self._breaker
        if memory.integer(support + self._pending) or len(script) >= _PATH_BYTES:
            return False
        memory.write(support + self._path, script + b"\0")
        memory.write(support + self._pending, struct.pack("<i", 1))
        # The lowest byte alone: the others hold the version of the program's monitoring, which must not be lost.
        memory.write(breaker, bytes([memory.read(breaker, 1)[0] | _PLEASE_STOP]))
        return True

    def _is_listed(self, thread: ThreadState) -> bool:
        return any(state.address == thread.address for state in self._states())

    def _outside(self, state: ThreadState) -> ThreadState:
        """The state with the thread id that it has in our pid namespace."""
        return replace(state, tid=self._outer_tids.get(state.tid, state.tid))

    @cached_property
    def _outer_tids(self) -> dict[int, int]:
        pid = self._target.pid
        return {procfs.Status.of(f"{pid}/task/{tid}").inner_pid: tid for tid in procfs.threads(pid)}

    def _states(self) -> Iterator[ThreadState]:
        """All thread states, with the thread ids that the interpreter itself knows."""
        memory, runtime = self._memory, self._runtime
        main = memory.word(self._interpreter + memory.word(runtime + _THREADS_MAIN))
        address = memory.word(self._interpreter + memory.word(runtime + _THREADS_HEAD))
        following = memory.word(runtime + _THREAD_NEXT)
        for _ in range(_THREADS_MAX):  # the list may change while it is read
            if not address:
                return
            yield ThreadState(address, memory.word(address + self._native), address == main)
            address = memory.word(address + following)


def _runs(pid: int, tid: int) -> bool:
    return procfs.Status.of(f"{pid}/task/{tid}").state == "R"
