"""The run folder: what one `leakhunt run` or `attach` leaves on disk, made by one process and read by any.

    RUN/run.json            command, host, versions, times, options
    RUN/packages.json       distributions that the program could import, [name, version, folder] each
    RUN/pid-4711.0/         one process that ran Python; .1 when the same pid came back
        process             lines "key<TAB>value" about it, by the agent (agent/schema.py has the keys)
        000001.leak …       its snapshots in order, each whole or absent
        problems            what the agent lost and why, padded with spaces
        births.ask          what leakhunt wants to know of births, until the agent takes it (agent/asked.py)
        000001.births …     what it saw of them (agent/births.py)
    RUN/bytecode/           the agent's, where Python could not keep it beside the agent: no data, in a folder of 0700
    RUN/ending              an empty file: somebody asked leakhunt to end the program, and waits
    RUN/pid-1.host-4711     an empty file: process 1 of a pid namespace is 4711 to those who look from outside
    RUN/pid-4711.mark.…     an empty file: its name says what could not be told otherwise of a process (agent/marks.py)

The agent writes the process folders, and anything may be killed at any moment: reading takes what is there.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from leakhunt import __version__
from leakhunt.agent import schema
from leakhunt.agent.masking import masked, masked_line
from leakhunt.errors import RunError, UsageError
from leakhunt.reading import read_regular

SCHEMA = 1
DESCRIPTION = "run.json"
PACKAGES = "packages.json"

TIME_FORMAT = "%Y%m%d-%H%M%S"

_PLACEHOLDER = re.compile(r"%([tp%])")
_PROCESS_NAME = re.compile(r"pid-(\d{1,10})\.(\d{1,10})", re.ASCII)
_MARK_NAME = re.compile(r"pid-(\d{1,10})\.mark\.(.+)", re.ASCII)
_START_NAME = re.compile(r"(\d{8}-\d{6})(?:-(\d{1,6}))?", re.ASCII)  # of TIME_FORMAT
_BIRTHS_NAME = re.compile(r"(\d{1,9})\.births", re.ASCII)
_HOST_PID_NAME = re.compile(r"pid-(\d{1,10})\.host-(\d{1,10})", re.ASCII)
_SNAPSHOT_NAME = re.compile(r"(\d{1,10})\.leak", re.ASCII)
_DESCRIPTION_BYTES_MAX, _TEXT_BYTES_MAX = 16 << 20, 4 << 20  # a command line has 2 MB at the most


class RunRemoved(RunError):
    """The run folder went away while it was written."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"The run folder {folder} was removed while the program ran, and with it what was seen.",
            "Keep it with --out DIR, in a place that nobody cleans up.",
        )


def _finite(value: Any) -> float | None:
    """A number, or a text that is one, that can be reckoned with; None for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) < 2.0**63 else None


def _is_number(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and _finite(value) is not None)


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _is_options(value: Any) -> bool:
    """Words to settings, the interval a number above 0."""
    return isinstance(value, dict) and _is_number(interval := value.get("interval")) and (interval or 5.0) > 0


_FORMS: dict[str, Callable[[Any], bool]] = {
    "schema": lambda value: type(value) is int,
    "command": _is_list_of_texts,
    "started": _is_number,
    "ended": _is_number,
    "exit_status": lambda value: value is None or type(value) is int,
    "options": _is_options,
    "leakhunt": lambda value: isinstance(value, str),
}


@dataclass(frozen=True)
class ProcessFolder:
    """One process of a run, with the pid that it has for those who look at it from outside.

    `info` holds the keys of its `process` file, all values as text.
    """

    path: Path
    pid: int
    info: Mapping[str, str] = field(default_factory=dict)
    snapshots: tuple[Path, ...] = ()
    problems: str = ""
    births: tuple[Path, ...] = ()

    @property
    def command(self) -> str:
        return self.info.get("command", "")

    @property
    def started(self) -> float:
        """Seconds since the epoch; 0.0 when the process died before it could say."""
        return _finite(self.info.get("started", "")) or 0.0


@dataclass(frozen=True)
class RunFolder:
    """A run as found on disk; `info` is what `run.json` says, empty when that was lost.

    `packages` are (name, version, metadata folder) of the distributions that were there as the program ran; None where
    nobody looked.
    """

    path: Path
    info: Mapping[str, Any] = field(default_factory=dict)
    processes: tuple[ProcessFolder, ...] = ()
    packages: tuple[tuple[str, str, str], ...] | None = None


def create(
    path: Path | None, command: Sequence[str], options: Mapping[str, Any] | None = None, is_service: bool = False
) -> Path:
    """Make a private run folder and describe the run in it; returns its absolute path.

    Args:
        is_service: `path` is a service's folder, and the run folder a new one in it.
        path: None for a fresh `leakhunt-run-…` in the current directory; %t in it stands for the time, %p for this pid.

    Raises:
        UsageError: the directory holds another run, or is no directory.
        RunError: it cannot be made or written.
    """
    if path is None:
        folder = _fresh(Path.cwd() / time.strftime(f"leakhunt-run-{TIME_FORMAT}"))
    elif is_service:
        folder = _fresh(Path(os.path.abspath(_filled_in(path))) / time.strftime(TIME_FORMAT))
    else:
        folder = _claim(Path(os.path.abspath(_filled_in(path))))
    describe(
        folder,
        {
            "schema": SCHEMA,
            "command": list(command) if (options or {}).get("values") else masked(command),
            "cwd": os.getcwd(),
            "host": os.uname().nodename,
            "leakhunt": __version__,
            "python": ".".join(map(str, sys.version_info[:3])),
            "started": time.time(),
            "ended": None,
            "exit_status": None,
            "options": dict(options or {}),
        },
    )
    return folder


def finish(folder: Path, exit_status: int | None) -> None:
    """Add to the description that the run is over; `exit_status` is what a shell would show as `$?`.

    Raises:
        RunRemoved: there is no description any more.
        RunError: it cannot be written.
    """
    if not (folder / DESCRIPTION).exists():
        raise RunRemoved(folder)
    describe(folder, {**_description(folder), "ended": time.time(), "exit_status": exit_status})


def prolong(folder: Path) -> None:
    """Add to the description that the run went on until now, in processes that the program left behind."""
    with contextlib.suppress(RunError):
        describe(folder, {**_description(folder), "ended": time.time()})


def note_outer_pid(folder: Path, inner: int, outer: int) -> None:
    """Leave a mark that the process with this pid in its own namespace has another one for those who look at it."""
    if inner != outer:
        with contextlib.suppress(OSError):
            (folder / f"pid-{inner}.host-{outer}").touch(mode=0o600)


def note_removed(folder: Path, snapshots: int) -> None:
    """Add to the description how many snapshots were removed to keep to the folder's limit; 0 adds nothing."""
    if snapshots:
        with contextlib.suppress(RunError):
            describe(folder, {**_description(folder), "removed_snapshots": snapshots})


def describe(folder: Path, info: Mapping[str, Any]) -> None:
    """Write `run.json`, whole or not at all, readable by its owner only."""
    temporary = folder / f".{DESCRIPTION}.{os.getpid()}"
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(info, file, indent=1)
        os.replace(temporary, folder / DESCRIPTION)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise RunError(f"The run folder {folder} cannot be written: {error.strerror}.") from error


def discard(folder: Path) -> None:
    """Remove a run folder in which nothing ran; one that holds anything else stays."""
    with contextlib.suppress(OSError):
        (folder / DESCRIPTION).unlink()
        folder.rmdir()


def starts(folder: Path) -> list[Path]:
    """The run folders in a service's folder, in order of time; [] where it is none."""
    try:
        names = [found for name in os.listdir(folder) if (found := _START_NAME.fullmatch(name))]
    except OSError:
        return []
    ordered = sorted(names, key=lambda found: (found[1], int(found[2] or 1)))
    return [folder / found[0] for found in ordered if (folder / found[0] / DESCRIPTION).is_file()]


def newest(path: Path) -> Path:
    """The run folder that is meant: `path` itself, or of a service's folder the newest start."""
    if (path / DESCRIPTION).exists():
        return path
    return next(reversed(starts(path)), path)


def read_run(path: Path | str) -> RunFolder:
    """What is there of a run, also while it goes on or after it was killed; of a service's folder its newest start.

    Raises:
        RunError: there is no such folder, it is no run folder, a newer leakhunt wrote it, or it may not be read.
    """
    folder = newest(Path(path))
    names = _names(folder)
    info = _description(folder)
    shows_values = info.get("options", {}).get("values") is True
    processes = [_process(folder / name, shows_values) for name in names if _PROCESS_NAME.fullmatch(name)]
    marks = [(int(found[1]), found[2], folder / name) for name in names if (found := _MARK_NAME.fullmatch(name))]
    processes = _marked(processes, marks)
    outside = {int(found[1]): int(found[2]) for name in names if (found := _HOST_PID_NAME.fullmatch(name))}
    processes = [replace(one, pid=outside.get(one.pid, one.pid)) for one in processes]
    if DESCRIPTION not in names and not processes:
        raise RunError(
            f"{folder} is not a run folder: it holds no {DESCRIPTION} and no process.",
            "Give the directory that `leakhunt run` named when it ended, or was told with --out.",
        )
    if not shows_values and "command" in info:  # it may be of before commands were masked when they were written
        info["command"] = masked(info["command"])
    if info.get("schema", SCHEMA) != SCHEMA:
        writer = f"leakhunt {info.get('leakhunt')}"
        raise RunError(f"{folder} was written by {writer}, in another format.", "Read it with that one.")
    processes.sort(key=lambda process: (process.started, process.path.name))
    return RunFolder(folder, info, tuple(processes), _packages(folder))


def _fresh(first: Path) -> Path:
    """Make a folder of this name, or with the first free number behind it."""
    others = (first.with_name(f"{first.name}-{number}") for number in itertools.count(2))
    return next(folder for folder in itertools.chain([first], others) if _make(folder))


def _filled_in(path: Path) -> Path:
    """The path with %t, %p and %% replaced."""
    texts = {"t": time.strftime(TIME_FORMAT), "p": str(os.getpid()), "%": "%"}
    return Path(_PLACEHOLDER.sub(lambda found: texts[found[1]], str(path)))


def _claim(folder: Path) -> Path:
    """The folder a person named: made if missing, refused if it holds a run."""
    if _make(folder):
        return folder
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file, and --out wants a directory.")
    if any(name == DESCRIPTION or _PROCESS_NAME.fullmatch(name) for name in _names(folder)):
        raise UsageError(
            f"{folder} already holds a run.",
            f"Choose another --out (with %t in it each start gets a folder of its own), or look at this one with "
            f"`leakhunt report {folder}`.",
        )
    return folder


def _make(folder: Path) -> bool:
    """Make the folder and what it is in; False when something is there already."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
    except OSError as error:
        if isinstance(error, FileExistsError) and folder.parent.is_dir():
            return False
        raise RunError(
            f"The run folder {folder} cannot be made: {error.strerror}.", "Choose another place with --out DIR."
        ) from error
    return True


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        raise RunError(f"There is no run folder {folder}.", "`leakhunt run` names it when it ends.") from None
    except NotADirectoryError:
        raise RunError(f"{folder} is a file, not a run folder.", "Give the directory that it is in.") from None
    except OSError as error:
        raise RunError(f"The run folder {folder} cannot be read: {error.strerror}.") from error


def _description(folder: Path) -> dict[str, Any]:
    """What `run.json` says in the form in which it was written; nothing when it is missing, cut or foreign.

    Like a snapshot (`contract.py`) it is checked here, and nowhere after.
    """
    try:
        info = json.loads(read_regular(folder / DESCRIPTION, _DESCRIPTION_BYTES_MAX))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(info, dict):
        return {}
    return {key: value for key, value in info.items() if key not in _FORMS or _FORMS[key](value)}


def note_packages(folder: Path, packages: Sequence[tuple[str, str, str]]) -> None:
    """Keep which distributions the program could import as it ran; never raises."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder / PACKAGES, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(list(packages), file)


def _packages(folder: Path) -> tuple[tuple[str, str, str], ...] | None:
    try:
        found = json.loads(read_regular(folder / PACKAGES, _TEXT_BYTES_MAX))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, list):
        return None
    return tuple((one[0], one[1], one[2]) for one in found if _is_list_of_texts(one) and len(one) == 3)


def _process(folder: Path, shows_values: bool) -> ProcessFolder:
    match = _PROCESS_NAME.fullmatch(folder.name)
    assert match is not None
    try:
        names = os.listdir(folder)
    except OSError as error:
        return ProcessFolder(folder, int(match[1]), problems=f"its folder cannot be read: {error.strerror}")
    info = schema.values_of(_bytes(folder / "process"))
    if not shows_values and "command" in info:
        info["command"] = masked_line(info["command"])
    numbered = sorted((int(found[1]), name) for name in names if (found := _SNAPSHOT_NAME.fullmatch(name)))
    answers = sorted((int(found[1]), name) for name in names if (found := _BIRTHS_NAME.fullmatch(name)))
    return ProcessFolder(
        path=folder,
        pid=int(match[1]),
        info=info,
        snapshots=tuple(folder / name for _, name in numbered),
        problems=_bytes(folder / "problems").decode("utf-8", "replace").strip(" \0\n"),
        births=tuple(folder / name for _, name in answers),
    )


def _marked(processes: list[ProcessFolder], marks: list[tuple[int, str, Path]]) -> list[ProcessFolder]:
    """The processes with what (pid, text, path) say of them; one that left nothing else is there by its mark."""
    newest = {process.pid: process for process in sorted(processes, key=lambda process: process.started)}
    added = {}
    for pid, text, path in marks:
        process = newest.get(pid)
        if process is None:
            newest[pid] = added[pid] = ProcessFolder(path, pid, problems=text)
        elif text not in process.problems:
            changed = replace(process, problems="; ".join(filter(None, [process.problems, text])))
            newest[pid] = changed
            if pid in added:
                added[pid] = changed
            else:
                processes = [changed if one is process else one for one in processes]
    return [*processes, *added.values()]


def _bytes(path: Path) -> bytes:
    try:
        return read_regular(path, _TEXT_BYTES_MAX)
    except OSError:
        return b""
