"""Runs a real server, worker or daemon under leakhunt as a person would, with requests, and stops it with SIGTERM."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from leakhunt.findings import Findings
from leakhunt.pipeline import hunt

SERVICES = Path(__file__).parent.parent.parent / "sample_apps" / "services"
LEAKHUNT = (sys.executable, "-m", "leakhunt")
START_SECONDS, STOP_SECONDS = 60.0, 60.0


@dataclass
class Served:
    """What a service did: `errors` by their text, seconds of its slowest request, and how it came to its end."""

    requests: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    longest_seconds: float = 0.0
    status: int | None = None
    stop_seconds: float = 0.0
    said: str = ""
    findings: Findings | None = None

    def told(self) -> str:
        """One line, for a person."""
        found = self.findings
        named = [(f.type, f.holder.owner, f.holder.line) for f in found.findings if f.holder] if found else []
        return (
            f"{self.requests} requests, errors {self.errors}, longest {self.longest_seconds:.3f} s, "
            f"exit {self.status} after {self.stop_seconds:.2f} s; {found and found.verdict} {named}"
        )


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def until(is_true: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, f"{what}: not in {seconds:.0f} s"
        time.sleep(0.05)


def ask(port: int, served: Served) -> None:
    """One request on a connection of its own."""
    begun = time.monotonic()
    problem = ""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        connection.close()
        if answer.status != 200:
            problem = str(answer.status)
    except (OSError, http.client.HTTPException) as error:
        problem = repr(error)
    if problem:
        served.errors[problem] = served.errors.get(problem, 0) + 1
    served.requests += 1
    served.longest_seconds = max(served.longest_seconds, time.monotonic() - begun)


@contextlib.contextmanager
def asked(port: int | None, per_second: float) -> Iterator[Served]:
    """Requests meanwhile, at an even pace, from a thread."""
    served, over = Served(), threading.Event()

    def go_on() -> None:
        while not over.wait(1 / per_second):
            ask(port or 0, served)

    thread = threading.Thread(target=go_on)
    if port is not None:
        until(lambda: answers(port), START_SECONDS, f"a server at {port}")
        thread.start()
    try:
        yield served
    finally:
        over.set()
        if port is not None:
            thread.join()


@contextlib.contextmanager
def started(command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A command with its output in a file, in a session of its own, of which nothing is left."""
    log = cwd / "output"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(SERVICES), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def stop(process: subprocess.Popen[bytes], served: Served, number: int = signal.SIGTERM) -> None:
    begun = time.monotonic()
    process.send_signal(number)
    served.status = process.wait(STOP_SECONDS)
    served.stop_seconds = time.monotonic() - begun


def serve(
    command: Sequence[str],
    folder: Path,
    *options: str,
    is_enough: Callable[[], bool],
    port: int | None = None,
    per_second: float = 50.0,
    environment: Mapping[str, str] | None = None,
    with_leakhunt: bool = True,
) -> Served:
    """A service under leakhunt with requests until there are enough, then SIGTERM; the run is in folder/run."""
    folder.mkdir(parents=True, exist_ok=True)
    run = folder / "run"
    before = (*LEAKHUNT, "run", "--interval", "0.25", "--out", str(run), *options, "--") if with_leakhunt else ()
    with started([*before, *command], folder, environment or {}) as process:
        with asked(port, per_second) as served:
            while not is_enough():
                assert process.poll() is None, (folder / "output").read_text(errors="replace")[-2000:]
                time.sleep(0.2)
        stop(process, served)
    served.said = (folder / "output").read_text(errors="replace")
    if with_leakhunt:
        served.findings = hunt(run)
    return served
