"""What exports and questions cost on a large heap, and whether memlab opens it.

    pip install -e '.[query]'; npm install -g memlab
    python benchmarks/export.py --objects 2000000

A program with a heap of mixed shape (that of engine.py) is snapshot with its whole graph. Each export runs as a process
of its own: wall and processor time, the most resident memory, the size of what it wrote. Then DuckDB answers a GROUP
BY over all objects of the Parquet folder, in a process that has its modules loaded; and memlab reads the
`.heapsnapshot`, where Node finds it, whose retained sizes are compared with ours.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine import mixed_heap

ROOT = Path(__file__).parents[1]
SUFFIXES = (".parquet", ".heapsnapshot", ".pb.gz")
GROUP_BY = "SELECT type, holder, count(*), sum(size_bytes) FROM objects GROUP BY ALL ORDER BY 4 DESC LIMIT 10"


def program(objects: int) -> None:
    """The measured program; the agent inside takes its snapshot when it is told, not by the clock."""
    import gc

    kept = mixed_heap(objects)
    gc.collect()
    sys.modules["_leakhunt_agent"]._sampler._take(True, "interval")
    assert kept
    os._exit(0)


def make_run(objects: int, folder: Path) -> None:
    from leakhunt.command import AgentOptions, armed_environment

    folder.mkdir()
    environment = armed_environment(os.environ, folder, AgentOptions(interval=86400, deep="never", engine="c"))
    subprocess.run([sys.executable, __file__, "--program", "--objects", str(objects)], env=environment, check=True)


def export(folder: Path, output: Path) -> list[str]:
    command = [sys.executable, "-m", "leakhunt", "export", str(folder), "-o", str(output)]
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"leakhunt export exited {process.returncode}")
    files = output.iterdir() if output.is_dir() else [output]
    size = sum(file.stat().st_size for file in files)
    return [
        f"{seconds:.1f} s", f"{usage.ru_utime + usage.ru_stime:.1f} s", f"{usage.ru_maxrss * 1024 / 1e9:.2f} GB",
        f"{size / 1e6:,.0f} MB",
    ]  # fmt: skip


def asked(folder: Path) -> float:
    """Seconds for a GROUP BY over all objects, the best of three."""
    from leakhunt.query import Database

    database, taken = Database(folder), []
    for _ in range(3):
        begun = time.perf_counter()
        rows = database.ask(GROUP_BY).rows()
        taken.append(time.perf_counter() - begun)
        assert rows
    return min(taken)


def memlab(folder: Path, file: Path) -> str:
    """How long memlab takes for the heap, and how many of its retained sizes are ours."""
    import numpy as np

    from leakhunt.analysis.heap.dominators import kept_dominators
    from leakhunt.analysis.heap.graph import HeapGraph
    from leakhunt.export import heapsnapshot
    from leakhunt.pipeline import newest_graph

    told = file.with_suffix(".sizes")
    told.unlink(missing_ok=True)
    root = subprocess.run(["npm", "root", "-g"], capture_output=True, text=True, check=True).stdout.strip()
    environment = {**os.environ, "NODE_PATH": os.pathsep.join(filter(None, (os.environ.get("NODE_PATH"), root)))}
    command = ["node", "--max-old-space-size=12000", ROOT / "tests" / "export" / "memlab_sizes.js", file, told]
    begun = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode:
        return f"not read: {done.stderr.strip().splitlines()[-1:]}"
    rows = np.array([json.loads(line)[:3] for line in told.read_text().splitlines()], dtype=np.int64)
    rows = rows[np.argsort(rows[:, 0])]
    graph = HeapGraph(newest_graph(folder))
    kept = graph.kept_tree[0]
    found = rows[np.searchsorted(rows[:, 0], heapsnapshot.node_ids(graph)), 2]
    same = found[kept] == kept_dominators(graph).retained_sizes[:-1][kept]
    return f"{seconds:.1f} s; retained sizes equal for {same.sum():,} of {len(same):,} objects"


def row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", default="2000000", help="objects that the collector lists, several with commas")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="make the runs here, or take those that are here")
    parser.add_argument("--program", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = [int(size) for size in options.objects.split(",")]
    if options.program:
        program(sizes[0])
    from leakhunt.analysis.heap.graph import HeapGraph
    from leakhunt.pipeline import newest_graph

    with tempfile.TemporaryDirectory() as temporary:
        for size in sizes:
            place = options.keep or Path(temporary)
            folder = place / f"run-{size}"
            if not folder.exists():
                make_run(size, folder)
            graph = HeapGraph(newest_graph(folder))
            print(f"\n{graph.count:,} objects, {len(graph.targets):,} references\n")
            del graph
            columns = ["export", "wall", "processor", "resident", "written"]
            print(row(columns), row(["---"] * len(columns)), sep="\n")
            for suffix in SUFFIXES:
                print(row([suffix, *export(folder, place / f"heap-{size}{suffix}")]), flush=True)
            print(f"\nGROUP BY over all objects: {asked(place / f'heap-{size}.parquet'):.2f} s", flush=True)
            print(f"memlab: {memlab(folder, place / f'heap-{size}.heapsnapshot')}", flush=True)


if __name__ == "__main__":
    main()
