"""What leakhunt adds between SIGTERM and the end of a service, and to the longest request of a recycled worker.

    python benchmarks/stopping.py --rounds 5

Runs a service by turns without and with leakhunt (`--service`, the interval of `--interval`), and tells medians. The
second part is gunicorn with --max-requests under even load: the longest request of each round, with workers replaced
all the time. Differences count, not the times themselves; on a busy machine both say little.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

SERVICES = Path(__file__).parent.parent / "sample_apps" / "services"


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def started(words: Sequence[str], with_leakhunt: bool, interval: float, folder: str) -> subprocess.Popen[bytes]:
    before = [sys.executable, "-m", "leakhunt", "run", "--service", "--interval", str(interval), "--out", folder, "--"]
    return subprocess.Popen(
        [*(before if with_leakhunt else []), sys.executable, *words],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(SERVICES), "KEEP": "100"},
    )  # fmt: skip


def stop_seconds(process: subprocess.Popen[bytes]) -> float:
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(120)
    return time.monotonic() - begun


def longest_request(port: int, seconds: float) -> float:
    until, longest = time.monotonic() + seconds, 0.0
    while time.monotonic() < until:
        begun = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/")
        connection.getresponse().read()
        connection.close()
        longest = max(longest, time.monotonic() - begun)
        time.sleep(0.01)
    return longest


def wait_for(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="that a service runs before it is stopped")
    parser.add_argument("--interval", type=float, default=0.5)
    asked = parser.parse_args()
    stops: dict[tuple[str, bool], list[float]] = {}
    longest: dict[bool, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(asked.rounds):
            for with_leakhunt in (False, True):
                process = started([str(SERVICES / "worker.py")], with_leakhunt, asked.interval, folder)
                time.sleep(asked.seconds)
                stops.setdefault(("worker.py", with_leakhunt), []).append(stop_seconds(process))
                port = free_port()
                words = [
                    "-m",
                    "gunicorn",
                    "-w",
                    "2",
                    "--max-requests",
                    "150",
                    "-b",
                    f"127.0.0.1:{port}",
                    "flask_app:app",
                ]
                process = started(words, with_leakhunt, asked.interval, folder)
                wait_for(port)
                longest.setdefault(with_leakhunt, []).append(longest_request(port, asked.seconds))
                stops.setdefault(("gunicorn", with_leakhunt), []).append(stop_seconds(process))
    for name in ("worker.py", "gunicorn"):
        without, with_it = (statistics.median(stops[name, one]) for one in (False, True))
        print(f"{name}: SIGTERM to exit {without:.3f} s without, {with_it:.3f} s with: {with_it - without:+.3f} s")
    without, with_it = (statistics.median(longest[one]) for one in (False, True))
    print(f"longest request of recycled workers: {without:.3f} s without, {with_it:.3f} s with")


if __name__ == "__main__":
    main()
