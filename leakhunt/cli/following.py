"""What `run` does beside the program, in a process of its own, and for the daemons that it leaves behind."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from leakhunt.asking import Asking
from leakhunt.cli.output import say
from leakhunt.command import AgentOptions
from leakhunt.errors import LeakhuntError
from leakhunt.launch import IN_HASTE
from leakhunt.packages import Installed, installed
from leakhunt.retention import Retention
from leakhunt.runfolder import note_packages, note_removed, prolong, read_run
from leakhunt.starts import make_room

LOOK_SECONDS = 0.25
COUNT_SECONDS = 2.0  # between two looks whether daemons live: it reads the environment of every process
_LINES_MAX = 3
_COMMAND_MAX = 80
_PROCESSES_MAX = 4


class Following:
    """What `run` does beside the program: keep the run folder within its limit, and attach to processes without agent.

    Called in a process of its own; `lines` and `daemons` are for the one that waited. Daemons that the program left
    behind are looked after by one more process, in a session of its own, until the last of them has ended.
    """

    def __init__(
        self,
        folder: Path,
        options: AgentOptions,
        verbose: bool,
        retention: Retention,
        attaches: bool = True,
        is_service: bool = False,
    ) -> None:
        self._folder, self._options, self._verbose = folder, options, verbose
        self._retention, self._attaches, self._is_service = retention, attaches, is_service
        self._has_noted_packages = False
        self._notes = os.memfd_create("leakhunt-notes")
        self._daemons = os.memfd_create("leakhunt-daemons")

    def __call__(self, program: int, over: int) -> None:
        if not self._is_over(over, 0.25):  # most programs that are short are over before anything is loaded
            if self._is_service:
                self._retention.limit_bytes = make_room(self._folder, self._retention.limit_bytes)
            self._look_after([program], lambda: self._is_over(over, LOOK_SECONDS))
            note_removed(self._folder, self._retention.removed)
        if os.read(over, 1) != IN_HASTE and _somebody_may_go_on(self._folder):
            from leakhunt.attach.survivors import lasting

            if daemons := lasting(self._folder):
                os.write(self._daemons, " ".join(map(str, daemons)).encode())
                self._stay_with(daemons)

    def _look_after(self, programs: Sequence[int], is_over: Callable[[], bool]) -> None:
        from leakhunt.attach.process_tree import ProcessTree, Unarmed, nobody

        policy = Unarmed(self._folder, self._options.interval) if self._attaches else nobody
        options, children = self._options.text(), self._options.children
        trees = [ProcessTree(pid, self._folder, options, policy, children, self._attaches) for pid in programs]
        told = [0] * len(trees)
        asking = Asking(self._folder, self._options.births != "never")
        try:
            while not is_over():
                for number, tree in enumerate(trees):
                    tree.fetch()
                    told[number] = self._tell(tree.notes, told[number])
                asking.look()
                self._retention.look()
                self._note_packages()
        finally:
            asking.close()
            for tree in trees:
                tree.end()

    def _note_packages(self) -> None:
        """Keep once which packages there are, when the first process has said where it imports from."""
        if not self._has_noted_packages and any(self._folder.glob("pid-*/process")):
            self._has_noted_packages = True
            note_packages_of(self._folder)

    def _stay_with(self, daemons: list[int]) -> None:
        """Fork a process that does so, and holds nothing of ours but the pipe to the monitor, which goes on as well."""
        from leakhunt.attach.survivors import roots

        if os.fork():
            return
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(null, descriptor)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        self._verbose = False

        def are_gone() -> bool:
            time.sleep(LOOK_SECONDS)
            return time.monotonic() >= self._next_count and not self._count()

        self._next_count = 0.0
        self._look_after(roots(daemons), are_gone)
        note_removed(self._folder, self._retention.removed)
        prolong(self._folder)
        os._exit(0)

    def _count(self) -> int:
        """How many daemons there are still."""
        from leakhunt.attach.survivors import survivors

        self._next_count = time.monotonic() + COUNT_SECONDS
        return len(survivors(self._folder))

    def daemons(self) -> list[int]:
        """Pids of those that went on when the program had ended."""
        return [int(word) for word in os.pread(self._daemons, 1 << 16, 0).split()]

    def lines(self) -> list[str]:
        """What to say at the end; with -v it was said when it happened."""
        with open(self._notes, encoding="utf-8") as file:
            file.seek(0)
            lines = file.read().splitlines()
        if len(lines) <= _LINES_MAX or self._verbose:
            return [] if self._verbose else lines
        return [*lines[:_LINES_MAX], f"and so with {len(lines) - _LINES_MAX} processes more (-v names them)"]

    def _tell(self, notes: Sequence[object], told: int) -> int:
        """Say, or keep for the end, what was not told yet; how many were told by now."""
        for note in notes[told:]:
            if self._verbose:
                say(str(note))
            os.write(self._notes, f"{note}\n".encode("utf-8", "replace"))
        return len(notes)

    @staticmethod
    def _is_over(over: int, seconds: float) -> bool:
        return bool(select.select([over], [], [], seconds)[0])


def note_packages_of(run: Path) -> None:
    """Keep in the run folder which distributions its processes can import: names of files are read, nothing else."""
    with contextlib.suppress(LeakhuntError):
        found: dict[Installed, None] = {}
        for process in read_run(run).processes[:_PROCESSES_MAX]:
            folders = process.info.get("path", "").split("\x1f")
            found.update(dict.fromkeys(installed(folders) or installed(folders, f"/proc/{process.pid}/root")))
        note_packages(run, [(one.name, one.version, one.folder) for one in found])


def went_on(daemons: Sequence[int], run: str) -> str:
    """What to say of daemons: who they are, and how their watch ends."""
    shown = ", ".join(f"{pid}{_named(pid)}" for pid in daemons[:_LINES_MAX])
    more = f" and {len(daemons) - _LINES_MAX} more" if len(daemons) > _LINES_MAX else ""
    processes = "process" if len(daemons) == 1 else "processes"
    return (
        f"the program went on in the background as {processes} {shown}{more}, measured into {run}. "
        f"`leakhunt report {run}` shows what is seen; `leakhunt detach {daemons[0]}` ends the watch."
    )


def _named(pid: int) -> str:
    """The command of a process in parentheses, without the folders of its files; "" where it has gone."""
    from leakhunt.attach import procfs

    words = " ".join(word.rpartition("/")[2] for word in procfs.command(pid))
    return f" ({words[:_COMMAND_MAX]})" if words else ""


def _somebody_may_go_on(run_folder: Path) -> bool:
    """A quick look, without anything to load: whether a process was started with this run in its environment."""
    wanted = b"LEAKHUNT_RUN=" + os.fsencode(os.path.abspath(run_folder)) + b"\0"
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) not in (os.getpid(), os.getppid()):
            with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
                if wanted in file.read():
                    return True
    return False
