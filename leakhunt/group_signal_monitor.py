"""A small process that shares the supervisor's process group and nothing else.

A signal sent to a whole group (Ctrl-C, `kill -- -PGID`, a service manager that signals every process) reaches the
program by itself; one sent to leakhunt alone must be forwarded. The kernel does not say which it was, and programs
that count their signals (a second SIGTERM makes celery drop its tasks) must see each of them once. What reached the
witness reached the group.

It serves in two more cases in which the supervisor cannot act: it kills the program when leakhunt itself was killed by
SIGKILL, as a program alone would have died of it, and it wakes a stopped leakhunt when the program runs again.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable

_ASK, _WATCH = b"?", b"z"
_ANSWER = 0  # no signal has this number

# A signal to a group is with all its members when kill() returns; a manager that loops over pids needs a little longer.
_SETTLE_SECONDS = 0.01
_TIMEOUT_SECONDS = 1.0


class GroupSignalMonitor:
    """The supervisor's end of it. Every method survives a witness that is gone."""

    def __init__(self, program: int, signals: Iterable[int]) -> None:
        """Fork the witness of `program`; the signals must be blocked, so that it misses none."""
        program_fd = os.pidfd_open(program)
        answers, answer_end = os.pipe()
        question_end, questions = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _keep_only(question_end, answer_end, program_fd)
                _watch(question_end, answer_end, program, program_fd, signals)
            finally:
                os._exit(0)
        for descriptor in (answer_end, question_end, program_fd):
            os.close(descriptor)
        self._pid_fd = os.pidfd_open(self.pid)
        self._answers, self._questions = answers, questions
        self._seen: set[int] = set()

    def settle(self) -> None:
        """Give a signal that is under way the time to reach everyone it was sent to."""
        time.sleep(_SETTLE_SECONDS)

    def saw(self, number: int) -> bool | None:
        """Whether the signal reached the group since this was last asked; None when the witness cannot tell."""
        self._tell(_ASK)
        while True:
            ready, _, _ = select.select([self._answers], [], [], _TIMEOUT_SECONDS)
            heard = os.read(self._answers, 4096) if ready else b""
            if not heard:
                return None
            self._seen.update(heard)
            if _ANSWER in self._seen:
                break
        answer = number in self._seen
        self._seen -= {number, _ANSWER}
        return answer

    def wake_me(self) -> None:
        """Have SIGCONT sent to the supervisor, about to stop itself, when the program runs again or ends."""
        self._tell(_WATCH)

    def dismiss(self) -> None:
        """The supervision is over; the program is left alone."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pid_fd, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self._pid_fd, os.WEXITED)
        for descriptor in (self._pid_fd, self._questions, self._answers):
            os.close(descriptor)

    def _tell(self, word: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._questions, word)


def _keep_only(*descriptors: int) -> None:
    """Close all others: somebody may wait for the other end of a pipe to be closed."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor > 2 and descriptor not in descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _watch(questions: int, answers: int, program: int, program_fd: int, signals: Iterable[int]) -> None:
    """Report signals as bytes, in the order in which they came, until leakhunt is no more."""
    supervisor = os.getppid()
    os.set_blocking(answers, False)
    signal.set_wakeup_fd(answers, warn_on_full_buffer=False)
    for number in signals:
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    while word := os.read(questions, 1):
        if word == _ASK:
            os.write(answers, bytes([_ANSWER]))
        elif word == _WATCH:
            _wake_when_running(questions, program, supervisor)
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(program_fd, signal.SIGKILL)


def _wake_when_running(questions: int, program: int, supervisor: int) -> None:
    """Poll both until the program is not stopped; stop polling when the supervisor talks or ends."""
    while not select.select([questions], [], [], 0.2)[0]:
        if _state(program) not in "Tt":
            os.kill(supervisor, signal.SIGCONT)
            return


def _state(pid: int) -> str:
    """The letter of /proc/PID/stat; "X" for a process that is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1].decode()
    except OSError:
        return "X"
