"""Starts the monitor and ends it: what `run` and `attach` know of it. Imports little, for a program waits meanwhile."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from leakhunt.errors import LeakhuntError, UsageError

LOOPBACK = "127.0.0.1"
FLUSH_SECONDS, NOTIFY_SECONDS = 8.0, 90.0  # how long leakhunt waits for the last figures, and for the last alarms
HASTE, HASTE_SECONDS = b"haste", 0.15  # what the monitor is told, and how long leakhunt waits for it then
LEAVE = signal.SIGUSR1  # to the monitor: leakhunt ends, the watch goes on
LINGER, LINGER_SECONDS = b"linger", 120  # the same, where it is to make its last analysis when leakhunt is gone


@dataclass(frozen=True)
class Wishes:
    """What the monitor is to do: `metrics` is "PORT" or "HOST:PORT" to serve at, `on_leak` a command for the shell.

    `log` is "plain" or "json" for lines on stderr. `limit_bytes` is how large the folder of a service may become, 0
    where the run is none of a service.
    """

    metrics: str | None = None
    otel: bool = False
    on_leak: str | None = None
    log: str | None = None
    limit_bytes: int = 0

    def __bool__(self) -> bool:
        return bool(self.metrics or self.otel or self.on_leak or self.log)


class Monitor:
    """The monitor of one run.

    Raises:
        UsageError: what it needs is not installed, or the address is none or taken.
    """

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes
        self._process: subprocess.Popen[bytes] | None = None
        if wishes.metrics:
            _need("prometheus_client", "--metrics", "metrics")
        if wishes.otel:
            _need("opentelemetry.sdk", "--otel", "otel")
        self._listening = _listen(wishes.metrics) if wishes.metrics else None
        self.address = _address(self._listening) if self._listening else ""

    def start(self, folder: Path) -> None:
        """Begin to watch a run folder, in a session of its own: signals of the terminal are for the program."""
        told = {
            "run": str(folder),
            "listening": self._listening.fileno() if self._listening else None,
            "otel": self._wishes.otel,
            "on_leak": self._wishes.on_leak,
            "log": self._wishes.log,
            "limit_bytes": self._wishes.limit_bytes,
        }
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "leakhunt.monitor", json.dumps(told)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                pass_fds=[self._listening.fileno()] if self._listening else [],
                start_new_session=True,
            )
        except OSError as problem:
            raise LeakhuntError(f"The monitor cannot be started: {problem.strerror}.") from problem
        self._close_listening()

    def end(self, report: str | None = None, in_haste: bool = False, lingers: bool = False) -> str:
        """Let it tell what is left, for a time that is bounded, and end it; a sentence where that was too short.

        Args:
            report: the final report as JSON; without one it makes its own where alarms are wished for.
            in_haste: who ended the run waits for its end: there is no last analysis, and after HASTE_SECONDS the
                monitor is left to itself; it ends soon, and holds nothing that others wait for.
            lingers: it is left to itself with its last analysis to make, for LINGER_SECONDS at the most.
        """
        self._close_listening()
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return ""
        with contextlib.suppress(OSError):
            last = HASTE if in_haste else LINGER if lingers else (report or "").encode("utf-8", "backslashreplace")
            process.stdin.write(last)
        with contextlib.suppress(OSError):
            process.stdin.close()
        is_left = in_haste or lingers
        if is_left and not (self._wishes.metrics or self._wishes.otel or self._wishes.on_leak):
            return ""  # it holds no port, and lets go of stderr by itself
        try:
            process.wait(HASTE_SECONDS if is_left else NOTIFY_SECONDS if self._wishes.on_leak else FLUSH_SECONDS)
        except subprocess.TimeoutExpired:
            if is_left:
                return ""
            process.kill()
            process.wait()
            return "The monitor did not come to its end, and was killed: its last figures or alarms may be missing."
        return ""

    def leave(self) -> None:
        """Let it go on until everybody who holds the pipe to it has ended; no pipe that others read waits for it."""
        self._close_listening()
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.send_signal(LEAVE)
            process.stdin.close()

    def abandon(self) -> None:
        """End it at once: nothing ran."""
        self._close_listening()
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _close_listening(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None


def _need(module: str, option: str, extra: str) -> None:
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise UsageError(f"{option} needs a package that is not installed.", f"pip install 'leakhunt[{extra}]'")


def _listen(text: str) -> socket.socket:
    """A socket that listens at "PORT" or "HOST:PORT"; of this machine only where no host is named."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or LOOPBACK
    if not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"--metrics {text!r} is neither a port nor HOST:PORT.", "Type --metrics 9101, for example.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(16)
        except BaseException:
            listening.close()
            raise
    except OSError as problem:
        raise UsageError(f"--metrics cannot listen at {text}: {problem.strerror}.", "Choose another port.") from problem
    return listening


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/metrics" if ":" in host else f"http://{host}:{port}/metrics"
