"""Where a thread may be stopped and made to call pthread_create: provably outside every lock that call takes.

pthread_create takes locks of malloc, of the stack cache and of thread-local storage. The thread that is borrowed
must not hold one, or it would wait for itself. It holds none

- in a system call that only waits, made by nobody who holds these locks (malloc itself calls mmap, brk, madvise and
  futex, which are not in the list); or
- in the interpreter's own text, which calls into the C library but is never called from inside a locked part of it,
  unless as a signal handler, which a blocked caught signal betrays.

Of futex calls only FUTEX_WAIT_BITSET counts: the C library waits for its own locks with FUTEX_WAIT.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import procfs
from .procfs import RUNNING, SystemCall
from .ptrace import WORD, Registers
from .target import Image, Target

# x86-64 numbers: read poll select nanosleep accept recvfrom recvmsg wait4 rt_sigtimedwait restart_syscall
# clock_nanosleep epoll_wait waitid pselect6 ppoll epoll_pwait accept4 epoll_pwait2
WAITING = frozenset({0, 7, 23, 35, 43, 45, 47, 61, 128, 219, 230, 232, 247, 270, 271, 281, 288, 441})
FUTEX = 202

_FUTEX_COMMAND = 0x7F
_FUTEX_WAIT_BITSET = 9
_ERRORS = WORD - 600  # the kernel's own codes for "interrupted" are below -511
_THREADS_AT_ONCE = 3


@dataclass(frozen=True)
class Places:
    """What is safe in one target: its interpreter's code, and the signals that its handlers catch (bit N-1)."""

    code: tuple[range, ...]
    caught: int

    @classmethod
    def of(cls, target: Target, interpreter: Image) -> Places:
        # An interpreter that brings its own malloc has that one's locks in its text.
        brings_malloc = bool(interpreter.elf.symbols({"malloc"}))
        return cls(() if brings_malloc else interpreter.code, target.status.mask("SigCgt"))

    def is_safe(self, registers: Registers, blocked: int) -> bool:
        """For a stopped thread with these registers and blocked signals."""
        number = registers["orig_rax"]
        if number < WORD // 2:
            return registers["rax"] > _ERRORS and is_waiting(number, registers["rsi"])
        return not blocked & self.caught and any(registers["rip"] in part for part in self.code)


def is_waiting(number: int, second_argument: int) -> bool:
    return number in WAITING or (number == FUTEX and second_argument & _FUTEX_COMMAND == _FUTEX_WAIT_BITSET)


def candidates(pid: int) -> Iterator[int]:
    """Threads that are likely to be at a safe place, the best first; the main thread, which gets signals, last."""
    ranks = {tid: rank(procfs.system_call(pid, tid)) for tid in procfs.threads(pid)}
    ranked = sorted((rank, tid == pid, tid) for tid, rank in ranks.items() if rank is not None)
    yield from (tid for _, _, tid in ranked[:_THREADS_AT_ONCE])


def rank(call: SystemCall) -> int | None:
    """0 for the likeliest; None for a thread that is certainly at no safe place."""
    if call.number == RUNNING:
        return 2
    if call.number in WAITING:
        return 0
    if call.arguments and is_waiting(call.number, call.arguments[1]):
        return 1
    return None
