"""The processes of a run folder that grows: what their censuses say, each read once."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from leakhunt.errors import RunError, SnapshotError
from leakhunt.runfolder import ProcessFolder, read_run
from leakhunt.snapshot import Snapshot

QUIET_INTERVALS, QUIET_SECONDS = 20.0, 60.0  # a process that took no snapshot for so long is taken for gone


@dataclass(frozen=True)
class ProcessFigures:
    """What one process shows now, and what watching it cost so far; sizes in bytes."""

    pid: int
    rss_bytes: int = 0
    malloc_in_use_bytes: int = 0
    malloc_free_bytes: int = 0
    allocated_blocks: int = 0
    gc_objects: int = 0
    snapshots: int = 0
    graphs: int = 0
    pause_seconds: float = 0.0
    longest_pause_seconds: float = 0.0
    cost_seconds: float = 0.0
    last_seen: float = 0.0  # seconds since the epoch
    is_over: bool = False
    census_bytes: int = 0  # on disk, of the last census and the last graph
    graph_bytes: int = 0

    def after(self, snapshot: Snapshot, size_bytes: int = 0) -> ProcessFigures:
        """The figures with one more snapshot."""
        pause = snapshot.number("pause_ms") / 1000
        return replace(
            self,
            rss_bytes=int(snapshot.number("rss_bytes")),
            malloc_in_use_bytes=int(snapshot.number("malloc_in_use_bytes")),
            malloc_free_bytes=int(snapshot.number("malloc_free_bytes")),
            allocated_blocks=int(snapshot.number("allocated_blocks")),
            gc_objects=sum(count for count, _ in snapshot.census.values()),
            snapshots=self.snapshots + 1,
            graphs=self.graphs + snapshot.is_deep,
            pause_seconds=self.pause_seconds + pause,
            longest_pause_seconds=max(self.longest_pause_seconds, pause),
            cost_seconds=self.cost_seconds + snapshot.number("cost_ms") / 1000,
            last_seen=snapshot.number("time"),
            is_over=snapshot.meta.get("moment") == "exit",
            census_bytes=self.census_bytes if snapshot.is_deep else size_bytes,
            graph_bytes=size_bytes if snapshot.is_deep else self.graph_bytes,
        )


class Followed:
    """A run folder under watch."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.snapshots = 0  # of all processes, those removed since included
        self._by_folder: dict[Path, tuple[Path | None, ProcessFigures]] = {}  # the newest file looked at; the figures

    def look(self) -> None:
        """Read what is new; a folder or a snapshot that can't be read is left out."""
        try:
            processes = read_run(self.path).processes
        except RunError:
            return
        for folder in processes:
            self._read(folder)
        self.snapshots = sum(figures.snapshots for _, figures in self._by_folder.values())

    def living(self, interval: float) -> list[ProcessFigures]:
        """Processes that still take snapshots, the largest first; of a run that is over, those that did last."""
        quiet = max(QUIET_SECONDS, QUIET_INTERVALS * interval)
        figures = [found for _, found in self._by_folder.values() if found.snapshots]
        now = time.time()
        alive = [found for found in figures if not found.is_over and now - found.last_seen < quiet]
        return sorted(alive or figures, key=lambda found: -found.rss_bytes)

    @property
    def count(self) -> int:
        """Processes that were ever seen."""
        return len(self._by_folder)

    def _read(self, folder: ProcessFolder) -> None:
        newest, figures = self._by_folder.get(folder.path, (None, ProcessFigures(folder.pid)))
        for path in unread(folder, newest):
            newest = path
            try:
                figures = figures.after(Snapshot.load(path), path.stat().st_size)
            except (SnapshotError, OSError):
                continue
        self._by_folder[folder.path] = newest, figures


def unread(folder: ProcessFolder, newest: Path | None) -> list[Path]:
    """Snapshots after the newest one that was looked at; older ones may have been removed since."""
    known = int(newest.stem) if newest is not None else -1
    return [path for path in folder.snapshots if int(path.stem) > known]
