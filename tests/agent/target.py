"""Programs run with the agent inside, on any interpreter, as `leakhunt run` would arm them."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from leakhunt.agent import schema
from leakhunt.command import AgentOptions, armed_environment
from leakhunt.runfolder import ProcessFolder, read_run
from leakhunt.snapshot import Snapshot

VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15")

# `take()` writes a snapshot of this very moment, past the sampler's clock, by the same code; `wait_for(n)` leaves the
# sampler alone until it has taken n.
PRELUDE = """
import gc, os, sys
def take(deep=True):
    sys.modules["_leakhunt_agent"]._sampler._take(deep, "test")
def wait_for(snapshots, seconds=60, sleep=__import__("time").sleep):
    while sys.modules["_leakhunt_agent"]._sampler._sequence < snapshots and seconds > 0:
        seconds -= 0.02
        sleep(0.02)
"""


@functools.cache
def interpreters() -> dict[str, str]:
    """Path of an interpreter by its version: those in LEAKHUNT_PYTHONS (`:`-separated), on PATH, under ~/.pyenv."""
    candidates = [*filter(None, os.environ.get("LEAKHUNT_PYTHONS", "").split(os.pathsep))]
    candidates += sorted(map(str, Path.home().glob(".pyenv/versions/3.*/bin/python")))
    candidates += [path for version in VERSIONS if (path := shutil.which(f"python{version}"))]
    found: dict[str, str] = {}
    for path in candidates:
        version = _version(path)
        if version in VERSIONS:
            found.setdefault(version, path)
    return found


def _version(path: str) -> str:
    code = "import sys; print('%d.%d' % sys.version_info[:2] + sys.abiflags)"
    try:
        return subprocess.run(
            [path, "-c", code], check=False, capture_output=True, text=True, timeout=30
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


@dataclass
class Ran:
    """A program that ended, and what the agent left of it."""

    status: int
    out: str
    err: str
    folder: Path

    @functools.cached_property
    def processes(self) -> list[ProcessFolder]:
        return list(read_run(self.folder).processes)

    @functools.cached_property
    def heaps(self) -> list[Heap]:
        """The snapshots of its first process."""
        return [Heap(Snapshot.load(path)) for path in self.processes[0].snapshots]


class Target:
    """One interpreter and one engine, in a folder of their own."""

    def __init__(self, version: str, python: str, engine: str, folder: Path) -> None:
        self.version, self.python, self.engine, self.folder = version, python, engine, folder

    def run(
        self,
        source: str,
        *,
        interval: float = 3600,
        deep: str = "auto",
        values: bool = False,
        fork_snapshot: bool = False,
        flags: tuple[str, ...] = (),
        **environment: str,
    ) -> Ran:
        """Run a program to its end; its own snapshots are those of `take()` and one at a normal exit."""
        told = {"interval": interval, "deep": deep, "values": values, "fork_snapshot": fork_snapshot}
        with self.start(source, flags=flags, **told, **environment) as process:  # type: ignore[arg-type]
            out, err = process.communicate(timeout=240)
        return Ran(process.returncode, out, err, self.folder / "run")

    def start(
        self,
        source: str,
        *,
        interval: float = 3600,
        deep: str = "auto",
        values: bool = False,
        fork_snapshot: bool = False,
        flags: tuple[str, ...] = (),
        **environment: str,
    ) -> subprocess.Popen[str]:
        (self.folder / "run").mkdir(exist_ok=True)
        program = self.folder / "program.py"
        program.write_text(PRELUDE + textwrap.dedent(source))
        options = AgentOptions(
            interval=interval, deep=deep, values=values, engine=self.engine, fork_snapshot=fork_snapshot
        )
        armed = armed_environment(os.environ, self.folder / "run", options)
        return subprocess.Popen(
            [self.python, *flags, str(program)],
            env={**armed, **environment}, cwd=self.folder, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip


class Heap:
    """A deep snapshot by address and by name, in plain Python: slow, and easy to be sure of."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.meta = snapshot.meta

    @functools.cached_property
    def rows(self) -> dict[str, list[int]]:
        return {
            name: self._column(f"object.{name}") for name in ("address", "type", "size", "length", "refcount", "flags")
        }

    @functools.cached_property
    def row_by_address(self) -> dict[int, int]:
        found = {address: row for row, address in enumerate(self.rows["address"])}
        assert len(found) == len(self.rows["address"]), "an object has two rows"
        return found

    @functools.cached_property
    def first_reference(self) -> list[int]:
        first = [0]
        for count in self._column("reference.count"):
            first.append(first[-1] + count)
        assert first[-1] == len(self.targets)
        return first

    @functools.cached_property
    def targets(self) -> list[int]:
        """Addresses referred to; 0 where a snapshot that stores rows has none."""
        if not self.snapshot.has("reference.index"):
            return self._column("reference.target")
        addresses = self.rows["address"]
        return [0 if row == schema.GONE else addresses[row] for row in self._column("reference.index")]

    @functools.cached_property
    def label_by_position(self) -> dict[int, str]:
        strings = self.snapshot.strings
        return {p: strings[n] for p, n in zip(self._column("label.position"), self._column("label.name"), strict=True)}

    @functools.cached_property
    def name_by_address(self) -> dict[int, str]:
        strings = self.snapshot.strings
        return {a: strings[n] for a, n in zip(self._column("name.address"), self._column("name.text"), strict=True)}

    @functools.cached_property
    def bound_by_address(self) -> dict[int, int]:
        addresses = self.rows["address"]
        pairs = zip(self._column("bound.object"), self._column("bound.value"), strict=True)
        return {addresses[row]: value for row, value in pairs}

    @functools.cached_property
    def value_by_address(self) -> dict[int, str]:
        strings = self.snapshot.strings
        return {a: strings[t] for a, t in zip(self._column("value.address"), self._column("value.text"), strict=True)}

    @property
    def census(self) -> dict[str, tuple[int, int]]:
        return self.snapshot.census

    def type_of(self, address: int) -> str:
        return self.snapshot.type_names[self.rows["type"][self.row_by_address[address]]]

    def of_type(self, name: str) -> list[int]:
        return [a for a, row in self.row_by_address.items() if self.snapshot.type_names[self.rows["type"][row]] == name]

    def references(self, address: int) -> list[tuple[str, int]]:
        """(label or "", address referred to) of one object, in the file's order."""
        row = self.row_by_address[address]
        positions = range(self.first_reference[row], self.first_reference[row + 1])
        return [(self.label_by_position.get(p, ""), self.targets[p]) for p in positions]

    def labelled(self, address: int) -> dict[str, int]:
        return {label: target for label, target in self.references(address) if label}

    def has_path(self, source: int, target: int) -> bool:
        seen, pending = {source}, [source]
        while pending:
            address = pending.pop()
            if address == target:
                return True
            following = {t for _, t in self.references(address) if t in self.row_by_address} - seen
            seen |= following
            pending += following
        return False

    def _column(self, name: str) -> list[int]:
        values: list[int] = self.snapshot.column(name).tolist()
        return values


def said(ran: Ran) -> Iterator[tuple[str, int]]:
    """(word, number) pairs that a program printed, one pair a line."""
    assert ran.status == 0, ran.err
    for line in ran.out.splitlines():
        word, _, number = line.rpartition(" ")
        yield word, int(number)
