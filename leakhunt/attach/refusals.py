"""Why a process can't be reached, found out before anything in it is touched, and what to type next.

A check is `check(target) -> Reason | None`. The ways in name the checks they need; the first reason counts.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from collections.abc import Callable, Iterable

from leakhunt.errors import AttachError

from . import procfs
from .elf import MACHINE_X86_64
from .target import Target

OLDEST, NEWEST = (3, 8), (3, 15)

_CAP_SYS_PTRACE = 1 << 19
_SIGTRAP_BIT = 1 << (5 - 1)
_PTRACE_DETACH = 17
_SECCOMP_STRICT = 1
_NO_PID = 0x7FFFFFF0  # above any pid the kernel gives


class Reason(str):
    """One sentence that says why not; `remedy` says what to type or set to change it."""

    remedy: str

    def __new__(cls, text: str, remedy: str = "") -> Reason:
        reason = super().__new__(cls, text)
        reason.remedy = remedy
        return reason

    def error(self) -> AttachError:
        return AttachError(str(self), self.remedy)


Check = Callable[[Target], Reason | None]


class LeftBehind(AttachError):
    """A way in failed half-way, and something of it may still be in the target: no other way is tried."""


class TargetGone(AttachError):
    """The process ended while it was being attached to."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"Process {pid} ended while leakhunt was attaching.", "Start it with `leakhunt run` instead.")


def first_reason(target: Target, checks: Iterable[Check]) -> Reason | None:
    return next((reason for check in checks if (reason := check(target))), None)


def is_alive(target: Target) -> Reason | None:
    pid, state = target.pid, target.status.state
    if pid == os.getpid():
        return Reason("A process can't attach to itself.", "Call leakhunt.arm() in it.")
    if not target.status.exists or state == "X":
        return Reason(f"There is no process {pid}.", _PS)
    if state == "Z":
        parent = target.status.number("PPid")
        return Reason(f"Process {pid} has ended and is not reaped (zombie).", f"Look at its parent, process {parent}.")
    return None


def is_going_on(target: Target) -> Reason | None:
    pid, tracer = target.pid, target.status.number("TracerPid")
    if tracer:
        return Reason(f"Process {tracer} (a debugger, strace) traces process {pid}.", f"End process {tracer} first.")
    if target.status.state == "T":
        return Reason(f"Process {pid} is stopped (Ctrl-Z or SIGSTOP).", f"Wake it with `kill -CONT {pid}`.")
    return None


def is_permitted(target: Target) -> Reason | None:
    """Opening the memory asks the kernel the very question that ptrace asks, and touches nothing."""
    try:
        os.close(os.open(f"/proc/{target.pid}/mem", os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return is_alive(Target(target.pid)) or _forbidden(target)
    except OSError:
        return _forbidden(target)
    return None


def _forbidden(target: Target) -> Reason:
    """The kernel said no: find out which of its rules it was."""
    pid, scope = target.pid, procfs.setting("/proc/sys/kernel/yama/ptrace_scope")
    capable = bool(procfs.Status.of("self").mask("CapEff") & _CAP_SYS_PTRACE)
    if scope == "3":
        return Reason("ptrace is switched off on this machine until it reboots (yama ptrace_scope 3).", _LAUNCH)
    if not capable and os.geteuid() not in (0, target.uid):
        return Reason(f"Process {pid} belongs to user {target.uid}, and you are user {os.geteuid()}.", _AS_ROOT)
    if not capable and os.geteuid() == 0:
        return Reason("This container may not trace processes: it lacks the capability SYS_PTRACE.", _CONTAINER)
    if not capable and scope in ("1", "2"):
        return Reason(f"Only root may trace processes on this machine (yama ptrace_scope {scope}).", _YAMA)
    if not capable and target.status.mask("CapPrm") & ~procfs.Status.of("self").mask("CapPrm"):
        return Reason(f"Process {pid} has privileges that you do not have.", _AS_ROOT)
    return Reason(f"The kernel keeps process {pid} to itself (a security module, or it is undumpable).", _AS_ROOT)


_PS = "See `ps -e | grep -i python` for the right pid."
_LAUNCH = "Start the program with `leakhunt run`, or call leakhunt.arm() in it."
_AS_ROOT = "Use `sudo leakhunt attach PID`."
_YAMA = "Use `sudo leakhunt attach PID`, or `sudo sysctl kernel.yama.ptrace_scope=0`."
_CONTAINER = (
    "Attach from the host by the host's pid, or give the container the capability: `docker run --cap-add=SYS_PTRACE`, "
    "Kubernetes `securityContext.capabilities.add: [SYS_PTRACE]`, systemd `AmbientCapabilities=CAP_SYS_PTRACE`."
)


def is_python(target: Target) -> Reason | None:
    if target.interpreter is None:
        return Reason(f"Process {target.pid} is not a CPython program.", _PS)
    return None


def is_known_version(target: Target) -> Reason | None:
    version, known = target.python, f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    if version is None:
        return Reason(f"The Python version of process {target.pid} can't be told.", f"leakhunt knows CPython {known}.")
    if target.is_free_threaded:
        return Reason("Free-threaded builds of Python are not known to be safe.", "Use the build with the GIL.")
    if not OLDEST <= version <= NEWEST:
        return Reason(f"Python {version[0]}.{version[1]} is not known to be safe.", f"leakhunt knows CPython {known}.")
    return None


def is_known_machine(target: Target) -> Reason | None:
    ours, theirs = platform.machine(), target.interpreter.elf.machine if target.interpreter else MACHINE_X86_64
    if ours != "x86_64" or theirs != MACHINE_X86_64:
        return Reason(f"This way was tested on x86-64 only, and this is {ours}.", _LAUNCH)
    return None


def is_known_libc(target: Target) -> Reason | None:
    if target.libc == "glibc":
        return None
    which = "musl, whose threads get a small stack" if target.libc == "musl" else "an unknown C library"
    return Reason(f"Process {target.pid} runs on {which}: not known to be safe.", _LAUNCH)


def is_free_of_sandbox(target: Target) -> Reason | None:
    """Starting a thread takes system calls: a filter of the program's own may kill it for them.

    A filter that the first process of its pid namespace has as well is the container runtime's, and lets threads be.
    """
    mode, filters = target.status.number("Seccomp"), target.status.number("Seccomp_filters")
    container = procfs.Status.of(1, f"/proc/{target.pid}/root/proc").number("Seccomp_filters")
    if mode == _SECCOMP_STRICT or (mode and filters > container):
        return Reason(
            f"Process {target.pid} restricts its own system calls (seccomp) and could be killed by ours.", _LAUNCH
        )
    return None


def has_plain_stacks(target: Target) -> Reason | None:
    if "shstk" in target.status.words("x86_Thread_features"):
        return Reason("The program uses hardware shadow stacks, which a call from outside would break.", _LAUNCH)
    if target.status.mask("SigIgn") & _SIGTRAP_BIT:
        return Reason("The program ignores SIGTRAP, which this way needs.", _LAUNCH)
    return None


def is_ptrace_allowed(_: Target) -> Reason | None:
    """Whether a seccomp filter around ourselves forbids the call; asked with a pid that nobody has."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace(ctypes.c_long(_PTRACE_DETACH), ctypes.c_long(_NO_PID), None, None)
    if ctypes.get_errno() in (errno.EPERM, errno.ENOSYS, errno.EACCES):
        return Reason("A seccomp filter around leakhunt forbids ptrace.", _CONTAINER)
    return None


LIVING_PYTHON: tuple[Check, ...] = (is_alive, is_going_on, is_permitted, is_python, is_known_version)
