"""Borrow one thread of the target for a millisecond, and give it back as it was."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from leakhunt.errors import AttachError

from . import procfs
from .machine_code import SYSCALL
from .ptrace import WORD, NotStopping, PtraceError, Registers, Thread
from .refusals import LeftBehind, Reason, TargetGone

_STOP_SECONDS = 2.0
_CALL_SECONDS = 30.0
_FLAGS = 0x500  # trap and direction: clear when a function is called


def _bits(*signals: int) -> int:
    return sum(1 << (number - 1) for number in signals)


_FAULTS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS)
_ALL_BUT_FAULTS = (WORD - 1) & ~_bits(*_FAULTS, signal.SIGKILL, signal.SIGSTOP)
# The C library's own: setuid() in another thread waits until every thread has taken the second.
_INTERNAL = _bits(32, 33)


class HijackedThread:
    """A thread that stands still. What is changed in it is put back by `borrow`."""

    def __init__(self, thread: Thread) -> None:
        self.thread = thread
        self.registers = thread.registers
        self.blocked = thread.blocked_signals
        self._vectors = b""

    def take_over(self) -> None:
        """From here on the thread is used: it keeps its vector registers, and its signals wait."""
        self._vectors = self.thread.vector_state
        self.thread.blocked_signals = _ALL_BUT_FAULTS

    def system_call(self, instruction: int, number: int, *arguments: int) -> int:
        """Make the thread do one system call with the SYSCALL instruction at an address. Raises OSError."""
        names = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
        values = dict(zip(names, arguments, strict=False))
        self.thread.registers = self.registers.replaced(rip=instruction, rax=number, orig_rax=-1, **values)
        while True:
            self.thread.step()
            self.thread.wait(_CALL_SECONDS)
            after = self.thread.registers
            if after["rip"] != instruction:
                break
        if after["rip"] != instruction + len(SYSCALL):
            raise LeftBehind(f"Process {self.thread.pid} left the way that leakhunt led it.")
        if after["rax"] > WORD - 4096:
            code = WORD - after["rax"]
            raise OSError(code, os.strerror(code))
        return after["rax"]

    def call(self, code: int, size: int, stack: int, argument: int) -> int:
        """Run code to the breakpoint that ends it, on a stack of ours, with rbx holding `argument`; returns eax."""
        thread, flags = self.thread, self.registers["eflags"] & ~_FLAGS
        thread.blocked_signals = _ALL_BUT_FAULTS & ~_INTERNAL
        thread.registers = self.registers.replaced(rip=code, rsp=stack, rbx=argument, orig_rax=-1, eflags=flags)
        passed_on = 0
        while True:
            thread.go_on(passed_on)
            stop = thread.wait(_CALL_SECONDS)
            after = thread.registers
            if stop.signal == signal.SIGTRAP and not stop.event and after["rip"] == code + size:
                thread.blocked_signals = _ALL_BUT_FAULTS
                return after["rax"] & 0xFFFFFFFF
            if stop.signal in _FAULTS and not stop.event:
                raise LeftBehind(f"A call in process {thread.pid} failed with {signal.Signals(stop.signal).name}.")
            passed_on = 0 if stop.event else stop.signal

    def give_back(self) -> None:
        thread, registers = self.thread, self.registers
        if self._vectors:
            thread.vector_state = self._vectors
            thread.blocked_signals = self.blocked
        elif not self._was_cut_short():
            thread.let_go()
            return
        thread.registers = self._again() if self._was_cut_short() else registers
        thread.let_go()

    def _was_cut_short(self) -> bool:
        """Whether it waits in a call that reports EINTR (epoll_wait and others), only because we stopped it."""
        registers = self.registers
        if registers["orig_rax"] >= WORD // 2 or registers["rax"] != WORD - errno.EINTR:
            return False
        status = procfs.Status.of(f"{self.thread.pid}/task/{self.thread.tid}")
        return not (status.mask("SigPnd") | status.mask("ShdPnd")) & ~self.blocked

    def _again(self) -> Registers:
        """Registers with which the thread does its system call once more, so that it never sees the EINTR."""
        before = self.registers["rip"] - len(SYSCALL)
        return self.registers.replaced(rip=before, rax=self.registers["orig_rax"], orig_rax=-1)


@contextmanager
def borrow(pid: int, tid: int) -> Iterator[HijackedThread]:
    """Stop a thread, and let it go on as it was, whatever happens in between.

    Raises:
        AttachError: it can't be stopped. TargetGone: the thread has ended.
    """
    try:
        thread = Thread(pid, tid)
    except PtraceError as error:
        raise AttachError(f"The kernel does not let leakhunt stop process {pid}: {error.strerror}.") from error
    try:
        _halt(thread)
    except NotStopping:
        # Not stopped, it can't be let go either; the kernel does so when our operating-system thread ends.
        raise AttachError(f"A thread of process {pid} is stuck in the kernel.", "Try again later.") from None
    borrowed = HijackedThread(thread)
    try:
        yield borrowed
    except NotStopping:
        raise LeftBehind(f"A call in process {pid} did not come back; the thread was put back where it was.") from None
    finally:
        _put_back(borrowed)


def _put_back(borrowed: HijackedThread) -> None:
    try:
        borrowed.give_back()
    except TargetGone:  # not stopped: a call that does not end. Interrupt it, and try once more
        borrowed.thread.interrupt()
        borrowed.thread.wait(_STOP_SECONDS)
        borrowed.give_back()


def _halt(thread: Thread) -> None:
    """Stop the thread where it is; a signal on its way to it is delivered first."""
    thread.interrupt()
    deadline = time.monotonic() + _STOP_SECONDS
    while True:
        stop = thread.wait(max(0.0, deadline - time.monotonic()))
        if stop.is_interruption:
            return
        if stop.is_group_stop:
            thread.let_go()
            raise Reason(
                f"Process {thread.pid} was stopped meanwhile.", f"Wake it with `kill -CONT {thread.pid}`."
            ).error()
        thread.go_on(0 if stop.event else stop.signal)
