"""What `--metrics` costs the program that is measured: the same busy program with and without it, turn about.

    python benchmarks/monitor.py --rounds 20 --seconds 60

Each round is three runs of `leakhunt run`, in an order that changes: without, without once more, and with `--metrics
0` and a scrape every second. The second says by how much two runs of the same differ, which is several percent. The
program makes, keeps and drops objects on a heap of `--objects`, and tells its own processor time for a thousand turns
of work, without the agent's, and its longest turn; the agent tells how long the program stood still. The monitor is a
process of its own: what it can take from the program is room in the caches and, where all processors are busy, a turn
on one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from engine import mixed_heap
from slowdown import one_round

from leakhunt.snapshot import Snapshot

Figures = dict[str, float]
SCRAPE_SECONDS = 1.0
SHOWN = {
    "cpu_ms": "CPU per 1000 turns, ms",
    "longest_ms": "longest turn, ms",
    "pause_ms": "median pause, ms",
    "longest_pause_ms": "longest pause, ms",
}


def work(objects: int, seconds: float, told: Path) -> None:
    """Work for `seconds`; writes turns, processor seconds and the longest turn to `told`."""
    kept = mixed_heap(objects)
    turns, longest, cpu = 0, 0.0, time.process_time()
    now = time.perf_counter()
    until = now + seconds
    while now < until:
        one_round(kept, turns)
        turns += 1
        before, now = now, time.perf_counter()
        longest = max(longest, now - before)
    told.write_text(json.dumps({"turns": turns, "cpu": time.process_time() - cpu, "longest": longest}))
    os._exit(0)


def run(options: argparse.Namespace, *wishes: str) -> Figures:
    """One run with these options of `leakhunt run`."""
    with tempfile.TemporaryDirectory() as folder:
        told, run_folder = Path(folder) / "told", Path(folder) / "run"
        program = [sys.executable, __file__, "--work", str(told), "--objects", str(options.objects)]
        program += ["--seconds", str(options.seconds)]
        command = [sys.executable, "-m", "leakhunt", "run", "--interval", str(options.interval), "--deep", "auto"]
        running = subprocess.Popen(
            [*command, "--out", str(run_folder), *(wishes or ("-q",)), "--", *program],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )
        if wishes:
            assert running.stderr is not None
            address = re.search(r"http://\S+", running.stderr.readline())
            assert address, "leakhunt did not say where its figures are"
            scrape_until(running, told, address[0])
        running.communicate()
        snapshots = [Snapshot.load(path) for path in sorted(run_folder.glob("pid-*/*.leak"))]
        done = json.loads(told.read_text())
    pauses = [snapshot.number("pause_ms") for snapshot in snapshots]
    agent = max(snapshot.number("spent_seconds") for snapshot in snapshots)
    return {
        "cpu_ms": 1e6 * (done["cpu"] - agent) / done["turns"],
        "longest_ms": 1e3 * done["longest"],
        "pause_ms": statistics.median(pauses),
        "longest_pause_ms": max(pauses),
    }


def scrape_until(running: subprocess.Popen[str], told: Path, address: str) -> None:
    """Ask for the figures every second while the program works."""
    while running.poll() is None and not told.exists():
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=10) as answer:
            answer.read()
        time.sleep(SCRAPE_SECONDS)


def spread(values: list[float]) -> str:
    """The median, and in brackets the lowest and the highest."""
    return f"{statistics.median(values):.4g} ({min(values):.4g} to {max(values):.4g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="of three runs each (default 20)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of work in each run (default 60)")
    parser.add_argument("--objects", type=int, default=300_000)
    parser.add_argument("--interval", type=float, default=1.0)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.objects, options.seconds, options.work)
    found: dict[str, list[Figures]] = {name: [] for name in ("without", "once more", "with")}
    for number in range(options.rounds):
        order = list(found)[number % 3 :] + list(found)[: number % 3]
        for name in order:
            found[name].append(run(options, *(("--metrics", "0") if name == "with" else ())))
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    print("| median (lowest to highest) | without | with | with / without | without, once more / without |")
    print("|---|---|---|---|---|")
    for key, told in SHOWN.items():
        without, more, with_ = ([figures[key] for figures in found[name]] for name in found)
        ratios = ([b / a for a, b in zip(without, other, strict=True)] for other in (with_, more))
        print(f"| {told} | " + " | ".join(map(spread, (without, with_, *ratios))) + " |")


if __name__ == "__main__":
    main()
