"""Reads damaged files with everything that reads files: `python tests/hostile/fuzzing.py --inputs 1000000 --jobs 2`.

Input N is the same wherever it is made: `--first N --inputs 1 --trace` shows what it does. An input may be read, or
refused in a plain sentence; anything else (another exception, a warning of numpy, a hang) is told in the end, with its
number and its file kept below `--keep`, and gives the exit status 1. Files that once did so are in `corpus/`.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import multiprocessing
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent)]

import numpy as np
from damage import damaged, damaged_bytes, damaged_json, damaged_lines
from heap import Heap, run_folder

from leakhunt import config, lint, pipeline
from leakhunt.analysis.heap.dominators import dominators
from leakhunt.analysis.heap.finalizers import finalizers
from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.analysis.heap.naming import Names
from leakhunt.analysis.report.diff import diff
from leakhunt.attach.elf import Elf, NotElf
from leakhunt.errors import LeakhuntError
from leakhunt.render import REGISTRY
from leakhunt.render.graph import draw
from leakhunt.snapshot import Snapshot
from leakhunt.tui.follow import WatchedRun
from leakhunt.tui.scene import Choice, scene

CORPUS = Path(__file__).parent / "corpus"
HANG_SECONDS = 60.0  # of processor time: a busy machine is no hang
MEMORY_BYTES = 4 << 30  # of address space, above what the process has before: past it even the stack can't grow

TOML = b"""[[harmless]]
owner = "shop.prices.CACHE"
why = "one entry per article"

[[leak]]
owner = "shop.audit.Trail.entries"
advice = "Call flush()."
"""
SOURCE = b"""import functools
class Trail:
    entries = []
    def __del__(self):
        self.entries.append(lambda: self)
    @functools.lru_cache(maxsize=None)
    def total(self, *prices, tax=0.19):
        return [p * (1 + tax) for p in prices if (q := p)]
"""


class Hang(BaseException):
    """An input took too long."""


def moments(number: int, size: int) -> list[Snapshot]:
    """A little of everything that a heap can hold, growing."""
    heap = Heap(note="x", interval=0.5)
    heap.type("shop.Order", del_at="shop.py:40")
    orders = heap.list([heap.instance("shop.Order", text=heap.string()) for _ in range(size)])
    heap.module("shop", "shop.py", ORDERS=orders, WATCH=heap.weakref(orders[0]))
    by_name, queue = heap.dict({"a": heap.instance("shop.Bus")}), heap.deque(maxlen=4)
    heap.module("bus", "bus.py", BY_NAME=by_name, QUEUE=queue)
    heap.frame("shop.main", orders=orders)
    heap.hold_by_c(heap.instance("shop.C"))
    heap.class_("shop.K", "shop.py", 3)
    found = []
    for moment in range(number):
        for _ in range(5):
            orders.append(heap.instance("shop.Order", text=heap.string()))
        by_name[f"k{moment}"] = heap.instance("shop.Bus")
        queue.append(heap.instance("shop.Queued"))
        if moment % 4 == 3:
            heap.hold_by_c(heap.instance("shop.C"))
        found.append(heap.snapshot(deep=moment % 3 != 1, indexed=bool(moment % 2)))
    return found


class Files:
    """A whole run, and the places where a damaged file is put."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.run = run_folder(place / "run", moments(20, 33), cwd="/shop", path="/shop\x1f/usr/lib")
        self.small = run_folder(place / "small", moments(4, 2), cwd="/shop")
        self.process, self.small_process = (next(run.glob("pid-*")) for run in (self.run, self.small))
        (self.small_process / "problems").write_text("2 snapshots lost: No space left on device")
        self.snapshots = sorted(self.process.glob("*.leak"))
        self.few = sorted(self.small_process.glob("*.leak"))
        self.blobs = {path: path.read_bytes() for path in (*self.snapshots, *self.few)}
        self.other = {path: path.read_bytes() for path in self.small.rglob("*") if path.name in OTHER_FILES}
        self.elf = Path(sys.executable).resolve().read_bytes()[: 1 << 14]


OTHER_FILES = ("run.json", "process", "problems")


# What reads


def load(files: Files, dice: Random) -> None:
    """One snapshot, and all that an analysis asks of it."""
    path = files.place / "one.leak"
    path.write_bytes(damaged(dice, files.blobs[dice.choice(files.few)]))
    consume(Snapshot.load(path))


def consume(snapshot: Snapshot) -> None:
    sum(count for count, _ in snapshot.census.values())
    if snapshot.is_deep:
        graph = HeapGraph(snapshot)
        names = Names(graph)
        for index in range(0, graph.count, 3):
            names.owners(index)
            names.chain(index)
        dominators(graph)
        finalizers(graph, np.arange(graph.count))
        assert len(graph.garbage) == len(graph.extents) == graph.count
        assert graph.bounds is not None and graph.values is not None and graph.roots is not None
        diff([snapshot, snapshot])


def commands_on_one(files: Files, dice: Random) -> None:
    """`chains`, `backrefs` and `diff` of a damaged snapshot beside whole ones."""
    path = files.process / "000099.leak"
    path.write_bytes(damaged(dice, files.blobs[dice.choice(files.snapshots)]))
    try:
        kind = dice.randrange(4)
        if kind == 0:
            pipeline.chains(path, "shop.Order", 3)
        elif kind == 1:
            draw(pipeline.backrefs(path, "shop.Order"), "dot")
        elif kind == 2:
            pipeline.diff([files.snapshots[2], path])
        else:
            pipeline.diff([files.snapshots[1], files.snapshots[2], path])
    finally:
        path.unlink()


def report(files: Files, dice: Random) -> None:
    """A run with one damaged snapshot: the report comes, whatever is wrong with it."""
    path = dice.choice([files.snapshots[0], *files.snapshots[-6:], *files.snapshots])
    path.write_bytes(damaged(dice, files.blobs[path]))
    try:
        render(files.run)
    except LeakhuntError as problem:
        raise AssertionError("one damaged snapshot cost the report") from problem
    finally:
        path.write_bytes(files.blobs[path])


def render(run: Path) -> None:
    findings = pipeline.hunt(run)
    for name in ("text", "json", "html"):
        REGISTRY[name]().render(findings)


def what_stands_beside(files: Files, dice: Random) -> None:
    """`run.json`, `process` and `problems`, for `report` and `live`."""
    path = dice.choice(list(files.other))
    change = damaged_json if path.suffix == ".json" else damaged_lines
    path.write_bytes(change(dice, files.other[path]))
    try:
        look(files.small)
        if dice.random() < 0.03:
            render(files.small)
    finally:
        path.write_bytes(files.other[path])


def live(files: Files, dice: Random) -> None:
    """`leakhunt live` of a run with a damaged snapshot."""
    path = dice.choice(files.few)
    path.write_bytes(damaged(dice, files.blobs[path]))
    try:
        look(files.small)
    finally:
        path.write_bytes(files.blobs[path])


def look(run: Path) -> None:
    watched = WatchedRun(run)
    watched.refresh()
    watched.set_mark()
    scene(watched, Choice(), 1.8e9)


def known(files: Files, dice: Random) -> None:
    """`leakhunt.toml`."""
    (files.place / config.NAME).write_bytes(damaged_bytes(dice, TOML))
    config.known_places(files.place)


def source(files: Files, dice: Random) -> None:
    """`leakhunt lint`."""
    path = files.place / "source.py"
    path.write_bytes(damaged_bytes(dice, SOURCE))
    said = lint.lint([path])
    said.to_text(), said.to_json()


def interpreters_file(files: Files, dice: Random) -> None:
    """What `attach` reads of the target's own files."""
    with contextlib.suppress(NotElf):
        elf = Elf(damaged_bytes(dice, files.elf))
        elf.symbols({"main"})
        elf.section(".PyRuntime")


READERS: dict[Callable[[Files, Random], None], int] = {
    load: 640, commands_on_one: 68, report: 2, what_stands_beside: 80, live: 60, known: 70, source: 50,
    interpreters_file: 30,
}  # fmt: skip


# The run over all of them


@dataclass
class Tally:
    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    failures: dict[str, list[str]] = field(default_factory=dict)  # by place in the source: what came of which inputs

    def add(self, other: Tally) -> None:
        self.counts += other.counts
        for place, told in other.failures.items():
            self.failures.setdefault(place, []).extend(told)

    def __str__(self) -> str:
        lines = [", ".join(f"{count:,} {what}" for what, count in sorted(self.counts.items()))]
        for place, told in self.failures.items():
            lines.append(f"{len(told):,} x {place}: {'; '.join(told[:3])}")
        return "\n".join(lines)


def fuzz(first: int, inputs: int, keep: Path | None = None, trace: bool = False) -> Tally:
    """Read so many inputs, from that number on."""
    tally, readers = Tally(), list(READERS)
    with tempfile.TemporaryDirectory(prefix="leakhunt-fuzz-") as place, watched():
        files = Files(Path(place))
        for number in range(first, first + inputs):
            dice = Random(number)
            reader = dice.choices(readers, list(READERS.values()))[0]
            problem = came_of(lambda reader=reader, dice=dice: reader(files, dice))
            tally.counts["read" if problem is None else "refused" if is_plain(problem) else "failed"] += 1
            if problem is not None and trace:
                traceback.print_exception(problem)
            if problem is not None and not is_plain(problem):
                told = f"input {number} ({reader.__name__}): {type(problem).__name__}: {str(problem)[:100]}"
                tally.failures.setdefault(blamed(problem), []).append(told)
                if keep is not None and (left := Path(place) / "one.leak").exists():
                    keep.mkdir(exist_ok=True)
                    shutil.copy(left, keep / f"{number}.leak")
    return tally


def came_of(work: Callable[[], None]) -> BaseException | None:
    signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS)
    try:
        work()
    except KeyboardInterrupt:
        raise
    except BaseException as problem:
        return problem
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return None


def is_plain(problem: BaseException) -> bool:
    return isinstance(problem, LeakhuntError)


def blamed(problem: BaseException) -> str:
    """The last line of leakhunt's own that the exception went through."""
    frames = traceback.extract_tb(problem.__traceback__)
    own = [frame for frame in frames if "/leakhunt/" in frame.filename and "/tests/" not in frame.filename] or frames
    return f"{own[-1].filename.rpartition('/leakhunt/')[2]}:{own[-1].lineno}"


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Hangs end in `Hang`, warnings are errors, and memory has an end."""

    def hang(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGPROF, hang)
    limit = resource.getrlimit(resource.RLIMIT_AS)
    had = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (had + MEMORY_BYTES, limit[1]))
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", SyntaxWarning)  # of the sources that are linted
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limit)
        signal.signal(signal.SIGPROF, before)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for the files that failed")
    parser.add_argument("--trace", action="store_true", help="show each exception whole")
    arguments = parser.parse_args()
    step = min(10_000, -(-arguments.inputs // arguments.jobs))
    begun, total, end = time.monotonic(), Tally(), arguments.first + arguments.inputs
    parts = [(n, min(step, end - n), arguments.keep, arguments.trace) for n in range(arguments.first, end, step)]
    with multiprocessing.Pool(arguments.jobs) if arguments.jobs > 1 else contextlib.nullcontext() as pool:
        for tally in pool.imap_unordered(_part, parts) if pool else map(_part, parts):
            total.add(tally)
            seconds = time.monotonic() - begun
            done, failed = sum(total.counts.values()), total.counts["failed"]
            print(f"{done:,} inputs in {seconds:.0f} s, {failed} failed", flush=True)
    print(total)
    return 1 if total.failures else 0


def _part(part: tuple[int, int, Path | None, bool]) -> Tally:
    return fuzz(*part)


if __name__ == "__main__":
    sys.exit(main())
