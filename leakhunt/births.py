"""What the agent saw of births and additions: its answers to requests, read once (format: `leakhunt.agent.births`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from leakhunt import contract
from leakhunt.agent.schema import unescape
from leakhunt.reading import read_regular

_BYTES_MAX = 16 << 20


@dataclass(frozen=True)
class Frame:
    """A place in code; `kind` is "program", "library" or "stdlib"."""

    file: str
    line: int
    function: str
    kind: str


@dataclass(frozen=True)
class Stack:
    """Frames, innermost first; `awaiting` are those of who awaits the task that they are of, where that was seen."""

    frames: tuple[Frame, ...]
    awaiting: tuple[Frame, ...] = ()


@dataclass(frozen=True)
class Watched:
    """A class or container that was asked for: `way` is how it was seen ("-": not at all), `why` what hindered."""

    name: str
    way: str
    seen: int
    why: str


@dataclass(frozen=True)
class Birth:
    """An object of the class at `of`, made `seconds` after the agent's beginning."""

    of: int
    address: int
    seconds: float
    stack: Stack


@dataclass(frozen=True)
class Addition:
    """Something put into the container at `of`; `address` and `key` are 0 where they are not known."""

    of: int
    address: int
    key: int
    seconds: float
    stack: Stack


@dataclass(frozen=True)
class Births:
    """One answer; classes and places by their addresses. `is_over`: the hooks are gone, and no more will come."""

    number: int
    is_over: bool = True
    armed_seconds: float = 0.0
    classes: Mapping[int, Watched] = field(default_factory=dict)
    places: Mapping[int, Watched] = field(default_factory=dict)
    births: tuple[Birth, ...] = ()
    additions: tuple[Addition, ...] = ()
    problem: str = ""


def load(path: str | Path) -> Births | None:
    """The answer in a file; None where it can't be read or is damaged: a report goes without it."""
    try:
        text = read_regular(path, _BYTES_MAX).decode("utf-8", "replace")
    except OSError:
        return None
    return parsed(text)


def parsed(text: str) -> Births | None:
    """The answer in a text; None for one that breaks a rule of the format."""
    lines = [[unescape(word) for word in line.split("\t")] for line in text.split("\n") if line]
    if contract.broken_births(lines):
        return None
    rows: dict[str, list[list[str]]] = {key: [] for key in contract.BIRTHS_COLUMNS}
    for key, *words in lines:
        if key in rows:
            rows[key].append(words)
    frames = [Frame(file, int(line), function, kind) for file, line, function, kind in rows["frame"]]
    stacks = [Stack(_picked(frames, inner), _picked(frames, outer)) for inner, outer in rows["stack"]]
    state = rows["state"][0]
    return Births(
        number=int(rows["births"][0][1]),
        is_over=state[0] != "armed",
        armed_seconds=float(state[1]),
        classes={int(row[0]): Watched(row[1], row[2], int(row[3]), row[4]) for row in rows["class"]},
        places={int(row[0]): Watched("", row[1], int(row[2]), row[3]) for row in rows["place"]},
        births=tuple(Birth(int(r[0]), int(r[1]), float(r[2]), stacks[int(r[3])]) for r in rows["birth"]),
        additions=tuple(
            Addition(int(r[0]), int(r[1]), int(r[2]), float(r[3]), stacks[int(r[4])]) for r in rows["addition"]
        ),
        problem=state[3],
    )


def _picked(frames: list[Frame], numbers: str) -> tuple[Frame, ...]:
    return tuple(frames[int(number)] for number in numbers.split())
