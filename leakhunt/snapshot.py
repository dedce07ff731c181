"""Read `.leak` files: one snapshot as numpy columns, mapped from disk rather than loaded.

The format is documented in `leakhunt.agent.schema`.
"""

from __future__ import annotations

import functools
import mmap
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leakhunt import contract
from leakhunt.agent import schema
from leakhunt.errors import SnapshotError
from leakhunt.reading import open_regular

TAIL = struct.Struct(schema.TAIL_FORMAT)
DTYPES = ("|u1", "<u4", "<u8")


class Snapshot:
    """One snapshot. `column(name)` gives the columns of the format; the properties below are the usual ones.

    N objects and E references in a deep snapshot (`is_deep`), T types, C classes in the census.
    """

    def __init__(self, meta: Mapping[str, str], columns: Mapping[str, NDArray[Any]], path: str = "") -> None:
        self.meta = dict(meta)
        self.path = path
        self._columns = dict(columns)

    @classmethod
    def load(cls, path: str | Path) -> Snapshot:
        """Map a `.leak` file.

        Raises:
            SnapshotError: the file is missing, cut short, no snapshot at all, or of a newer format.
        """
        name = str(path)
        try:
            with open(open_regular(path), "rb") as file:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            hint = "Snapshots are the .leak files in the pid-* folders of a run."
            raise SnapshotError(f"There is no file {name}.", hint) from None
        except (OSError, ValueError) as problem:
            reason = getattr(problem, "strerror", None) or "it is empty"
            raise SnapshotError(f"{name} can't be read: {reason}.") from None
        columns = _columns(data, name)
        meta = schema.values_of(columns.get(schema.META_TEXT, np.empty(0, "u1")).tobytes())
        if rule := contract.broken(meta, columns):
            raise SnapshotError(f"{name} is damaged: {rule}.", "The others of its run can be read without it.")
        columns.pop(schema.META_TEXT, None)
        return cls(meta, columns, name)

    def column(self, name: str) -> NDArray[Any]:
        """A column by its name in the format.

        Raises:
            SnapshotError: the snapshot has no such column, for example a census asked for its graph.
        """
        try:
            return self._columns[name]
        except KeyError:
            kind = "graph" if name.split(".")[0] in ("object", "reference", "label", "root") else "column"
            raise SnapshotError(
                f"{self.path or 'This snapshot'} holds no {kind} ({name}): it is a census.",
                "Take deep ones with --deep every, or choose one that report names as deep.",
            ) from None

    def has(self, name: str) -> bool:
        return name in self._columns

    def without_graph(self) -> Snapshot:
        """The census alone."""
        kept = {n: c for n, c in self._columns.items() if n.split(".")[0] in ("strings", "type", "census", "container")}
        return Snapshot(self.meta, kept, self.path)

    @property
    def is_deep(self) -> bool:
        return "object.address" in self._columns

    @property
    def is_frontier(self) -> bool:
        """Whether its graph leaves out what is old and leads to nothing young."""
        return "left_out" in self.meta

    def number(self, key: str, default: float = 0.0) -> float:
        """A number of the ledger (`rss_bytes`, `elapsed`, …), `default` where the target could not say."""
        number = contract.finite(self.meta.get(key))
        return default if number is None else number

    @functools.cached_property
    def strings(self) -> tuple[str, ...]:
        """All strings; string 0 is empty and means none."""
        data, ends = self.column("strings.bytes").tobytes(), self.column("strings.end").tolist()
        starts = [0, *ends[:-1]]
        return tuple(data[a:b].decode("utf-8", "replace") for a, b in zip(starts, ends, strict=True))

    @functools.cached_property
    def type_names(self) -> tuple[str, ...]:
        """Name of each type row, module.qualname."""
        strings = self.strings
        return tuple(strings[i] for i in self.column("type.name").tolist())

    @functools.cached_property
    def census(self) -> dict[str, tuple[int, int]]:
        """(instances, shallow bytes) by class name, of what the collector lists; classes of one name are added up."""
        found: dict[str, tuple[int, int]] = {}
        rows = (self.column(f"census.{n}").tolist() for n in ("type", "count", "bytes"))
        for row, count, size in zip(*rows, strict=True):
            before = found.get(self.type_names[row], (0, 0))
            found[self.type_names[row]] = (before[0] + count, before[1] + size)
        return found


def _columns(data: mmap.mmap, name: str) -> dict[str, NDArray[Any]]:
    """Columns by name, as views of the mapped file."""
    if data[: len(schema.MAGIC)] != schema.MAGIC:
        raise SnapshotError(f"{name} is not a leakhunt snapshot: it does not begin with {schema.MAGIC.decode()}.")
    if len(data) < schema.ALIGNMENT + TAIL.size or data[-len(schema.END_MAGIC) :] != schema.END_MAGIC:
        raise SnapshotError(f"{name} is cut short: its end is missing.", "The others of its run are whole.")
    offset, length, checksum, version, _ = TAIL.unpack(data[-TAIL.size :])
    if version > schema.VERSION:
        hint = "Update: pip install -U leakhunt."
        raise SnapshotError(f"{name} was written by a newer leakhunt (format {version}).", hint)
    table = data[offset : offset + length]
    if len(table) != length or zlib.crc32(table) != checksum:
        raise SnapshotError(f"{name} is damaged: the checksum of its table of contents is wrong.")
    columns = {}
    try:
        for line in table.decode().splitlines():
            column, dtype, start, count = line.split("\t")
            if dtype not in DTYPES or int(count) < 0 or int(start) < 0 or int(start) % schema.ALIGNMENT:
                raise ValueError(line)
            if column in columns:
                raise ValueError(line)
            columns[column] = np.frombuffer(data, dtype=dtype, count=int(count), offset=int(start))
    except (ValueError, OverflowError):
        raise SnapshotError(f"{name} is damaged: its table of contents is invalid.") from None
    return columns
