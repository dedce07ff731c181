"""What a look at the heap costs: leakhunt's two engines beside objgraph, guppy3, Pympler and one `gc.collect()`.

    pip install -e '.[bench]'
    python benchmarks/engine.py --objects 100000,1000000,2000000

Each tool looks at the same heap in a process of its own. Its time is divided by that of `gc.collect()` in the same
process at the same time, the best of several: ratios travel between machines, milliseconds do not. Processor time of
the calling thread, so that a busy machine disturbs less; `pause` is wall time with the GIL held.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Figures = dict[str, float]
REPEATS = {"c": 9, "python": 3}  # a pause is wall time: on a busy machine few are undisturbed
PEER_OBJECTS_MAX = 2_000_000  # Pympler takes minutes from here on


class Session:
    def __init__(self, number: int) -> None:
        self.number, self.name, self.parts = number, f"session {number}", [number]


class Entry:
    __slots__ = ("key", "value")

    def __init__(self, number: int) -> None:
        self.key, self.value = (number, []), {"key": number, "list": []}  # type: ignore[var-annotated]


def mixed_heap(objects: int) -> list[Any]:
    """About `objects` objects that the collector lists: instances with and without slots, lists, tuples, dicts."""
    kept: list[Any] = []
    number = 0
    while len(kept) * 4 < objects:
        kept.append(Entry(number) if number % 2 else [Session(number), (number, str(number), [])])
        number += 1
    return kept


def cpu(action: Callable[[], Any], repeats: int) -> float:
    """Best processor time of the calling thread, in seconds."""
    times = []
    for _ in range(repeats):
        begun = time.thread_time()
        kept = action()
        times.append(time.thread_time() - begun)
        del kept
    return min(times)


def leakhunt(engine_name: str, deep: bool) -> Callable[[], Figures]:
    def measure() -> Figures:
        from leakhunt.agent import write
        from leakhunt.agent.engine import Engine

        engine = Engine("leakhunt.agent", engine_name)
        assert engine.name == engine_name, engine.refusal
        figures: list[Figures] = []
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(REPEATS[engine_name]):
                begun = time.thread_time()
                meta, strings, columns = engine.snapshot(deep, {})
                size = write.write_whole(os.path.join(folder, "x.leak"), write.pieces(meta, strings, columns))
                taken = {"seconds": time.thread_time() - begun, "pause": meta["pause_ms"] / 1e3}
                if deep:
                    taken["file_bytes_per_object"] = size / _rows(columns)
                figures.append(taken)
                del columns
        return {key: min(f[key] for f in figures) for key in figures[0]}

    return measure


def _rows(columns: dict[str, Any]) -> int:
    flags = columns["object.flags"]
    return len(memoryview(flags[1] if isinstance(flags, tuple) else flags))


def objgraph_counts() -> Figures:
    import objgraph

    return {"seconds": cpu(objgraph.typestats, 2)}


def guppy_heap() -> Figures:
    from guppy import hpy

    heap = hpy()
    return {"seconds": cpu(heap.heap, 1)}


def pympler_summary() -> Figures:
    from pympler import muppy, summary

    return {"seconds": cpu(lambda: summary.summarize(muppy.get_objects()), 1)}


TOOLS: dict[str, Callable[[], Figures]] = {
    "leakhunt c census": leakhunt("c", False),
    "leakhunt c deep": leakhunt("c", True),
    "leakhunt python census": leakhunt("python", False),
    "leakhunt python deep": leakhunt("python", True),
    "objgraph.typestats()": objgraph_counts,
    "guppy3 heap()": guppy_heap,
    "Pympler summarize()": pympler_summary,
}


def in_this_process(tool: str, objects: int) -> None:
    """Print the figures of one tool on a fresh heap, as JSON."""
    kept = mixed_heap(objects)
    gc.collect()
    gc.disable()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    collect = cpu(gc.collect, 3)
    figures = TOOLS[tool]()
    collect = min(collect, cpu(gc.collect, 3))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    figures.update(collect=collect, listed=float(len(gc.get_objects())), peak_bytes=peak * 1024.0)
    print(json.dumps(figures))
    del kept


def in_a_process(tool: str, objects: int) -> Figures | str:
    command = [sys.executable, __file__, "--tool", tool, "--objects", str(objects)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1][:60] if done.stderr.strip() else f"exit {done.returncode}"
    found: Figures = json.loads(done.stdout)
    return found


def row(tool: str, found: Figures | str) -> str:
    if isinstance(found, str):
        return f"| {tool} | {found} | | | |"
    collect = found["collect"]
    pause = f"{found['pause'] / collect:.2f}" if "pause" in found else "all of it"
    file = f"{found['file_bytes_per_object']:.0f}" if "file_bytes_per_object" in found else ""
    extra = f"{found['peak_bytes'] / found['listed']:.0f}"
    return f"| {tool} | {found['seconds'] / collect:.2f} | {pause} | {extra} | {file} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", default="100000,1000000,2000000")
    parser.add_argument("--tool", choices=TOOLS, help=argparse.SUPPRESS)
    parser.add_argument("--only", default="", help="tools whose name has this in it")
    options = parser.parse_args()
    sizes = [int(size) for size in options.objects.split(",")]
    if options.tool:
        in_this_process(options.tool, sizes[0])
        return
    for size in sizes:
        print(f"\nPython {sys.version.split()[0]}, {size:,} objects; one `gc.collect()` = 1\n")
        print("| | time | longest pause | more memory, bytes per gc object | file, bytes per object |")
        print("|---|---|---|---|---|")
        for tool in TOOLS:
            if options.only in tool and (size <= PEER_OBJECTS_MAX or tool.startswith("leakhunt")):
                print(row(tool, in_a_process(tool, size)), flush=True)


if __name__ == "__main__":
    main()
