"""Keeps a run folder within a limit while the run goes on: what tells least goes first.

A trend needs moments that are spread over the whole run, a chain needs the newest graph. So of each process the first
and the last snapshots stay, and what lies closest to its neighbours in time goes. Processes that ended long ago, as
recycled workers do, go whole, the oldest first; the first process of a run never does.

Runs in the outer process, beside the program, and reads names, sizes and tables of contents only.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from leakhunt.agent import schema

DEFAULT_LIMIT_BYTES = 1_000_000_000
LOOK_SECONDS = 10.0
CENSUSES_MAX = 4000  # of one process, then they are thinned to half: what a report reads in seconds
CENSUSES_RECENT = 500  # newest ones that stay when the others are thinned
CENSUSES_MIN = 200  # what stays of a process when there is no room
GRAPHS_MAX = 28  # of one process, then they are thinned to half: a report compares 14
GRAPHS_MIN = 4  # fewer show no trend
ENDED_MIN = 24  # processes that ended which stay whole as long as there is room
ENDED_MAX = 200  # … and which stay at all
ENDED_SECONDS = 120.0  # nothing written for so long, and for three times its usual spacing: the process has ended
ROOM = 0.9  # of the limit, what is aimed at once it is passed

_FILE = re.compile(r"\d+\.leak")
_TAIL = struct.Struct(schema.TAIL_FORMAT)
_CONTENTS_MAX = 1 << 20


@dataclass(frozen=True)
class Stored:
    """One snapshot on disk; `seconds` since the epoch."""

    path: Path
    seconds: float
    size_bytes: int
    is_deep: bool


@dataclass
class Stock:
    """The snapshots of one process folder, in their order."""

    folder: Path
    files: list[Stored] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def graphs(self) -> list[Stored]:
        return [file for file in self.files if file.is_deep]

    @property
    def censuses(self) -> list[Stored]:
        return [file for file in self.files if not file.is_deep]

    def has_ended(self, now: float) -> bool:
        if not self.files:
            return False
        usual = (self.files[-1].seconds - self.files[0].seconds) / max(1, len(self.files) - 1)
        return now - self.files[-1].seconds > max(ENDED_SECONDS, 3 * usual)


class Retention:
    """Prunes one run folder. `removed` counts snapshots that it took away."""

    def __init__(self, run_folder: Path, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self._run_folder, self.limit_bytes = run_folder, limit_bytes
        self._stocks: dict[Path, Stock] = {}
        self._known: set[str] = set()
        self._next_look = 0.0
        self.removed = 0

    def look(self) -> None:
        """Prune, but at most every LOOK_SECONDS; never raises."""
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_SECONDS
            with contextlib.suppress(OSError):
                self.prune(time.time())

    def prune(self, now: float) -> None:
        """Read what is new and remove what is over the limits.

        Raises:
            OSError: the run folder cannot be read.
        """
        self._read()
        for stock in self._stocks.values():
            if len(stock.censuses) > CENSUSES_MAX:
                self._thin_censuses(stock, CENSUSES_MAX // 2)
            if len(stock.graphs) > GRAPHS_MAX:
                self._thin_graphs(stock, GRAPHS_MAX // 2)
        ended = self._ended(now)
        for stock in ended[: max(0, len(ended) - ENDED_MAX)]:
            self._remove_whole(stock)
        if self._size_bytes() > self.limit_bytes:
            self._make_room(now)

    def _make_room(self, now: float) -> None:
        """Step by step, the least loss first, until there is room again."""
        for remove in self._steps(now):
            remove()
            if self._size_bytes() <= ROOM * self.limit_bytes:
                return

    def _steps(self, now: float) -> Iterator[Callable[[], None]]:
        ended = self._ended(now)
        yield from (partial(self._remove_whole, stock) for stock in ended[: max(0, len(ended) - ENDED_MIN)])
        yield from self._fewer_graphs(GRAPHS_MIN)
        while found := self._largest(lambda stock: len(stock.censuses) > CENSUSES_MIN):
            yield partial(self._thin_censuses, found, max(CENSUSES_MIN, len(found.censuses) // 2))
        yield from (partial(self._remove_whole, stock) for stock in self._ended(now))
        yield from self._fewer_graphs(2)

    def _fewer_graphs(self, keep: int) -> Iterator[Callable[[], None]]:
        while found := self._largest(lambda stock: len(stock.graphs) > keep):
            yield partial(self._thin_graphs, found, len(found.graphs) - 1)

    def _read(self) -> None:
        """Files that came since the last look."""
        for folder in sorted(self._run_folder.glob("pid-*")):
            stock = self._stocks.setdefault(folder, Stock(folder))
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                new = [entry for entry in entries if entry.path not in self._known and _FILE.fullmatch(entry.name)]
                for entry in sorted(new, key=lambda entry: entry.name):
                    about, path = entry.stat(), Path(entry.path)
                    self._known.add(entry.path)
                    stock.files.append(Stored(path, about.st_mtime, about.st_size, is_deep(path)))

    def _size_bytes(self) -> int:
        return sum(stock.size_bytes for stock in self._stocks.values())

    def _ended(self, now: float) -> list[Stock]:
        """Processes that ended, but the first of the run; those that ended first come first."""
        stocks = sorted((s for s in self._stocks.values() if s.files), key=lambda s: s.files[0].seconds)
        return sorted((s for s in stocks[1:] if s.has_ended(now)), key=lambda s: s.files[-1].seconds)

    def _largest(self, condition: Callable[[Stock], bool]) -> Stock | None:
        return max(filter(condition, self._stocks.values()), key=lambda stock: stock.size_bytes, default=None)

    def _thin_graphs(self, stock: Stock, keep: int) -> None:
        for file in crowded(stock.graphs, keep):
            self._remove(stock, file)

    def _thin_censuses(self, stock: Stock, keep: int) -> None:
        censuses = stock.censuses
        recent = min(CENSUSES_RECENT, keep // 2)
        for file in crowded(censuses[: len(censuses) - recent], keep - recent):
            self._remove(stock, file)

    def _remove_whole(self, stock: Stock) -> None:
        for file in list(stock.files):
            self._remove(stock, file)
        for name in ("process", "problems", "stop"):
            with contextlib.suppress(OSError):
                (stock.folder / name).unlink()
        with contextlib.suppress(OSError):
            stock.folder.rmdir()
        del self._stocks[stock.folder]

    def _remove(self, stock: Stock, file: Stored) -> None:
        with contextlib.suppress(OSError):
            file.path.unlink()
        stock.files.remove(file)
        self._known.discard(str(file.path))
        self.removed += 1


def crowded(files: list[Stored], keep: int) -> list[Stored]:
    """Which of the files to remove so that `keep` stay, spread as evenly in time as can be; first and last stay.

    For each of `keep` even moments between the first and the last, the nearest file stays.
    """
    if len(files) <= max(keep, 2):
        return []
    first, span = files[0].seconds, files[-1].seconds - files[0].seconds
    kept = {0, len(files) - 1}
    at = 0
    for number in range(1, keep - 1):
        moment = first + span * number / (keep - 1)
        while at + 1 < len(files) and abs(files[at + 1].seconds - moment) <= abs(files[at].seconds - moment):
            at += 1
        kept.add(at)
    return [file for number, file in enumerate(files) if number not in kept]


def is_deep(path: Path) -> bool:
    """Whether a snapshot has the object graph, by its table of contents; a file that can't be read has none."""
    try:
        with open(path, "rb") as file:
            file.seek(-_TAIL.size, os.SEEK_END)
            offset, length, *_ = _TAIL.unpack(file.read(_TAIL.size))
            file.seek(offset)
            return b"object.address\t" in file.read(min(length, _CONTENTS_MAX))
    except (OSError, ValueError, struct.error):
        return False


def parse_size(text: str) -> int:
    """Bytes of a size as people type it: `500M`, `1GB`, `2.5G`, a plain number of bytes.

    Raises:
        ValueError: it is no size, or none at all.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", text.strip().lower())
    if found is None or float(found[1]) <= 0:
        raise ValueError(text)
    return int(float(found[1]) * 1000.0 ** " kmgt".index(found[2] or " "))
