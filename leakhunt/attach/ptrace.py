"""One stopped thread: the kernel's ptrace calls (Linux, x86-64), without any policy.

Every call must come from the operating-system thread that seized; when that thread ends, the kernel lets go by itself.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import time
from collections.abc import Iterable

from .refusals import TargetGone

_PEEK, _POKE, _CONTINUE, _STEP, _GET_REGISTERS, _SET_REGISTERS, _DETACH = 2, 5, 7, 9, 12, 13, 17
_GET_SET, _SET_SET, _SEIZE, _INTERRUPT, _GET_MASK, _SET_MASK = 0x4204, 0x4205, 0x4206, 0x4207, 0x420A, 0x420B
_X86_XSTATE = 0x202
_XSTATE_BYTES = 1 << 15  # more than any processor's: AMX tiles included
_WALL = 0x40000000
_EVENT_STOP = 128
_SPIN_SECONDS = 0.001

NAMES = (
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi", "orig_rax",
    "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs",
)  # fmt: skip
_INDEX = {name: index for index, name in enumerate(NAMES)}
WORD = 1 << 64

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long] * 4


class PtraceError(OSError):
    """The kernel refused a ptrace call."""


class NotStopping(Exception):
    """A thread did not stop in time: it is inside the kernel and can't be interrupted there (a disk, a vfork)."""


class Registers:
    """The 27 general registers, by name: `registers["rip"]`."""

    def __init__(self, values: Iterable[int]) -> None:
        self._values = list(values)

    def __getitem__(self, name: str) -> int:
        return self._values[_INDEX[name]]

    def replaced(self, **values: int) -> Registers:
        changed = Registers(self._values)
        for name, value in values.items():
            changed._values[_INDEX[name]] = value % WORD
        return changed

    def packed(self) -> ctypes.Array[ctypes.c_ulonglong]:
        return (ctypes.c_ulonglong * len(NAMES))(*self._values)


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class Stop:
    """Why a thread stands still: a signal it is about to receive, or our own interruption (`is_event`)."""

    def __init__(self, status: int) -> None:
        self.signal = status >> 8 & 0xFF
        self.event = status >> 16

    @property
    def is_interruption(self) -> bool:
        return self.event == _EVENT_STOP and self.signal == signal.SIGTRAP

    @property
    def is_group_stop(self) -> bool:
        return self.event == _EVENT_STOP and self.signal != signal.SIGTRAP


class Thread:
    """A seized thread of another process."""

    def __init__(self, pid: int, tid: int) -> None:
        """Seize the thread; it runs on. Raises PtraceError, or TargetGone when there is no such thread."""
        self.pid, self.tid = pid, tid
        self._call(_SEIZE)

    def interrupt(self) -> None:
        self._call(_INTERRUPT)

    def wait(self, seconds: float) -> Stop:
        """Wait for the next stop: spinning at first, because the thread stands still as long as we sleep.

        Raises NotStopping, TargetGone.
        """
        begun = time.monotonic()
        while True:
            try:
                tid, status = os.waitpid(self.tid, os.WNOHANG | _WALL)
            except ChildProcessError:
                raise TargetGone(self.pid) from None
            if tid:
                if not os.WIFSTOPPED(status):
                    raise TargetGone(self.pid)
                return Stop(status)
            waited = time.monotonic() - begun
            if waited > seconds:
                raise NotStopping
            if waited > _SPIN_SECONDS:
                time.sleep(0.0002)

    def go_on(self, signal_number: int = 0) -> None:
        """Run until the next stop, receiving a signal first if there is one."""
        self._call(_CONTINUE, 0, signal_number)

    def step(self, signal_number: int = 0) -> None:
        """Run one instruction; a system call counts as one."""
        self._call(_STEP, 0, signal_number)

    def let_go(self) -> None:
        self._call(_DETACH)

    @property
    def registers(self) -> Registers:
        buffer = (ctypes.c_ulonglong * len(NAMES))()
        self._call(_GET_REGISTERS, 0, ctypes.addressof(buffer))
        return Registers(buffer)

    @registers.setter
    def registers(self, registers: Registers) -> None:
        buffer = registers.packed()
        self._call(_SET_REGISTERS, 0, ctypes.addressof(buffer))

    @property
    def vector_state(self) -> bytes:
        """Floating-point and vector registers, which a call is free to change, in the processor's own layout."""
        buffer = ctypes.create_string_buffer(_XSTATE_BYTES)
        vector = _Vector(ctypes.addressof(buffer), _XSTATE_BYTES)
        self._call(_GET_SET, _X86_XSTATE, ctypes.addressof(vector))
        return buffer.raw[: vector.size]

    @vector_state.setter
    def vector_state(self, state: bytes) -> None:
        buffer = ctypes.create_string_buffer(state, len(state))
        vector = _Vector(ctypes.addressof(buffer), len(state))
        self._call(_SET_SET, _X86_XSTATE, ctypes.addressof(vector))

    @property
    def blocked_signals(self) -> int:
        """Bit N-1 for signal N."""
        mask = ctypes.c_ulonglong()
        self._call(_GET_MASK, 8, ctypes.addressof(mask))
        return mask.value

    @blocked_signals.setter
    def blocked_signals(self, signals: int) -> None:
        mask = ctypes.c_ulonglong(signals)
        self._call(_SET_MASK, 8, ctypes.addressof(mask))

    def write(self, address: int, data: bytes) -> None:
        """Into memory of any protection, a word at a time; `data` is padded with zeros to whole words."""
        for offset in range(0, len(data), 8):
            word = int.from_bytes(data[offset : offset + 8], "little", signed=False)
            self._call(_POKE, address + offset, word - WORD if word >= WORD // 2 else word)

    def _call(self, request: int, address: int = 0, data: int = 0) -> None:
        if _libc.ptrace(request, self.tid, address, data) < 0:
            number = ctypes.get_errno()
            if number == errno.ESRCH:
                raise TargetGone(self.pid)
            raise PtraceError(number, os.strerror(number))
