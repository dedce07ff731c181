"""How much slower a busy program runs with the agent inside, at default settings.

    python benchmarks/slowdown.py --seconds 300

A program that makes, keeps and drops objects, on a heap of `--objects`, notes how much it has done every tenth of a
second of wall time. What it does less of around a snapshot than in the moments before and after is what the agent took
from it: its processor time, the GIL, and what was in the caches. Whole runs are of no use for that: the same work takes
several percent more or less from one process to the next.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from array import array
from pathlib import Path
from typing import Any

import numpy as np
from engine import mixed_heap

from leakhunt.snapshot import Snapshot

TICK_SECONDS = 0.1
ROUND_OF_WORK = 20
BEFORE_SECONDS, AFTER_SECONDS = 0.2, 0.5  # around a snapshot, when the program may be slower for it
NEIGHBOURS = 20  # undisturbed ticks on each side that tell what a tick would have done


def work(objects: int, seconds: float, log: Path) -> None:
    """Work for `seconds`; writes (wall time, rounds done) of every tick as doubles to `log`."""
    kept = mixed_heap(objects)
    ticks, rounds, begun = array("d"), 0, time.time()
    due = begun + TICK_SECONDS
    while due < begun + seconds:
        one_round(kept, rounds)
        rounds += 1
        now = time.time()
        if now >= due:
            ticks.extend((now, rounds))
            due += TICK_SECONDS
    log.write_bytes(ticks.tobytes())
    os._exit(0)


def one_round(kept: list[Any], number: int) -> None:
    batch = [{"number": n, "items": [n, str(n)]} for n in range(ROUND_OF_WORK)]
    kept[number % len(kept)] = batch[number % ROUND_OF_WORK]


def watched(options: argparse.Namespace, engine: str) -> tuple[np.ndarray, list[Snapshot]]:
    """(ticks float64[T, 2], snapshots) of one run with an engine."""
    from leakhunt.command import AgentOptions, armed_environment

    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "ticks"
        run_folder = Path(folder) / "run"
        run_folder.mkdir()
        environment = armed_environment(os.environ, run_folder, AgentOptions(engine=engine))
        command = [sys.executable, __file__, "--work", str(log), "--objects", str(options.objects)]
        subprocess.run([*command, "--seconds", str(options.seconds)], env=environment, check=True)
        snapshots = [Snapshot.load(path) for path in sorted(run_folder.glob("pid-*/*.leak"))]
        return np.frombuffer(log.read_bytes()).reshape(-1, 2), snapshots


def lost(ticks: np.ndarray, snapshots: list[Snapshot], since: float) -> float:
    """Share of the work after `since` seconds that was not done because of the snapshots."""
    times, done = ticks[1:, 0], np.diff(ticks[:, 1]) / np.diff(ticks[:, 0])
    spans = np.diff(ticks[:, 0])
    touched = np.zeros(len(times), dtype=bool)
    for snapshot in snapshots:
        begun = snapshot.number("time")
        until = begun + snapshot.number("cost_ms") / 1e3 + AFTER_SECONDS
        touched |= (times >= begun - BEFORE_SECONDS) & (times - spans <= until)
    free = np.flatnonzero(~touched)
    at = np.searchsorted(free, np.arange(len(times)))
    near = [np.median(done[free[max(0, place - NEIGHBOURS) : place + NEIGHBOURS]]) for place in at.tolist()]
    counted = times >= times[0] + since
    missing = (np.array(near) - done) * spans
    return float(missing[touched & counted].sum() / (np.array(near) * spans)[counted].sum())


def spent(snapshots: list[Snapshot], since: float) -> float:
    """Processor time of the agent per second after `since` seconds, by its own account."""
    points = [(snapshot.number("elapsed"), snapshot.number("spent_seconds")) for snapshot in snapshots]
    begin = max([point for point in points if point[0] <= since], default=points[0])
    return (points[-1][1] - begin[1]) / (points[-1][0] - begin[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=300_000)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--since", type=float, default=120.0, help="when the free seconds of the beginning are over")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.objects, options.seconds, options.work)
    print("| | in all: slower | the agent's own time | later: slower | the agent's own time |\n|---|---|---|---|---|")
    for engine in ("c", "python"):
        ticks, snapshots = watched(options, engine)
        row = [
            share
            for since in (0.0, options.since)
            for share in (lost(ticks, snapshots, since), spent(snapshots, since))
        ]
        print(f"| {engine} | " + " | ".join(f"{value:.2%}" for value in row) + " |", flush=True)


if __name__ == "__main__":
    main()
