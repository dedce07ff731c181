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

from leakhunt.command import LAUNCH_FOLDER
from leakhunt.errors import AttachError

from . import procfs
from .attachment import Attachment, MeasuredAlready, begin
from .refusals import LeftBehind, Reason
from .target import Target
from .unarmed import why_unarmed

LOOK_SECONDS = 0.25
_GRACE_SECONDS = 0.3  # what ends before is left alone
_STARTING_SECONDS = 5.0
_HELLO_SECONDS = 3.0


class Life(NamedTuple):
    """One program in one process: a fork has another pid or start, an exec another stack."""

    pid: int
    started: int  # clock ticks since boot
    stack: int  # where its stack begins, a new random place at each exec; 0 when we may not know

    @classmethod
    def of(cls, pid: int) -> Life:
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


class Patience(Enum):
    """What a policy says of a life that is not to be attached to: look again, or never mind."""

    WAIT, LEAVE = "wait", "leave"


# Says why a Python of some age in seconds must be attached to ("": for no particular reason), or to have patience.
Policy = Callable[[Life, float], str | Patience]


class Family:
    """Looks after a process and its descendants; `notes` tell of what it attached to beyond what it was given."""

    def __init__(self, root: int, run_folder: Path, options: str, policy: Policy, children: bool = True) -> None:
        self._root, self._run_folder, self._options = Target(root), run_folder, options
        self._policy, self._children = policy, children
        self._attachments: list[Attachment] = []
        self._first_seen: dict[Life, float] = {}
        self._pythons: set[Life] = set()
        self._settled: set[Life] = set()
        self._measured: dict[Life, int] = {}  # since when, in clock ticks: younger forks have the agent
        self._next_look = 0.0
        self.notes: list[Note] = []

    @property
    def is_over(self) -> bool:
        return self._root.is_gone

    def adopt(self, attachment: Attachment) -> None:
        """Take over what was attached to already."""
        self._attachments.append(attachment)
        self._is_measured(Life.of(attachment.pid), procfs.ticks_since_boot())

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
            life = Life.of(pid)
            if life in self._settled or not life.started:
                continue
            age = time.monotonic() - self._first_seen.setdefault(life, time.monotonic())
            if self._took_the_agent_along(life, parent):
                self._is_measured(life, life.started)
            elif age >= _GRACE_SECONDS:
                self._consider(life, age)

    def end(self) -> Reason | None:
        """Leave all those that live as they were; a reason when one could not be reached."""
        reason, stopped = None, set[int]()
        for attachment in reversed(self._attachments):
            reason = attachment.end(stopped) or reason
        return reason

    def _members(self) -> Iterator[tuple[int, int]]:
        """(pid, parent's pid), parents first."""
        yield self._root.pid, 0
        if self._children:
            yield from procfs.descendants(self._root.pid)

    def _took_the_agent_along(self, life: Life, parent: int) -> bool:
        """Whether it was forked, and not started anew, by a parent that was measured at that time."""
        origin = Life.of(parent)
        return bool(life.stack) and life.stack == origin.stack and life.started > self._measured.get(origin, 1 << 64)

    def _consider(self, life: Life, age: float) -> None:
        if not self._runs_python(life):
            why: str | Patience = Patience.LEAVE if age > _STARTING_SECONDS else Patience.WAIT
        else:
            why = self._policy(life, age)
        if why is Patience.LEAVE:
            self._settled.add(life)
        elif isinstance(why, str):
            self._attach(life, age, why)

    def _attach(self, life: Life, age: float, why: str) -> None:
        try:
            self.adopt(begin(life.pid, self._run_folder, self._options))
        except MeasuredAlready:
            self._is_measured(life, procfs.ticks_since_boot())
        except AttachError as error:
            self._failed(life, age, why, error)
        else:
            if why:
                self.notes.append(Note(life.pid, why))

    def _failed(self, life: Life, age: float, why: str, error: AttachError) -> None:
        if isinstance(error, LeftBehind) or age > _STARTING_SECONDS:
            self._settled.add(life)
            if Life.of(life.pid) == life:
                self.notes.append(Note(life.pid, why, str(error)))

    def _is_measured(self, life: Life, since_ticks: int) -> None:
        self._settled.add(life)
        self._measured[life] = since_ticks

    def _runs_python(self, life: Life) -> bool:
        if life not in self._pythons and Target(life.pid).interpreter is not None:
            self._pythons.add(life)
        return life in self._pythons


def everyone(life: Life, age: float) -> str:
    """The policy of `leakhunt attach`."""
    return ""


class Unarmed:
    """The policy of `leakhunt run`: those that can't have loaded the agent, and those that wrote nothing by now."""

    def __init__(self, run_folder: Path, interval_seconds: float) -> None:
        self._run_folder, self._hello_seconds = run_folder, interval_seconds + _HELLO_SECONDS

    def __call__(self, life: Life, age: float) -> str | Patience:
        environment = procfs.environment(life.pid)
        command = procfs.command(life.pid)
        if environment is not None and (why := why_unarmed(command, environment, os.fspath(LAUNCH_FOLDER))):
            return why
        if any(self._run_folder.glob(f"pid-{Target(life.pid).inner_pid}.*")):
            return Patience.LEAVE
        return Patience.WAIT if age < self._hello_seconds else "did not load the agent"
