"""What the analysis costs: `leakhunt report` on large snapshots, and a path to a root beside objgraph's.

    python benchmarks/report.py --objects 2000000,10000000

A program with a heap of mixed shape (that of engine.py) is snapshot with its whole graph twice, a leak growing in
between, and with censuses around them. `leakhunt report` then runs as a process of its own: wall and processor time,
and the most memory it ever had in its own pages (what is mapped from the files comes and goes as the system likes, and
is listed apart). Then one graph is loaded, and a path to a root is asked for a thousand objects, each by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from engine import mixed_heap

ROOT = Path(__file__).parents[1]
CENSUSES = 24
LEAKED_PER_MOMENT = 400
COLUMNS = (
    "objects listed", "report", "processor", "own pages", "resident", "graph loaded", "a path", "the worst", "objgraph",
)  # fmt: skip


def program(objects: int) -> None:
    """The measured program; the agent inside takes its snapshots when it is told, not by the clock."""
    import gc

    kept = mixed_heap(objects)
    registry: list[list[int]] = []
    sampler = sys.modules["_leakhunt_agent"]._sampler
    for moment in range(CENSUSES):
        registry.extend([number] for number in range(LEAKED_PER_MOMENT))
        gc.collect()
        sampler._take(moment in (CENSUSES // 2, CENSUSES - 1), "interval")
    if objects <= 2_000_000:
        print(json.dumps(objgraph_path_ms(kept)))
    sys.stdout.flush()
    os._exit(0)


def objgraph_path_ms(kept: list[object]) -> dict[str, float]:
    """Milliseconds objgraph takes for one path to a module, in the living program."""
    import objgraph

    target = kept[len(kept) // 2]
    begun = time.perf_counter()
    chain = objgraph.find_backref_chain(target, objgraph.is_proper_module)
    return {"objgraph_ms": (time.perf_counter() - begun) * 1e3, "objgraph_links": len(chain)}


def make_run(objects: int, folder: Path) -> dict[str, float]:
    from leakhunt.command import AgentOptions, armed_environment

    folder.mkdir()
    environment = armed_environment(os.environ, folder, AgentOptions(interval=86400, deep="never", engine="c"))
    command = [sys.executable, __file__, "--program", "--objects", str(objects)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout) if done.stdout else {}
    return found


class Peak:
    """The most anonymous and the most resident memory of a process, in bytes, by looking every 20 ms."""

    def __init__(self, pid: int) -> None:
        self.anonymous = self.resident = 0
        self._path = Path(f"/proc/{pid}/status")
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while True:
            try:
                lines = dict(line.split(":", 1) for line in self._path.read_text().splitlines())
                self.anonymous = max(self.anonymous, int(lines["RssAnon"].split()[0]) * 1024)
                self.resident = max(self.resident, int(lines["VmRSS"].split()[0]) * 1024)
            except (OSError, KeyError, ValueError):
                return
            time.sleep(0.02)


def report(folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "leakhunt", "report", str(folder), "--format", "json", "-o", os.devnull]
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT)
    peak = Peak(process.pid)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"leakhunt report exited {process.returncode}")
    return {
        "seconds": seconds, "processor": usage.ru_utime + usage.ru_stime,
        "anonymous": peak.anonymous, "resident": max(peak.resident, usage.ru_maxrss * 1024),
    }  # fmt: skip


def paths(folder: Path) -> dict[str, float]:
    """Seconds until the graph is loaded, and milliseconds for the path of one object, the median and the worst."""
    import numpy as np

    from leakhunt.analysis.heap.graph import HeapGraph
    from leakhunt.analysis.heap.naming import Names
    from leakhunt.snapshot import Snapshot

    begun = time.perf_counter()
    graph = HeapGraph(Snapshot.load(max(folder.glob("pid-*/*.leak"))))
    names = Names(graph)
    names.chain(graph.count // 2)
    loaded = time.perf_counter() - begun
    taken = []
    for index in np.linspace(0, graph.count - 1, 1000).astype(int).tolist():
        begun = time.perf_counter()
        names.chain(index)
        taken.append((time.perf_counter() - begun) * 1e3)
    return {"loaded": loaded, "median_ms": float(np.median(taken)), "worst_ms": max(taken)}


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", default="2000000")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="make the runs here, or take those that are here")
    parser.add_argument("--program", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = [int(size) for size in options.objects.split(",")]
    if options.program:
        program(sizes[0])
    print(row(COLUMNS), row(["---"] * len(COLUMNS)), sep="\n")
    with tempfile.TemporaryDirectory() as temporary:
        for size in sizes:
            folder = (options.keep or Path(temporary)) / f"run-{size}"
            peer = {} if folder.exists() else make_run(size, folder)
            cost, path = report(folder), paths(folder)
            seconds = [f"{value:.1f} s" for value in (cost["seconds"], cost["processor"])]
            memory = [f"{cost[key] / 1e9:.2f} GB" for key in ("anonymous", "resident")]
            ways = [f"{path['loaded']:.1f} s", f"{path['median_ms']:.2f} ms", f"{path['worst_ms']:.1f} ms"]
            peers = f"{peer['objgraph_ms']:,.0f} ms" if peer else ""
            print(row([f"{size:,}", *seconds, *memory, *ways, peers]), flush=True)


if __name__ == "__main__":
    main()
