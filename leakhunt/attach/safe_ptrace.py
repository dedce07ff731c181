"""Into any CPython 3.8+ with no debugger: stop one thread where it holds no lock, have it start another, let it go.

The new thread waits for the GIL like any other, runs the staged call and ends. The stopped one stands still for about
a millisecond. Nothing is loaded, so neither the dynamic linker nor any file of ours is involved.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from leakhunt.errors import AttachError

from . import machine_code, procfs, refusals
from .machine_code import CODE_OFFSET, PAGE_BYTES, SYSCALL
from .refusals import LeftBehind, Reason, TargetGone
from .request import Answer, Request
from .safe_places import Places, candidates
from .stage import Stage
from .target import Target
from .thread_hijack import HijackedThread, borrow

CHECKS = (
    *refusals.LIVING_PYTHON,
    refusals.is_known_machine,
    refusals.is_known_libc,
    refusals.is_free_of_sandbox,
    refusals.has_plain_stacks,
    refusals.is_ptrace_allowed,
)

_SEARCH_SECONDS = 15.0
_CLAIMED_SECONDS = 60.0
_STACK_BYTES = 1 << 16
_MMAP, _MPROTECT, _MUNMAP = 9, 10, 11
_READ, _WRITE, _EXECUTE = 1, 2, 4
_PRIVATE_ANONYMOUS = 0x22
_NO_FILE = (1 << 64) - 1


class SafePtrace:
    """The way that needs nothing of the target but glibc on x86-64."""

    name = "ptrace"
    description = "stops one thread at a safe place for about 1 ms (Python 3.8+, x86-64, glibc)"

    def why_not(self, pid: int) -> Reason | None:
        target = Target(pid)
        return refusals.first_reason(target, CHECKS) or _unresolved(target)

    def inject(self, pid: int, request: Request) -> Answer:
        """Raises AttachError (nothing is left), LeftBehind (something may be)."""
        target = Target(pid)
        plan = Plan.of(target)
        with Stage(target, request) as stage:
            pause = undisturbed(lambda: start_thread(target, plan, stage.call))
            answer = stage.wait(request.patience_seconds)
            if answer is None and not stage.withdraw():
                answer = stage.wait(_CLAIMED_SECONDS)
            if answer is None:
                raise LeftBehind(
                    f"Process {pid} let no Python code run for {request.patience_seconds:g} s: "
                    "most likely it is inside C code that keeps the GIL.",
                    f"Try again later, or see where it is with `py-spy dump --native --pid {pid}`.",
                )
        return Answer(answer.word, answer.detail, self.name, pause * 1e3)


@dataclass(frozen=True)
class Plan:
    """All that must be known of the target before a thread of it is stopped."""

    addresses: dict[str, int]
    instruction: int  # a SYSCALL instruction in the C library
    places: Places

    @classmethod
    def of(cls, target: Target) -> Plan:
        """Raises AttachError when something is missing; `why_not` tells beforehand."""
        interpreter, instruction = target.interpreter, _syscall_instruction(target)
        addresses = _addresses(target)
        if interpreter is None or instruction is None or len(addresses) < len(machine_code.FUNCTIONS):
            raise (_unresolved(target) or Reason(f"Process {target.pid} has changed.", "Try again.")).error()
        return cls(addresses, instruction, Places.of(target, interpreter))


def undisturbed(work: Callable[[], float]) -> float:
    """Do ptrace work in a thread of its own, with all signals held back until it is over.

    A thread that is changed must be changed back, so no Ctrl-C may come between; and when our thread ends, the kernel
    lets go of whatever it still holds.
    """
    results: list[float] = []
    problems: list[BaseException] = []

    def run() -> None:
        with contextlib.suppress(OSError):  # the target stands still while others have our processor
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -20)
        try:
            results.append(work())
        except BaseException as problem:
            problems.append(problem)

    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        worker = threading.Thread(target=run, name="leakhunt-ptrace", daemon=True)
        worker.start()
        worker.join()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if problems:
        raise problems[0]
    return results[0]


def start_thread(target: Target, plan: Plan, script: str) -> float:
    """Start a thread in the target that runs `script`; returns the seconds for which a thread stood still.

    Raises AttachError when no thread is found at a safe place in time.
    """
    deadline = time.monotonic() + _SEARCH_SECONDS
    while time.monotonic() < deadline:
        for tid in candidates(target.pid):
            try:
                paused = _try(target, plan, tid, script)
            except TargetGone:  # the thread, or all of it
                paused = None
            if paused is not None:
                return paused
        if target.is_gone:
            raise TargetGone(target.pid)
        time.sleep(0.0005)
    raise AttachError(
        f"No thread of process {target.pid} reached a safe place within {_SEARCH_SECONDS:g} s.", "Try again."
    )


def _try(target: Target, plan: Plan, tid: int, script: str) -> float | None:
    """None when the thread is at no safe place."""
    begun = time.perf_counter()
    with borrow(target.pid, tid) as borrowed:
        if not plan.places.is_safe(borrowed.registers, borrowed.blocked):
            return None
        borrowed.take_over()
        _call_pthread_create(borrowed, plan, script)
    return time.perf_counter() - begun


def _call_pthread_create(borrowed: HijackedThread, plan: Plan, script: str) -> None:
    """Lay out [first page | second page | stack], start the thread, and take away the last two."""
    thread, instruction, size = borrowed.thread, plan.instruction, 2 * PAGE_BYTES + _STACK_BYTES
    try:
        page = borrowed.system_call(instruction, _MMAP, 0, size, _READ | _EXECUTE, _PRIVATE_ANONYMOUS, _NO_FILE, 0)
    except OSError as error:
        raise AttachError(f"Process {thread.pid} does not allow new executable memory: {error.strerror}.") from error
    second, stack = page + PAGE_BYTES, page + 2 * PAGE_BYTES
    try:
        borrowed.system_call(instruction, _MPROTECT, stack, _STACK_BYTES, _READ | _WRITE)
        thread.write(page, machine_code.first_page(plan.addresses, script))
        thread.write(second, machine_code.second_page(plan.addresses))
    except OSError as error:
        borrowed.system_call(instruction, _MUNMAP, page, size)
        raise AttachError(f"Process {thread.pid} does not allow new executable memory: {error.strerror}.") from error
    if number := borrowed.call(second + CODE_OFFSET, len(machine_code.GO), stack + _STACK_BYTES, second):
        borrowed.system_call(instruction, _MUNMAP, page, size)
        raise AttachError(f"Process {thread.pid} can't start a thread: {os.strerror(number)}.")
    # The new thread takes the first page away.
    borrowed.system_call(instruction, _MUNMAP, second, size - PAGE_BYTES)


def _addresses(target: Target) -> dict[str, int]:
    """Where the target has the functions that the machine code calls."""
    found: dict[str, int] = {}
    for image in [target.interpreter, *target.glibc_images]:
        if image is not None:
            found = {**image.addresses(machine_code.FUNCTIONS), **found}
    return found


def _unresolved(target: Target) -> Reason | None:
    missing = set(machine_code.FUNCTIONS) - set(_addresses(target))
    if missing:
        return Reason(f"Process {target.pid} does not export {min(missing)}.", "Start it with `leakhunt run` instead.")
    return None


def _syscall_instruction(target: Target) -> int | None:
    """The address of a SYSCALL instruction in the C library's code."""
    for image in target.glibc_images:
        for mapping in image.mappings:
            if mapping.is_code and (found := procfs.find(target.pid, mapping, SYSCALL)) is not None:
                return found
    return None
