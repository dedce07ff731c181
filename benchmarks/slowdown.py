"""How much slower a busy program runs with the agent inside, at default settings.

    python benchmarks/slowdown.py --rounds 3

A program that makes, keeps and drops objects, on a heap of `--objects`, does a fixed amount of work: alone, and just
after that with one of the engines. What counts is the processor time of the whole process, the agent's thread included;
the median of the ratios is told, and what share of the time was the agent's, by its own account. With `--warm-up` the
work is measured from so many seconds on: before, the agent may spend its first three seconds as it likes, and takes the
graphs that come close together.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from engine import mixed_heap

ROUND_OF_WORK = 2000


def work(objects: int, rounds: int, warm_up: float) -> None:
    """Work for `warm_up` seconds, then measure `rounds`; says the processor seconds of the process that those took."""
    kept = mixed_heap(objects)
    begun = time.monotonic()
    while time.monotonic() - begun < warm_up:
        one_round(kept, 0)
    before = time.process_time()
    for number in range(rounds):
        one_round(kept, number)
    print(time.process_time() - before, flush=True)
    os._exit(0)


def one_round(kept: list[Any], number: int) -> None:
    batch = [{"number": n, "items": [n, str(n)]} for n in range(ROUND_OF_WORK)]
    kept[number % len(kept)] = batch[number % ROUND_OF_WORK]


def run(objects: int, rounds: int, engine: str, warm_up: float) -> tuple[float, float]:
    """(processor seconds of one run of the program, share of the agent); `engine` is "" for none."""
    command = [sys.executable, __file__, "--work", str(rounds), "--objects", str(objects), "--warm-up", str(warm_up)]
    with tempfile.TemporaryDirectory() as folder:
        if engine:
            from leakhunt.command import AgentOptions, armed_environment

            environment = armed_environment(os.environ, Path(folder), AgentOptions(engine=engine))
        else:
            environment = dict(os.environ)
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        return float(done.stdout), share(Path(folder), warm_up)


def share(run_folder: Path, warm_up: float) -> float:
    """Processor time of the agent per second, from the last snapshot of the warm-up to the last of all."""
    from leakhunt.snapshot import Snapshot

    found = [Snapshot.load(path) for path in sorted(run_folder.glob("pid-*/*.leak"))]
    points = [(snapshot.number("elapsed"), snapshot.number("spent_seconds")) for snapshot in found]
    if len(points) < 2:
        return 0.0
    begin = max([point for point in points if point[0] <= warm_up], default=points[0])
    return (points[-1][1] - begin[1]) / max(points[-1][0] - begin[0], 1e-9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0, help="about how long the measured work takes")
    parser.add_argument("--warm-up", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.objects, options.work, options.warm_up)
    rounds = max(1, round(2000 * options.seconds / run(options.objects, 2000, "", 1.0)[0]))
    found: dict[str, list[tuple[float, float]]] = {"c": [], "python": []}
    for _ in range(options.rounds):
        for engine, ratios in found.items():
            alone, _ = run(options.objects, rounds, "", 1.0)
            inside, taken = run(options.objects, rounds, engine, options.warm_up)
            ratios.append((inside / alone - 1, taken))
            print(f"{engine}: {inside / alone - 1:+.2%}, {taken:.2%}", file=sys.stderr, flush=True)
    print("| | slower, median | of the runs | the agent's own time |\n|---|---|---|---|")
    for engine, ratios in found.items():
        slower, taken = (sorted(column) for column in zip(*ratios, strict=True))
        each = ", ".join(f"{ratio:+.2%}" for ratio in slower)
        print(f"| {engine} | {statistics.median(slower):+.2%} | {each} | {statistics.median(taken):.2%} |")


if __name__ == "__main__":
    main()
