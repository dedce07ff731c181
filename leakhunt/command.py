"""The command to launch: which file it is, the environment that arms it, and how it takes a process over."""

from __future__ import annotations

import difflib
import errno
import os
import shutil
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from leakhunt.errors import UsageError

LAUNCH_FOLDER = Path(__file__).parent / "agent" / "launch"

# CPython ignores these in itself, and a program must not inherit that.
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


@dataclass(frozen=True)
class AgentOptions:
    """What the agent is told.

    `deep` is "auto", "never", "every" or seconds between snapshots of the whole graph; `engine` is "auto", "c" or
    "python"; `pause` is how many seconds the program may stand still for a snapshot of the whole graph; `births` is
    "auto", "never" or for how many seconds tracemalloc may run.
    """

    interval: float = 5.0
    deep: str = "auto"
    collect: str = "never"
    budget: float = 0.01
    children: bool = True
    values: bool = False
    engine: str = "auto"
    pause: float = 2.0
    fork_snapshot: bool = False
    births: str = "auto"

    def text(self) -> str:
        """As in LEAKHUNT_OPTIONS: `interval=5,deep=auto,collect=never,budget=0.01,children=1,…`."""
        return (
            f"interval={self.interval:g},deep={self.deep},collect={self.collect},budget={self.budget:g},"
            f"children={self.children:d},values={self.values:d},engine={self.engine},pause={self.pause:g},"
            f"fork={self.fork_snapshot:d},births={self.births}"
        )


def armed_environment(environment: Mapping[str, str], run_folder: Path, options: AgentOptions) -> dict[str, str]:
    """The environment in which every Python starts the agent; the user's own PYTHONPATH entries keep their order."""
    ours = str(LAUNCH_FOLDER)
    theirs = [entry for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry != ours]
    return {
        **environment,
        "PYTHONPATH": os.pathsep.join([ours, *theirs]) if any(theirs) else ours,
        "LEAKHUNT_RUN": os.path.abspath(run_folder),
        "LEAKHUNT_OPTIONS": options.text(),
    }


def find_program(name: str) -> str:
    """The file that `name` runs, as a shell would find it.

    Raises:
        UsageError: there is none, or it cannot be run; with near matches from PATH.
    """
    found = shutil.which(name)
    if found is not None:
        return found
    path = Path(name)
    if path.is_dir():
        raise UsageError(f"{name} is a directory, not a command.")
    if path.is_file() and name.endswith(".py"):
        raise UsageError(f"{name} is a Python file, not a command.", f"Type `leakhunt run -- python {name}`.")
    if "/" in name and path.exists():
        raise UsageError(f"{name} cannot be run: permission denied.", f"`chmod +x {name}` makes it a command.")
    raise UsageError(f"There is no command {name!r}.", _near_matches(path))


def _near_matches(path: Path) -> str:
    folders: Iterable[str] = os.environ.get("PATH", os.defpath).split(os.pathsep)
    if path.parent != Path("."):
        folders = [str(path.parent)]
    names = {name for folder in folders for name in _commands_in(folder)}
    near = difflib.get_close_matches(path.name, sorted(names), n=3)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return "Check the spelling, or give its path."


def _commands_in(folder: str) -> list[str]:
    try:
        with os.scandir(folder or ".") as entries:
            return [entry.name for entry in entries if os.access(entry.path, os.X_OK) and not entry.is_dir()]
    except OSError:
        return []


def become(program: str, command: Sequence[str], environment: Mapping[str, str], mask: Iterable[int]) -> NoReturn:
    """Replace this process by the program, with the signals as they were before Python touched them.

    Raises:
        OSError: the kernel refuses the file.
    """
    for number in _IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    if callable(signal.getsignal(signal.SIGINT)):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        os.execve(program, list(command), environment)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
    # A script without a #! line: sh runs it, as from execvp(3) and from a shell.
    os.execve("/bin/sh", ["sh", program, *command[1:]], environment)


def refusal(command: str, number: int | None) -> UsageError:
    """The kernel's refusal to run a file that exists, as a sentence."""
    hint = "Does the program named in its #! line exist?" if number == errno.ENOENT else ""
    return UsageError(f"{command} cannot be run: {os.strerror(number or 0)}.", hint)
