"""Into a program that called `leakhunt.arm()`: ask the socket on which its agent listens (agent/listener.py)."""

from __future__ import annotations

import os
import socket
import struct

from leakhunt.errors import AttachError

from . import procfs, refusals
from .refusals import LeftBehind, Reason, TargetGone
from .request import Answer, Request
from .target import Target

_CREDENTIALS = struct.Struct("3i")


class Prearmed:
    name = "prearmed"
    description = "wakes an agent that the program armed by leakhunt.arm() (touches nothing)"

    def why_not(self, pid: int) -> Reason | None:
        target = Target(pid)
        if reason := refusals.first_reason(target, (refusals.is_alive, refusals.is_going_on)):
            return reason
        if not procfs.is_same_namespace(pid, "net"):
            return Reason("The process is in another network namespace.", "The other ways don't mind.")
        if socket_name(target)[1:] not in _listening(pid):
            return Reason("The program did not call leakhunt.arm().", "Call it early in the program; it costs nothing.")
        if os.geteuid() not in (0, target.uid):
            return Reason(f"Process {pid} accepts only user {target.uid} and root.", "Use `sudo leakhunt attach PID`.")
        return None

    def inject(self, pid: int, request: Request) -> Answer:
        """Raises AttachError when nobody opens."""
        target = Target(pid)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(request.patience_seconds)
            try:
                connection.connect(socket_name(target))
                self._check(connection, pid)
                connection.sendall(request.text())
                connection.shutdown(socket.SHUT_WR)
            except OSError as error:
                raise (
                    TargetGone(pid) if target.is_gone else AttachError(f"The listening socket is closed: {error}.")
                ) from error
            answer = Answer.parse(_all(connection, pid))
        return Answer(answer.word, answer.detail, self.name)

    def _check(self, connection: socket.socket, pid: int) -> None:
        """Names of abstract sockets are free for all: see that it is the process itself that listens."""
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(data)[0] != pid:
            raise AttachError(f"Another process has taken the socket name of process {pid}.")


def socket_name(target: Target) -> str:
    """As in agent/listener.py."""
    return f"\0leakhunt-{target.inner_pid}-{target.started}"


def _listening(pid: int) -> set[str]:
    """Names of abstract sockets in the network namespace of a process."""
    return {line.rpartition(" @")[2] for line in procfs.setting(f"/proc/{pid}/net/unix").splitlines() if " @" in line}


def _all(connection: socket.socket, pid: int) -> bytes:
    heard = b""
    try:
        while part := connection.recv(65536):
            heard += part
    except OSError as error:
        raise LeftBehind(f"Process {pid} took the request and did not answer: {error}.") from error
    if not heard:
        raise AttachError(f"Process {pid} did not answer.")
    return heard
