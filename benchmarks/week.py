"""A week of a service in minutes: 200,000 censuses of a real process, kept within the limit, and then a report.

    python benchmarks/week.py --censuses 200000

A sample service is measured for a while; its snapshots are written again and again with the times of a week, the newest
graph as often as the agent would take one, and the run folder is pruned as `leakhunt run` does it. Told are the largest
size of the folder, what pruning took, and time and memory of `leakhunt report`.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from leakhunt.agent import write
from leakhunt.agent.governor import DEEP_RATIO, DEEP_SPACING_MAX_SECONDS, FIRST_DEEP
from leakhunt.retention import DEFAULT_LIMIT_BYTES, Retention
from leakhunt.runfolder import create
from leakhunt.snapshot import Snapshot

WEEK_SECONDS = 7 * 86400.0
SAMPLE = Path(__file__).parent.parent / "sample_apps" / "services" / "worker.py"
PRUNED_EVERY = 20  # censuses: a minute of the week; the real one is pruned more often, at the same cost each time


@dataclass(frozen=True)
class NoStrings:
    """The texts of a snapshot that is written again are among its columns already."""

    def columns(self) -> dict[str, object]:
        return {}


def sample(folder: Path, seconds: float) -> tuple[Snapshot, Snapshot]:
    """The newest census and the newest graph of a service that ran for a while."""
    command = [sys.executable, "-m", "leakhunt", "run", "-q", "--interval", "0.5", "--out", str(folder), "--"]
    process = subprocess.Popen([*command, sys.executable, str(SAMPLE)])
    time.sleep(seconds)
    process.terminate()
    process.wait()
    taken = [Snapshot.load(path) for path in sorted(folder.glob("pid-*/*.leak"))]
    return next(s for s in reversed(taken) if not s.is_deep), next(s for s in reversed(taken) if s.is_deep)


def written(snapshot: Snapshot, path: Path, elapsed: float, begun: float) -> None:
    meta = {**snapshot.meta, "elapsed": f"{elapsed:.3f}", "time": begun + elapsed, "moment": "interval"}
    meta["sequence"] = int(path.stem)
    columns = {name: (column.dtype.str, column.tobytes()) for name, column in snapshot._columns.items()}
    write.write_whole(str(path), write.pieces(meta, NoStrings(), columns))
    os.utime(path, (begun + elapsed, begun + elapsed))


def moments(censuses: int) -> Iterator[tuple[float, bool]]:
    """(seconds, whether a graph is due), as the governor has it."""
    interval = WEEK_SECONDS / censuses
    graph_due = FIRST_DEEP * interval
    for number in range(1, censuses + 1):
        now = number * interval
        is_deep = now >= graph_due
        if is_deep:
            graph_due = now + min(max(now * (DEEP_RATIO - 1), 2 * interval), DEEP_SPACING_MAX_SECONDS)
        yield now, is_deep


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--censuses", type=int, default=200_000)
    parser.add_argument("--limit", type=int, default=DEFAULT_LIMIT_BYTES, help="bytes")
    parser.add_argument("--sample-seconds", type=float, default=20.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        census, graph = sample(Path(scratch) / "sample", asked.sample_seconds)
        run = create(Path(scratch) / "week", ["python", "worker.py"], {"interval": WEEK_SECONDS / asked.censuses})
        process = run / "pid-1.0"
        process.mkdir()
        begun = time.time() - WEEK_SECONDS
        (process / "process").write_text(f"pid\t1\ncommand\tpython worker.py\nstarted\t{begun}\n")
        retention, largest, spent, size_bytes = Retention(run, asked.limit), 0, 0.0, 0
        for number, (seconds, is_deep) in enumerate(moments(asked.censuses), 1):
            written(graph if is_deep else census, process / f"{number:06d}.leak", seconds, begun)
            if number % PRUNED_EVERY == 0:
                before = time.process_time()
                retention.prune(begun + seconds)
                spent += time.process_time() - before
            if number % 1000 == 0:
                size_bytes = sum(entry.stat().st_size for entry in os.scandir(process))
                largest = max(largest, size_bytes)
        left = [path.name for path in process.glob("*.leak")]
        print(f"{asked.censuses:,} snapshots of {os.path.getsize(process / max(left)):,} bytes and more written")
        print(f"largest size {largest / 1e6:.0f} MB, at the end {size_bytes / 1e6:.0f} MB in {len(left):,} snapshots")
        print(f"pruning took {spent:.0f} s of processor time, {retention.removed:,} snapshots were removed")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.monotonic()
        command = [sys.executable, "-m", "leakhunt", "report", str(run), "-o", os.devnull, "--format", "json"]
        subprocess.run(command, check=True)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = time.monotonic() - begun
        processor = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
        print(f"report: {spent:.1f} s by the clock, {processor:.1f} s of CPU, {used.ru_maxrss / 1000:.0f} MB at most")


if __name__ == "__main__":
    main()
