"""What the agent writes of a heap made by `heap.Heap`: rows by the agent's own strings, schema and writer."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from leakhunt import runfolder
from leakhunt.agent import schema, write
from leakhunt.agent.type_table import TYPE_COLUMNS
from leakhunt.agent.walk import OBJECT_COLUMNS
from leakhunt.snapshot import Snapshot

LEDGER = {
    "moment": "interval", "engine": "python", "rss_bytes": 60_000_000, "gc_enabled": 1, "gc_threshold": "700 10 10",
    "gc_frozen": 0, "gc_garbage": 0, "atexit_callbacks": 0, "allocated_blocks": 50_000, "pause_ms": 1.0,
}  # fmt: skip
GARBAGE_COLLECTED_HEAD = 16


def snapshot(
    meta: Mapping[str, Any], types: list[Any], counts: dict[Any, int], roots: Any, deep: bool, indexed: bool
) -> Snapshot:
    """The living things in `counts` (with their refcounts) as a snapshot."""
    strings = write.Strings()
    row_of = {kind: row for row, kind in enumerate(types)}
    columns = {**type_columns(types, strings), **census_columns(counts, row_of)}
    if deep:
        columns.update(object_columns(counts, row_of))
        columns.update(reference_columns(counts, strings, indexed))
        columns.update(other_columns(counts, roots, strings))
    ticks = int(meta["sequence"])
    figures = {**LEDGER, "gc_collections": f"{20 * ticks} {2 * ticks} {ticks}", "kind": "deep" if deep else "census"}
    figures["rss_anonymous_bytes"] = 40_000_000 + sum(thing._bytes() for thing in counts)
    figures["generation_rows"] = "0 0"
    figures.update(meta)
    text = {key: str(value) for key, value in figures.items()}
    return Snapshot(text, {name: plain(column) for name, column in {**strings.columns(), **columns}.items()})


def plain(column: Any) -> np.ndarray:
    """A column of the writer as a reader has it."""
    if isinstance(column, tuple):
        return np.frombuffer(column[1], dtype=column[0])
    return np.array(column, dtype=write.DTYPE_BY_CODE[column.typecode])


def table(codes: Sequence[tuple[str, str]], rows: Any) -> dict[str, array]:
    """Named columns from rows."""
    columns = {name: array(code) for name, code in codes}
    for row in rows:
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    return columns


def type_columns(types: list[Any], strings: write.Strings) -> dict[str, array]:
    def row(kind: Any) -> tuple[int, ...]:
        file, _, line = kind.del_at.rpartition(":")
        flags = schema.TYPE_HAS_DEL * bool(kind.del_at) | schema.TYPE_HEAP * kind.is_heap
        flags |= schema.TYPE_IS_CLASS * kind.is_class | kind.flags
        id_of = strings.id_of
        return kind.address, id_of(kind.name), flags, id_of(kind.file), id_of(file), int(line or 0)

    return table(TYPE_COLUMNS, map(row, types))


def census_columns(counts: dict[Any, int], row_of: dict[Any, int]) -> dict[str, array]:
    tally: dict[int, list[int]] = {}
    spectrum: dict[int, list[int]] = {}
    containers = []
    tracked = [thing for thing in counts if thing._tracked]  # in order of birth
    for place, thing in enumerate(tracked):
        row, length = row_of[thing._kind], thing._length()
        tenths = spectrum.setdefault(row, [0] * schema.TENTHS)
        tenths[place * schema.TENTHS // len(tracked)] += 1
        found = tally.setdefault(row, [row, 0, 0, 0])
        found[1:] = found[1] + 1, found[2] + 1, found[3] + thing._bytes() + GARBAGE_COLLECTED_HEAD
        if length is not None and length >= schema.CONTAINER_FLOOR:
            containers.append((thing._address, row, length))
    census = (("census.type", "I"), ("census.count", "Q"), ("census.old", "Q"), ("census.bytes", "Q"))
    container = (("container.address", "Q"), ("container.type", "I"), ("container.length", "Q"))
    ages = table([("spectrum.count", "Q")], ([n] for tenths in spectrum.values() for n in tenths))
    return {**table(census, tally.values()), **table(container, containers), **ages}


def object_columns(counts: dict[Any, int], row_of: dict[Any, int]) -> dict[str, array]:
    def row(thing: Any, count: int) -> tuple[int, ...]:
        length, is_frame = thing._length(), thing._label == schema.LABEL_LOCAL
        flags = 0 if is_frame or not thing._tracked else schema.OBJECT_TRACKED
        flags |= schema.OBJECT_FINALIZED * thing._finalized
        refcount = count if flags & schema.OBJECT_TRACKED else schema.SATURATED
        told = schema.NO_LENGTH if length is None else length
        return thing._address, row_of[thing._kind], thing._bytes(), told, refcount, flags

    return table(OBJECT_COLUMNS, (row(thing, count) for thing, count in counts.items()))


def reference_columns(counts: dict[Any, int], strings: write.Strings, indexed: bool) -> dict[str, array]:
    index_of = {thing: index for index, thing in enumerate(counts)}
    numbers, targets = array("I"), array("I" if indexed else "Q")
    positions, labels = array("Q"), array("I")
    for thing in counts:
        begin = len(targets)
        for referent, label in thing._references():
            if label:
                positions.append(len(targets))
                labels.append(strings.id_of(label))
            targets.append(index_of[referent] if indexed else referent._address)
        numbers.append(len(targets) - begin)
    name = "reference.index" if indexed else "reference.target"
    return {"reference.count": numbers, name: targets, "label.position": positions, "label.name": labels}


def other_columns(counts: dict[Any, int], roots: Any, strings: write.Strings) -> dict[str, array]:
    """Roots, names, bounds and weak references."""
    id_of, named = strings.id_of, [thing for thing in counts if thing._name]
    rows = {
        "root": (("address", "Q"), ("kind", "I"), ("label", "I")),
        "name": (("address", "Q"), ("text", "I"), ("file", "I"), ("line", "I")),
        "bound": (("object", "I"), ("value", "Q")),
        "weak": (("source", "I"), ("target", "Q")),
    }  # fmt: skip
    content = {
        "root": [(thing._address, id_of(kind), id_of(label)) for thing, kind, label in roots],
        "name": [(t._address, id_of(t._name[0]), id_of(t._name[1]), t._name[2]) for t in named],
        "bound": [(row, thing._bound) for row, thing in enumerate(counts) if thing._bound is not None],
        "weak": [
            (row, thing._weak._address if thing._weak in counts else 0)
            for row, thing in enumerate(counts)
            if thing._weak is not None
        ],
    }
    found: dict[str, array] = {}
    for name, columns in rows.items():
        found.update(table([(f"{name}.{column}", code) for column, code in columns], content[name]))
    return found


def save(taken: Snapshot, path: Path) -> Path:
    """A snapshot as a `.leak` file."""
    names = sorted(taken._columns)
    columns = {name: (taken.column(name).dtype.str, taken.column(name).tobytes()) for name in names}
    write.write_whole(str(path), write.pieces(taken.meta, write.Strings(), columns))
    return path


def run_folder(path: Path, /, *processes: Sequence[Snapshot], **told: Any) -> Path:
    """A finished run with a folder for each process; `told` is what the agent says of them besides."""
    folder = runfolder.create(path, ["python", "shop.py"], {"interval": 5.0})
    for number, snapshots in enumerate(processes):
        pid = snapshots[0].meta["pid"] if snapshots else 1 + number
        place = folder / f"pid-{pid}.0"
        place.mkdir()
        info = {"pid": pid, "command": "python shop.py", "started": 1.7e9 + number, "python": "3.11.7", **told}
        (place / "process").write_bytes(schema.lines(info))
        for sequence, taken in enumerate(snapshots, 1):
            save(taken, place / f"{sequence:06d}.leak")
    runfolder.finish(folder, 0)
    return folder
