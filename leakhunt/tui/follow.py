"""A run folder that may still be written: every look reads what is new, and nothing twice."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from leakhunt.analysis.growth.evidence import EXIT
from leakhunt.errors import RunError, SnapshotError
from leakhunt.runfolder import ProcessFolder, RunFolder, read_run
from leakhunt.snapshot import Snapshot

from .deep import DeepView
from .history import MOMENTS_MAX, History


class WatchedProcess:
    """One process of a run: its history, and its newest snapshot with the whole graph."""

    def __init__(self, folder: ProcessFolder) -> None:
        self.folder = folder
        self.history = History()
        self.newest_time = 0.0  # when the newest snapshot was taken, in seconds since the epoch
        self.interval = 0.0  # seconds between censuses, as the agent was told
        self.graph_refused = ""  # why the newest snapshot went without the graph that was due
        self.problem_by_file: dict[str, str] = {}
        self._seen = -1  # number of the newest snapshot that was looked at
        self._newest_deep: Snapshot | None = None
        self._deep: DeepView | None = None

    @property
    def deep(self) -> DeepView | None:
        """The view of the newest graph, None before there is one; a graph of a million objects takes a second."""
        if self._newest_deep is not None:
            self._deep, self._newest_deep = DeepView(self._newest_deep), None
        return self._deep

    def owner(self, address: int, type_name: str) -> str:
        """As `DeepView.owner`; "" before there is a graph."""
        return self.deep.owner(address, type_name) if self.deep is not None else ""

    def refresh(self, folder: ProcessFolder) -> None:
        """Take in what was written since the last look.

        Of a long run that is opened late an even choice of censuses is read, and the newest graph.
        """
        new = [path for path in folder.snapshots if int(path.stem) > self._seen]  # older ones may have been removed
        self.folder, self._seen = folder, max((int(path.stem) for path in folder.snapshots), default=self._seen)
        stride = max(1, -(-len(new) // MOMENTS_MAX))
        chosen = {path for number, path in enumerate(new) if number % stride == 0 or number >= len(new) - 2}
        for path in new:
            if path in chosen and (snapshot := self._load(path)) is not None:
                self.history.add(snapshot)
                self.newest_time, self.interval = snapshot.number("time"), snapshot.number("interval")
                self.graph_refused = snapshot.meta.get("graph_refused", "")
                self._consider(snapshot)
        self._look_back(path for path in reversed(new) if path not in chosen)

    def _consider(self, snapshot: Snapshot) -> bool:
        """Take this graph as the newest, that of the exit only where there is no other; whether it was taken."""
        is_first = self._deep is None and self._newest_deep is None
        if snapshot.is_deep and (is_first or not _is_exit(snapshot)):
            self._newest_deep = snapshot
            return True
        return False

    def _look_back(self, newest_first: Iterable[Path]) -> None:
        """The newest graph may be among the snapshots that were not chosen."""
        for path in newest_first:
            best = self._newest_deep
            if best is not None and not _is_exit(best) and str(path) < best.path:
                return
            if (snapshot := self._load(path)) is not None and self._consider(snapshot):
                return

    def _load(self, path: Path) -> Snapshot | None:
        try:
            return Snapshot.load(path)
        except SnapshotError as problem:
            self.problem_by_file[path.name] = str(problem)
            return None


def _is_exit(snapshot: Snapshot) -> bool:
    return snapshot.meta.get("moment") == EXIT


class WatchedRun:
    """A run folder under watch. `processes` come in the order in which they reported in."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            RunError: the folder is no run.
        """
        self.folder: RunFolder = read_run(path)
        self.processes: list[WatchedProcess] = []
        self.problem = ""  # why the folder could not be read at the last look

    @property
    def is_over(self) -> bool:
        """Whether who started the run wrote that it has ended; nobody does where that one was killed."""
        return self.folder.info.get("ended") is not None

    def process(self, number: int) -> WatchedProcess:
        """One of the processes, counted round and round; there must be one."""
        return self.processes[number % len(self.processes)]

    def number_of(self, pid: int) -> int:
        """Number of the newest process of that pid, 0 where there is none."""
        return max((n for n, folder in enumerate(self.folder.processes) if folder.pid == pid), default=0)

    def set_mark(self) -> None:
        """Compare every process with its newest moment from now on."""
        for process in self.processes:
            process.history.set_mark()

    def refresh(self) -> None:
        """Read what is new. A folder that can't be read any more is a `problem`; what was read of it stays."""
        try:
            self.folder, self.problem = read_run(self.folder.path), ""
        except RunError as problem:
            self.problem = str(problem)
            return
        watched = {process.folder.path: process for process in self.processes}
        for folder in self.folder.processes:
            if folder.path not in watched:
                watched[folder.path] = WatchedProcess(folder)
                self.processes.append(watched[folder.path])
            watched[folder.path].refresh(folder)
