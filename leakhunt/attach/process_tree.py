"""A process and what it starts: each one that runs Python is measured, with its own snapshots.

A forked child takes the agent along. One that was started anew does so only if it was armed, so it is attached to.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from leakhunt.agent import marks
from leakhunt.command import LAUNCH_FOLDER
from leakhunt.errors import AttachError
from leakhunt.runfolder import note_outer_pid

from . import procfs
from .attachment import Attachment, MeasuredAlready, begin, is_far
from .refusals import LeftBehind, Reason
from .target import Target
from .unarmed import why_unarmed

LOOK_SECONDS = 0.25
_GRACE_SECONDS = 0.3  # what ends before is left alone
_STARTING_SECONDS = 5.0
_HELLO_SECONDS = 3.0
_CUT_OFF = "gave up the user or the root that could write into the run folder"


class ProcessId(NamedTuple):
    """One program in one process: a fork has another pid or start, an exec another stack."""

    pid: int
    started: int  # clock ticks since boot
    stack: int  # where its stack begins, a new random place at each exec; 0 when we may not know

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        return cls(pid, procfs.start_time(pid), procfs.start_of_stack(pid))


@dataclass(frozen=True)
class Note:
    """A process of the family that was attached to (`problem` is "") or could not be; `why` as of `why_unarmed`."""

    pid: int
    why: str
    problem: str = ""

    def __str__(self) -> str:
        process = f"process {self.pid} {self.why}" if self.why else f"process {self.pid}"
        if self.problem:
            return f"{process} and is not measured: {self.problem}" if self.why else f"{process}: {self.problem}"
        return f"{process}, so leakhunt attached to it"


class Decision(Enum):
    """What a policy says of a life that is not to be attached to: look again, or never mind."""

    WAIT, LEAVE = "wait", "leave"


# Says why a Python of some age in seconds must be attached to ("": for no particular reason), or to have patience.
Policy = Callable[[ProcessId, float], str | Decision]


class ProcessTree:
    """Looks after a process and its descendants; `notes` tell of what it attached to beyond what it was given."""

    def __init__(
        self, root: int, run_folder: Path, options: str, policy: Policy, children: bool = True, attaches: bool = True
    ) -> None:
        """Without `attaches` it only tells who is not measured, since it can't write into the run folder."""
        self._attaches = attaches
        self._root, self._run_folder, self._options = Target(root), run_folder, options
        self._policy, self._children = policy, children
        self._attachments: list[Attachment] = []
        self._first_seen: dict[ProcessId, float] = {}
        self._pythons: set[ProcessId] = set()
        self._settled: set[ProcessId] = set()
        self._measured: dict[ProcessId, int] = {}  # since when, in clock ticks: younger forks have the agent
        self._apart: set[ProcessId] = (
            set()
        )  # who writes elsewhere, since it can't write into the run folder; it is fetched
        self._given_up: set[ProcessId] = set()
        self._out_of_reach: dict[
            ProcessId, tuple[float, int]
        ] = {}  # since when, and its own pid: who should and does not yet
        self._next_look = 0.0
        self.notes: list[Note] = []

    @property
    def is_over(self) -> bool:
        return self._root.is_gone

    def adopt(self, attachment: Attachment) -> None:
        """Take over what was attached to already."""
        self._attachments.append(attachment)
        life = ProcessId.of(attachment.pid)
        self._is_measured(life, procfs.ticks_since_boot())
        if attachment.has_relay:
            self._apart.add(life)

    def fetch(self) -> None:
        """Look who is new, and bring what was written meanwhile into the run folder."""
        for attachment in self._attachments:
            attachment.fetch()
        if time.monotonic() >= self._next_look:
            self.look()
            self._next_look = time.monotonic() + LOOK_SECONDS

    def look(self) -> None:
        """Attach to whom the policy asks to. One that can't be reached yet, as it starts, is tried again."""
        for pid, parent in self._members():
            life = ProcessId.of(pid)
            if not life.started:
                continue
            if life not in self._first_seen:
                note_outer_pid(self._run_folder, Target(life.pid).inner_pid, life.pid)
            age = time.monotonic() - self._first_seen.setdefault(life, time.monotonic())
            if life not in self._settled and self._took_the_agent_along(life, parent):
                self._is_measured(life, life.started)
                if ProcessId.of(parent) in self._apart:
                    self._apart.add(life)
            if self._is_cut_off(life):
                self._reach(life, age)
            elif life not in self._settled and age >= _GRACE_SECONDS:
                self._consider(life, age)
        self._tell_of_the_lost()

    def end(self) -> Reason | None:
        """Leave all those that live as they were; a reason when one could not be reached."""
        reason, stopped = None, set[int]()
        self._tell_of_the_lost(at_the_end=True)
        for attachment in reversed(self._attachments):
            reason = attachment.end(stopped) or reason
        return reason

    def _members(self) -> Iterator[tuple[int, int]]:
        """(pid, parent's pid), parents first."""
        yield self._root.pid, 0
        if self._children:
            yield from procfs.descendants(self._root.pid)

    def _took_the_agent_along(self, life: ProcessId, parent: int) -> bool:
        """Whether it was forked, and not started anew, by a parent that was measured at that time."""
        origin = ProcessId.of(parent)
        return bool(life.stack) and life.stack == origin.stack and life.started > self._measured.get(origin, 1 << 64)

    def _is_cut_off(self, life: ProcessId) -> bool:
        """Whether its agent can't write into the run folder: it changed its user or its root since it was started."""
        if life in self._apart or life in self._given_up:
            return False
        return is_far(Target(life.pid)) and self._runs_python(life) and (life in self._settled or self._is_armed(life))

    def _is_armed(self, life: ProcessId) -> bool:
        return "LEAKHUNT_RUN" in (procfs.environment(life.pid) or {})

    def _reach(self, life: ProcessId, age: float) -> None:
        since, _ = self._out_of_reach.setdefault(life, (age, Target(life.pid).inner_pid))
        if not self._attaches:
            self._give_up(life, _CUT_OFF, "--no-attach says to leave it alone.")
        elif age >= _GRACE_SECONDS:
            self._attach(life, age - since, _CUT_OFF)

    def _give_up(self, life: ProcessId, why: str, problem: str) -> None:
        """Note, here and in the run folder, that a process is not measured."""
        self._given_up.add(life)
        pid = self._out_of_reach.pop(life, (0.0, Target(life.pid).inner_pid))[1]
        note = Note(life.pid, why, problem)
        self.notes.append(note)
        marks.leave(os.fspath(self._run_folder), pid, f"not measured, as it {why}: {problem}" if why else problem)

    def _tell_of_the_lost(self, at_the_end: bool = False) -> None:
        """Who went away, or still is there in the end, before it could be reached."""
        for life in [life for life in self._out_of_reach if at_the_end or ProcessId.of(life.pid) != life]:
            self._give_up(life, _CUT_OFF, "It ended before leakhunt could attach to it.")

    def _consider(self, life: ProcessId, age: float) -> None:
        if not self._runs_python(life):
            why: str | Decision = Decision.LEAVE if age > _STARTING_SECONDS else Decision.WAIT
        else:
            why = self._policy(life, age)
        if why is Decision.LEAVE:
            self._settled.add(life)
        elif isinstance(why, str):
            self._attach(life, age, why)

    def _attach(self, life: ProcessId, age: float, why: str) -> None:
        try:
            self.adopt(begin(life.pid, self._run_folder, self._options))
        except MeasuredAlready:
            self._is_measured(life, procfs.ticks_since_boot())
            self._given_up.add(life)
            self._out_of_reach.pop(life, None)
        except AttachError as error:
            self._failed(life, age, why, error)
        else:
            self._out_of_reach.pop(life, None)
            if why:
                self.notes.append(Note(life.pid, why))

    def _failed(self, life: ProcessId, age: float, why: str, error: AttachError) -> None:
        if isinstance(error, LeftBehind) or age > _STARTING_SECONDS:
            self._settled.add(life)
            if ProcessId.of(life.pid) == life:
                self._give_up(life, why, str(error))

    def _is_measured(self, life: ProcessId, since_ticks: int) -> None:
        self._settled.add(life)
        self._measured[life] = since_ticks

    def _runs_python(self, life: ProcessId) -> bool:
        if life not in self._pythons and Target(life.pid).interpreter is not None:
            self._pythons.add(life)
        return life in self._pythons


def nobody(life: ProcessId, age: float) -> Decision:
    """The policy of `leakhunt run --no-attach`."""
    return Decision.LEAVE


def attach_all(life: ProcessId, age: float) -> str:
    """The policy of `leakhunt attach`."""
    return ""


class Unarmed:
    """The policy of `leakhunt run`: those that can't have loaded the agent, and those that wrote nothing by now."""

    def __init__(self, run_folder: Path, interval_seconds: float) -> None:
        self._run_folder, self._hello_seconds = run_folder, interval_seconds + _HELLO_SECONDS

    def __call__(self, life: ProcessId, age: float) -> str | Decision:
        environment = procfs.environment(life.pid)
        command = procfs.command(life.pid)
        if environment is not None and (why := why_unarmed(command, environment, os.fspath(LAUNCH_FOLDER))):
            return why
        if any(self._run_folder.glob(f"pid-{Target(life.pid).inner_pid}.*")):
            return Decision.LEAVE
        return Decision.WAIT if age < self._hello_seconds else "did not load the agent"
