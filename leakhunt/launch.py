"""Runs a program with the agent inside and leaves no other trace: a parent that waits, forwards and reaps.

The program inherits stdin, stdout, stderr, the terminal, the process group, and the signal mask and dispositions that
leakhunt was given. What happens to leakhunt happens to the program: a signal is passed on once, a stop stops both, the
end of one is the end of the other. Serves as PID 1 of a container, too.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from leakhunt.command import AgentOptions, armed_environment, become, find_program, refusal
from leakhunt.group_signal_monitor import GroupSignalMonitor

# A fault of leakhunt's own must not be held back, and two signals cannot be.
_NOT_WATCHED = {
    signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGBUS,
    signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS,
}  # fmt: skip
_WATCHED = frozenset(signal.valid_signals() - _NOT_WATCHED)
_ASK_TO_END = {signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT}
_ONE_BY_ONE_SECONDS = 0.3  # in which a service manager, which signals process after process, comes from one to the next
_JOB_CONTROL_STOPS = {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
_SI_KERNEL = 0x80
ENDING = "ending"  # as in agent/sampler.py
IN_HASTE = b"h"  # what a companion reads when its work is over and who ended the program waits; b"" otherwise
_PR_SET_PTRACER = 0x59616D61


@dataclass(frozen=True)
class ExitStatus:
    """How a program ended: with `code`, or by `signal` (then `code` is None).

    `was_asked_to_end`: leakhunt was sent a signal that asks it to end, by something else than the terminal's keys. A
    service manager waits then, and kills what does not end soon.
    """

    code: int | None = None
    signal: int | None = None
    was_asked_to_end: bool = False

    @property
    def number(self) -> int:
        """What a shell shows as `$?`."""
        return 128 + self.signal if self.signal is not None else self.code or 0


# Works in a process of its own beside the program, whose pid it is given, until the descriptor reaches its end.
Companion = Callable[[int, int], None]


def launch(
    command: Sequence[str],
    run_folder: Path,
    options: AgentOptions,
    exec_: bool = False,
    companion: Companion | None = None,
) -> ExitStatus:
    """Run the command and wait for its end; with `exec_` become it instead and never return.

    For a process with one thread that does nothing else: it lets go of its own stdin and stdout and of all inherited
    descriptors, so that pipes close when the program closes them.

    Raises:
        UsageError: the command cannot be run.
    """
    program = find_program(command[0])
    environment = armed_environment(os.environ, run_folder, options)
    if exec_:
        try:
            become(program, command, environment, signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        except OSError as error:
            raise refusal(command[0], error.errno) from error
    _occupy_closed_streams()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    try:
        return _run(program, command, environment, mask, companion, run_folder / ENDING)
    finally:
        while signal.sigtimedwait(_WATCHED, 0):
            pass  # what was meant for the program
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def end_like(status: ExitStatus) -> NoReturn:
    """End this process the way the program ended, so that a shell or a service manager sees no difference."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, AttributeError):  # gone, or closed from the start
            stream.flush()
    if status.signal is not None:
        # A limit of 1 byte prevents the core file and, unlike 0, the pipe to a crash handler: the program left its own.
        with contextlib.suppress(ValueError, OSError):
            hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
            resource.setrlimit(resource.RLIMIT_CORE, (1 if hard else 0, hard))
        with contextlib.suppress(OSError):
            signal.signal(status.signal, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {status.signal})
        os.kill(os.getpid(), status.signal)
    # PID 1 of a container survives its own signal.
    os._exit(status.number)


def _run(
    program: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    mask: Iterable[int],
    companion: Companion | None,
    ending: Path,
) -> ExitStatus:
    """Start the program behind a gate that opens when everything is in place to watch it."""
    ignored_children = signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would take the exit status away
    gate_read, gate = os.pipe()
    refused, refused_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            if ignored_children:
                signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            os.close(gate)
            _become_when_told(gate_read, refused_write, program, command, environment, mask)
        os._exit(127)
    os.close(gate_read)
    os.close(refused_write)
    _let_go_of_streams()
    beside = _Beside(companion, pid, gate, refused) if companion is not None else None
    supervisor = _Supervisor(pid, ending)
    in_haste = False
    try:
        supervisor.forward_early_signals()
        os.write(gate, b"%d" % (beside.pid if beside else 0))
        os.close(gate)
        if number := os.read(refused, 16):
            os.waitpid(pid, 0)
            raise refusal(command[0], int(number))
        os.close(refused)
        status = supervisor.wait()
        in_haste = status.was_asked_to_end
        return status
    finally:
        if beside is not None:
            beside.dismiss(in_haste)
        supervisor.dismiss_witness()


def _become_when_told(
    gate: int, refused: int, program: str, command: Sequence[str], environment: Mapping[str, str], mask: Iterable[int]
) -> None:
    """In the child: wait at the gate, then exec, or tell the parent the kernel's error number."""
    companion = os.read(gate, 16)
    if not companion:
        return
    _let_trace(int(companion))
    environment = dict(environment)
    if environment.get("LISTEN_PID") == str(os.getppid()):  # systemd's sockets are for the program
        environment["LISTEN_PID"] = str(os.getpid())
    try:
        become(program, command, environment, mask)
    except OSError as error:
        os.write(refused, str(error.errno).encode())


def _let_trace(pid: int) -> None:
    """Where the Yama security module lets only ancestors trace, name the process that may do so too."""
    with contextlib.suppress(OSError):
        if pid and Path("/proc/sys/kernel/yama/ptrace_scope").read_text().strip() == "1":
            import ctypes

            ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(pid), 0, 0, 0)


class _Beside:
    """A companion in its process. It shares our process group, and blocks all signals as we do."""

    def __init__(self, companion: Companion, program: int, *not_its_own: int) -> None:
        """`not_its_own` are descriptors of which it must not hold a copy."""
        over, self._going_on = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            with contextlib.suppress(BaseException):
                for descriptor in (self._going_on, *not_its_own):
                    os.close(descriptor)
                companion(program, over)
            os._exit(0)
        os.close(over)

    def dismiss(self, in_haste: bool) -> None:
        """Wait for it to come to its end: killed, it might leave a thread of the program changed."""
        with contextlib.suppress(OSError):
            if in_haste:
                os.write(self._going_on, IN_HASTE)
        os.close(self._going_on)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


class _Supervisor:
    """Passes on what happens to leakhunt, with all signals blocked and taken one by one."""

    def __init__(self, program: int, ending: Path) -> None:
        """`ending` is a file that tells the agents of the program that somebody waits for its end."""
        self._program, self._ending = program, ending
        self._asked_to_stop = False
        self._asked_to_end = False
        self._witness: GroupSignalMonitor | None = None
        with contextlib.suppress(OSError, AttributeError):  # an old kernel or a strict sandbox has no pidfd
            self._witness = GroupSignalMonitor(program, _WATCHED)

    def forward_early_signals(self) -> None:
        """Pass on what came before the program could have seen it; a double is merged, as it still blocks them."""
        while info := signal.sigtimedwait(_WATCHED - {signal.SIGCHLD}, 0):
            os.kill(self._program, info.si_signo)
            self._reached_group(info)
            self._take_note(info)

    def wait(self) -> ExitStatus:
        while True:
            info = signal.sigwaitinfo(_WATCHED)
            if info.si_signo == signal.SIGCHLD:
                if (status := self._reap()) is not None:
                    self._take_note_of_pending(status)
                    return replace(status, was_asked_to_end=self._asked_to_end)
            else:
                self._forward(info)

    def dismiss_witness(self) -> None:
        if self._witness is not None:
            self._witness.dismiss()

    def _take_note_of_pending(self, status: ExitStatus) -> None:
        """A signal to the whole group may have ended the program before it was taken here, or before it was sent."""
        patience = _ONE_BY_ONE_SECONDS if status.signal in _ASK_TO_END else 0.0
        while info := signal.sigtimedwait(_ASK_TO_END, 0.0 if self._asked_to_end else patience):
            self._take_note(info)

    def _take_note(self, info: signal.struct_siginfo) -> None:
        if info.si_signo in _ASK_TO_END and info.si_code != _SI_KERNEL:
            self._asked_to_end = True
            with contextlib.suppress(OSError):
                self._ending.touch(mode=0o600)

    def _forward(self, info: signal.struct_siginfo) -> None:
        if info.si_signo == signal.SIGTSTP:
            self._asked_to_stop = True
        if self._witness is None or info.si_pid != self._witness.pid:
            self._take_note(info)
        if self._witness is not None and info.si_pid == self._witness.pid:
            return
        if not self._reached_group(info):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._program, info.si_signo)

    def _reached_group(self, info: signal.struct_siginfo) -> bool:
        """Whether the signal went to the whole group, and so to the program, without us."""
        number = info.si_signo
        saw = None
        if self._witness is not None:
            self._witness.settle()
            while signal.sigtimedwait({number}, 0):
                pass  # the same again while this one is under way counts once, as for any process
            saw = self._witness.saw(number)
        if saw is None:
            # Without a witness: the kernel sends from the terminal to the group, but a hangup to the session leader.
            return info.si_code == _SI_KERNEL and number != signal.SIGHUP
        return saw

    def _reap(self) -> ExitStatus | None:
        """Collect every child that ended, orphans given to PID 1 as well; the status when it was the program."""
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            if pid == 0:
                return None
            if pid != self._program:
                continue
            if not os.WIFSTOPPED(status):
                return _exit_status(status)
            self._stop_too(os.WSTOPSIG(status))

    def _stop_too(self, number: int) -> None:
        """Stop with the program where a shell waits for it; a bare SIGSTOP from elsewhere concerns the program only."""
        if number not in _JOB_CONTROL_STOPS and not self._asked_to_stop:
            return
        self._asked_to_stop = False
        if self._witness is not None:
            self._witness.wake_me()
        os.kill(os.getpid(), signal.SIGSTOP)


def _exit_status(status: int) -> ExitStatus:
    if os.WIFSIGNALED(status):
        return ExitStatus(signal=os.WTERMSIG(status))
    return ExitStatus(code=os.WEXITSTATUS(status))


def _occupy_closed_streams() -> None:
    """Keep pipes of ours off descriptors 0-2; the program still finds those closed, for these close on exec."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def _let_go_of_streams() -> None:
    """Close what was inherited, except stderr, where the report goes. Python's own descriptors are not inheritable."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):
            if descriptor < 2:
                os.dup2(null, descriptor, inheritable=False)
            elif descriptor > 2 and os.get_inheritable(descriptor):
                os.close(descriptor)
    os.close(null)
