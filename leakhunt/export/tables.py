"""The tables of a run or of one snapshot, as Arrow batches: made from its snapshots, each when first asked for."""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from leakhunt import pipeline
from leakhunt.agent import schema
from leakhunt.analysis.growth.known import Known
from leakhunt.analysis.heap.dominators import Dominators, is_affordable, kept_dominators
from leakhunt.analysis.heap.edges import ATTRIBUTE, KINDS, edge_names
from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.analysis.heap.naming import Names
from leakhunt.analysis.heap.owners import Called, owners_of, roots_of
from leakhunt.errors import LeakhuntError, RunError, SnapshotError
from leakhunt.findings import Findings
from leakhunt.runfolder import ProcessFolder, RunFolder, read_run
from leakhunt.snapshot import Snapshot

from . import columns

if TYPE_CHECKING:
    import pyarrow

ROWS_AT_ONCE = 250_000
STATES = ("reached", "outside", "garbage")
IMMORTAL = 1 << 28
OF_GRAPHS = ("types", "objects", "references")
LEDGER = ("rss_bytes", "malloc_in_use_bytes", "malloc_free_bytes", "allocated_blocks")


@dataclass(frozen=True)
class Words:
    """A column of few texts: `rows[i]` is a row of `texts`, -1 for null."""

    rows: NDArray[Any]
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Numbers:
    """A column of numbers in which some are null."""

    values: NDArray[Any]
    is_null: NDArray[np.bool_]


class Tables:
    """What there is to export of `path`: a run folder, or a snapshot.

    `every`: objects, references and types of every snapshot with a graph, not of each process's newest one only.
    """

    def __init__(self, path: str | Path, every: bool = False, known: Known | None = None) -> None:
        self.path, self.every, self.known = Path(path), every, known
        self.folder = read_run(self.path) if self.path.is_dir() else _around(self.path)
        self.run = run_identity(self.folder)

    @functools.cached_property
    def findings(self) -> Findings | None:
        """The analysis of a run; None for a lone snapshot."""
        return pipeline.hunt(self.path, known=self.known) if self.path.is_dir() else None

    def batches(self, table: str, wanted: Collection[str] | None = None) -> Iterator[pyarrow.RecordBatch]:
        """The rows of a table, in pieces.

        Args:
            wanted: leave out those of the dearer columns that are not named; None for all.

        Raises:
            LeakhuntError: pyarrow is not installed.
            RunError: there is no object graph to make the table of.
        """
        columns.needed("pyarrow", "export")
        for content in getattr(self, f"_{table}")(*([wanted] if table == "objects" else [])):
            yield _batch(table, content)

    def table(self, table: str, wanted: Collection[str] | None = None) -> pyarrow.Table:
        """All rows of a table."""
        arrow = columns.needed("pyarrow", "export")
        batches = [batch for batch in self.batches(table, wanted) if batch.num_rows]
        if not batches:
            return columns.schema(table).empty_table()
        return arrow.Table.from_batches(batches, batches[0].schema).unify_dictionaries()

    # Of the whole run

    def _processes(self) -> Iterator[Mapping[str, Any]]:
        for process, snapshots in self._snapshots_by_process():
            last = snapshots[-1] if snapshots else None
            yield self._of(process, 1) | {
                "host": _one(str(self.folder.info.get("host", ""))),
                "command": [process.command],
                "python": _one(last.meta.get("python", "") if last else ""),
                "engine": _one(last.meta.get("engine", "") if last else ""),
                "started": [int(process.started * 1e6) or None],
                "seconds": np.array([last.number("elapsed") if last else 0.0]),
                "snapshots": np.array([len(snapshots)]),
            }

    def _snapshots(self) -> Iterator[Mapping[str, Any]]:
        for process, snapshots in self._snapshots_by_process():
            for taken in snapshots:
                ledger = {name: [int(taken.number(name)) if name in taken.meta else None] for name in LEDGER}
                yield (
                    self._of(process, 1, taken)
                    | ledger
                    | {
                        "moment": _one(taken.meta.get("moment", "")),
                        "has_graph": [taken.is_deep],
                        "seconds": [taken.number("elapsed")],
                        "gc_objects": [sum(count for count, _ in taken.census.values())],
                        "pause_ms": [taken.number("pause_ms")],
                    }
                )

    def _series(self) -> Iterator[Mapping[str, Any]]:
        for process, snapshots in self._snapshots_by_process():
            for taken in snapshots:
                census = taken.census
                figures = np.array(list(census.values()), dtype=np.int64).reshape(-1, 2)
                yield self._of(process, len(census), taken) | {
                    "seconds": np.full(len(census), taken.number("elapsed")),
                    "type": Words(np.arange(len(census)), tuple(census)),
                    "objects": figures[:, 0],
                    "size_bytes": figures[:, 1],
                }

    def _places(self) -> Iterator[Mapping[str, Any]]:
        if self.findings is None:
            return
        for process, summary in zip(self.folder.processes, self.findings.processes, strict=False):
            for place in summary.holders:
                count = len(place.items)
                yield self._of(process, count) | {
                    "place": _one(place.owner, count),
                    "seconds": np.array(place.seconds),
                    "items": np.array(place.items, dtype=np.int64),
                }

    def _findings(self) -> Iterator[Mapping[str, Any]]:
        for found in self.findings.findings if self.findings else ():
            holder = found.holder
            yield {
                "run": _one(self.run), "rank": [found.rank], "fingerprint": [found.fingerprint],
                "kind": _one(found.kind), "type": _one(found.type), "holder": [holder.owner if holder else None],
                "file": [holder.file if holder else None], "line": [holder.line if holder else None],
                "confidence": [found.confidence], "per_minute": [found.growth.per_minute],
                "bytes_per_minute": [found.growth.bytes_per_minute], "retained_bytes": [found.retained_size_bytes],
                "pids": [list(found.pids)], "reason": [found.reason], "advice": [found.advice],
            }  # fmt: skip

    # Of object graphs

    def _types(self) -> Iterator[Mapping[str, Any]]:
        for process, graph in self._graphs():
            taken, strings = graph.snapshot, graph.snapshot.strings
            count = len(taken.type_names)
            flags = taken.column("type.flags")
            no_del = flags & schema.TYPE_HAS_DEL == 0
            yield self._of(process, count, taken) | {
                "type": Words(np.arange(count), taken.type_names),
                "objects": np.bincount(graph.types, minlength=count),
                "size_bytes": np.bincount(graph.types, graph.sizes, minlength=count).astype(np.int64),
                "file": [strings[row] or None for row in taken.column("type.file").tolist()],
                "is_extension": flags & schema.TYPE_EXTENSION > 0,
                "del_file": [strings[row] or None for row in taken.column("type.del_file").tolist()],
                "del_line": Numbers(taken.column("type.del_line").astype(np.int32), no_del),
            }

    def _objects(self, wanted: Collection[str] | None) -> Iterator[Mapping[str, Any]]:
        for process, graph in self._graphs():
            content = _object_columns(graph, set(wanted) if wanted is not None else None)
            for begin in range(0, graph.count, ROWS_AT_ONCE):
                rows = slice(begin, min(begin + ROWS_AT_ONCE, graph.count))
                part = {name: _part(column, rows) for name, column in content.items()}
                yield self._of(process, rows.stop - begin, graph.snapshot) | part

    def _references(self) -> Iterator[Mapping[str, Any]]:
        for process, graph in self._graphs():
            names = edge_names(graph)
            for begin in range(0, len(graph.targets), ROWS_AT_ONCE):
                end = min(begin + ROWS_AT_ONCE, len(graph.targets))
                told = names.names[begin:end]
                yield self._of(process, end - begin, graph.snapshot) | {
                    "source": graph.sources[begin:end],
                    "target": graph.targets[begin:end],
                    "kind": Words(names.kinds[begin:end].astype(np.int32), KINDS),
                    "name": Words(np.where((told > 0) & (names.kinds[begin:end] >= ATTRIBUTE), told, -1), names.texts),
                    "position": names.positions(begin, end).astype(np.int32),
                }
            source = graph.snapshot.column("weak.source").astype(np.int32)
            target = graph.index_of(graph.snapshot.column("weak.target"))
            source, target = source[target >= 0], target[target >= 0].astype(np.int32)
            nowhere = np.full(len(source), -1, dtype=np.int32)
            yield self._of(process, len(source), graph.snapshot) | {
                "source": source, "target": target, "kind": _one("weak", len(source)), "name": Words(nowhere, ()),
                "position": Numbers(nowhere, nowhere < 0),
            }  # fmt: skip

    # Where they come from

    def _of(self, process: ProcessFolder, count: int, taken: Snapshot | None = None) -> dict[str, Any]:
        """The columns that say where a row is from."""
        found = {
            "run": _one(self.run, count),
            "process": _one(process.path.name, count),
            "pid": np.full(count, process.pid, dtype=np.int32),
        }
        if taken is not None:
            found["snapshot"] = np.full(count, int(taken.number("sequence")), dtype=np.int32)
        return found

    def _snapshots_by_process(self) -> Iterator[tuple[ProcessFolder, list[Snapshot]]]:
        """What of each process can be read; the censuses of each snapshot are forgotten after it."""
        for process in self.folder.processes:
            snapshots = []
            for path in process.snapshots:
                try:
                    snapshots.append(Snapshot.load(path))
                except SnapshotError:
                    if not self.path.is_dir():
                        raise
            yield process, snapshots

    def _graphs(self) -> Iterator[tuple[ProcessFolder, HeapGraph]]:
        """The chosen object graphs, one at a time.

        Raises:
            RunError: there is none.
        """
        is_any = False
        for process, snapshots in self._snapshots_by_process():
            deep = [s for s in snapshots if s.is_deep]
            running = [s for s in deep if s.meta.get("moment") != "exit"]
            for taken in deep if self.every else (running or deep)[-1:]:
                is_any = True
                yield process, HeapGraph(taken)
        if not is_any:
            raise RunError(f"{self.path} has no object graph, only counts.", "Run longer, or with --deep every.")


def run_identity(folder: RunFolder) -> str:
    """Name of a run for ever: host, start in UTC, and a hash of them with the command.

    >>> run_identity(RunFolder(Path("anywhere"), {"host": "web1", "started": 1.7e9, "command": ["python", "app.py"]}))
    'web1-20231114T221320-e81f4b'
    """
    info = folder.info
    host, started = str(info.get("host") or "unknown"), float(info.get("started") or 0.0)
    if not started:
        started = min((process.started for process in folder.processes if process.started), default=0.0)
    told = json.dumps([host, started, info.get("command", [p.command for p in folder.processes])])
    digest = hashlib.sha256(told.encode()).hexdigest()[:6]
    return f"{host}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime(started))}-{digest}"


def _around(path: Path) -> RunFolder:
    """A run with this snapshot alone; what is known of it comes from the run folder that it is in, or from itself."""
    taken = Snapshot.load(path)
    try:
        folder = read_run(path.absolute().parents[1])
        process = next(p for p in folder.processes if p.path.name == path.absolute().parent.name)
        return replace(folder, processes=(replace(process, snapshots=(path,)),))
    except (LeakhuntError, IndexError, StopIteration):
        pid = int(taken.number("pid"))
        process = ProcessFolder(Path(f"pid-{pid}.0"), pid, {"command": taken.meta.get("command", "")}, (path,))
        return RunFolder(path, {"started": taken.number("time") - taken.number("elapsed")}, (process,))


def _object_columns(graph: HeapGraph, wanted: Collection[str] | None) -> dict[str, Any]:
    """The columns of `objects` that are the graph's own; the dear ones only where they are wanted."""

    def is_wanted(*names: str) -> bool:
        return wanted is None or bool(set(names) & set(wanted))

    taken, names = graph.snapshot, Names(graph)
    refcounts = taken.column("object.refcount").astype(np.int64)
    flags = taken.column("object.flags")
    found: dict[str, Any] = {
        "object": np.arange(graph.count, dtype=np.int32),
        "address": graph.addresses,
        "type": Words(graph.types, taken.type_names),
        "size_bytes": graph.sizes,
        "length": Numbers(graph.lengths, graph.lengths < 0),
        "refcount": Numbers(refcounts, refcounts >= IMMORTAL),
        "is_tracked": flags & schema.OBJECT_TRACKED > 0,
    }
    if is_wanted("state"):
        reached, kept = graph.tree[0], graph.kept_tree[0]
        found["state"] = Words(np.where(reached, 0, np.where(kept, 1, 2)), STATES)
    if is_wanted("retained_bytes", "dominator"):
        found.update(_dominated(graph))
    if is_wanted("holder"):
        found["holder"] = _words(owners_of(graph, names))
    if is_wanted("root"):
        found["root"] = _words(roots_of(graph, names))
    if is_wanted("name"):
        found["name"] = _sparse(graph.count, {index: name.lstrip("~") for index, (name, _, _) in graph.names.items()})
    if is_wanted("value"):
        found["value"] = _sparse(graph.count, graph.values)
    return found


def _dominated(graph: HeapGraph) -> dict[str, Numbers]:
    """Retained sizes and dominators; all null where they would take minutes (no C compiler, a large heap)."""
    if is_affordable(graph):
        found = kept_dominators(graph)
    else:
        found = Dominators(np.full(graph.count, -1, dtype=np.int32), np.zeros(graph.count + 1, dtype=np.int64))
    unknown = found.idom < 0
    return {
        "retained_bytes": Numbers(found.retained_sizes[: graph.count], unknown),
        "dominator": Numbers(found.idom, unknown | (found.idom >= graph.count)),
    }


def _sparse(count: int, text_by_row: Mapping[int, str]) -> Words:
    """A column of which few rows have a text."""
    row_by_text: dict[str, int] = {}
    rows = np.full(count, -1, dtype=np.int32)
    for index, text in text_by_row.items():
        rows[index] = row_by_text.setdefault(text, len(row_by_text))
    return Words(rows, tuple(row_by_text))


def _words(called: Called) -> Words:
    return Words(called.rows, called.texts)


def _one(text: str, count: int = 1) -> Words:
    """One text in all rows; null for an empty one."""
    return Words(np.full(count, 0 if text else -1, dtype=np.int32), (text,))


def _part(column: Any, rows: slice) -> Any:
    if isinstance(column, Words):
        return Words(column.rows[rows], column.texts)
    if isinstance(column, Numbers):
        return Numbers(column.values[rows], column.is_null[rows])
    return column[rows]


def _batch(table: str, content: Mapping[str, Any]) -> pyarrow.RecordBatch:
    """A batch of those columns of a table that are there, in their order."""
    arrow = columns.needed("pyarrow", "export")
    fields = [field for field in columns.schema(table) if field.name in content]
    arrays = [_array(arrow, content[field.name], field.type) for field in fields]
    return arrow.RecordBatch.from_arrays(arrays, schema=arrow.schema(fields))


def _array(arrow: Any, content: Any, kind: Any) -> Any:
    if isinstance(content, Words) and not arrow.types.is_dictionary(kind):
        return _array(arrow, content, arrow.dictionary(arrow.int32(), kind)).dictionary_decode()
    if isinstance(content, Words):
        rows = arrow.array(content.rows.astype(np.int32), mask=content.rows < 0)
        return arrow.DictionaryArray.from_arrays(rows, _texts(arrow, content.texts))
    if isinstance(content, Numbers):
        return arrow.array(content.values, mask=content.is_null).cast(kind)
    if isinstance(content, list) and arrow.types.is_string(kind):
        return arrow.array([_plain(text) if text is not None else None for text in content], kind)
    return arrow.array(content).cast(kind) if isinstance(content, np.ndarray) else arrow.array(content, kind)


@functools.lru_cache(maxsize=8)
def _texts(arrow: Any, texts: tuple[str, ...]) -> Any:
    """The texts of a column as Arrow keeps them, once for all of its batches."""
    return arrow.array([_plain(text) for text in texts], arrow.string())


def _plain(text: str) -> str:
    """`text` without halves of characters, which no UTF-8 can say: undecodable bytes of a command line."""
    return text.encode("utf-8", "replace").decode()
