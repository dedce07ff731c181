"""A busy gunicorn for an hour, by turns without and with leakhunt, under wrk: requests a second, p99, errors, memory.

    apt install wrk
    python benchmarks/soak.py --minutes 60 --turn 150

Turns follow each other, so that what else the machine does falls on both alike. The memory told is the RSS of
the workers at the end of each turn with leakhunt; it is flat where the turns agree.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence

import psutil
from stopping import free_port, started, stop_seconds, wait_for

UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def load(port: int, seconds: float, connections: int) -> tuple[float, float, int]:
    """(requests a second, p99 in ms, errors) of wrk."""
    command = [
        "wrk",
        "--latency",
        "-t",
        "1",
        "-c",
        str(connections),
        "-d",
        f"{seconds:.0f}s",
        f"http://127.0.0.1:{port}/",
    ]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])  # type: ignore[index]
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    errors = sum(map(int, re.findall(r"(?:connect|read|write|timeout) (\d+)", said)))
    errors += int(found[1]) if (found := re.search(r"Non-2xx or 3xx responses: (\d+)", said)) else 0
    return rate, float(p99[1]) * UNITS[p99[2]] if p99 else 0.0, errors


def resident_bytes(process: subprocess.Popen[bytes]) -> int:
    children = psutil.Process(process.pid).children(recursive=True)
    return sum(child.memory_info().rss for child in children if "gunicorn" in " ".join(child.cmdline()))


def told(name: str, without: Sequence[float], with_it: Sequence[float]) -> str:
    before, after = statistics.median(without), statistics.median(with_it)
    return f"{name}: {before:,.2f} without, {after:,.2f} with: {after / before - 1:+.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="altogether")
    parser.add_argument("--turn", type=float, default=150.0, help="seconds of load in each turn")
    parser.add_argument("--interval", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=8)
    asked = parser.parse_args()
    turns: dict[bool, list[tuple[float, float, int]]] = {False: [], True: []}
    memory: list[int] = []
    until = time.monotonic() + 60 * asked.minutes
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < until:
            for with_leakhunt in (False, True):
                port = free_port()
                words = [
                    "-m",
                    "gunicorn",
                    "-w",
                    "1",
                    "-k",
                    "gthread",
                    "--threads",
                    "4",
                    "-b",
                    f"127.0.0.1:{port}",
                    "flask_app:app",
                ]
                process = started(words, with_leakhunt, asked.interval, folder)
                wait_for(port)
                turns[with_leakhunt].append(load(port, asked.turn, asked.connections))
                if with_leakhunt:
                    memory.append(resident_bytes(process))
                stop_seconds(process)
    print(told("requests a second", [t[0] for t in turns[False]], [t[0] for t in turns[True]]))
    print(told("p99 in ms", [t[1] for t in turns[False]], [t[1] for t in turns[True]]))
    print(f"errors: {sum(t[2] for t in turns[False])} without, {sum(t[2] for t in turns[True])} with")
    print("memory of the workers after each turn, MB:", " ".join(f"{size / 1e6:.1f}" for size in memory))


if __name__ == "__main__":
    main()
