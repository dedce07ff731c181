"""What is installed for an interpreter, and which releases of a package it could have instead."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leakhunt.command import find_program
from leakhunt.errors import LeakhuntError, UsageError

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

ASK_SECONDS = 120.0
PIPS_OWN = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_REQUIRE_VIRTUALENV"}  # of ours, and no business of another

# Runs in the interpreter that is asked, from 3.8 on.
_SNIPPET = """
import json, os, platform, sys, sysconfig
from importlib import metadata
found = {}
for one in metadata.distributions():
    try:
        name = one.metadata["Name"]
        if name and name not in found:
            found[name] = [one.version, one.read_text("direct_url.json")]
    except Exception:
        pass
print(json.dumps({
    "executable": sys.executable, "base": getattr(sys, "_base_executable", sys.executable), "prefix": sys.prefix,
    "is_environment": sys.prefix != sys.base_prefix,
    "folders": sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}), "installed": found,
    "markers": {
        "implementation_name": sys.implementation.name, "implementation_version": platform.python_version(),
        "os_name": os.name, "platform_machine": platform.machine(), "platform_release": platform.release(),
        "platform_system": platform.system(), "platform_version": platform.version(), "sys_platform": sys.platform,
        "python_full_version": platform.python_version(), "python_version": "%d.%d" % sys.version_info[:2],
        "platform_python_implementation": platform.python_implementation(),
    },
}))
"""


@dataclass(frozen=True)
class Installed:
    """A distribution: its name as it is written, its version, and where it is from if not from an index."""

    name: str
    version: str
    direct_url: Mapping[str, Any] = field(default_factory=dict)

    @property
    def requirement(self) -> str:
        """The line of a requirements file that installs the same again."""
        url = str(self.direct_url.get("url", ""))
        if not url:
            return f"{self.name}=={self.version}"
        if self.direct_url.get("dir_info", {}).get("editable"):
            return f"-e {url.removeprefix('file://')}"
        vcs = self.direct_url.get("vcs_info", {})
        return f"{self.name} @ {vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else f"{self.name} @ {url}"


@dataclass(frozen=True)
class Interpreter:
    """A Python that programs run on, and what is installed for it: distributions by their normalized names.

    `base` is the interpreter that its environment was made from, `folders` are where packages are installed.
    """

    path: str
    base: str
    prefix: str
    is_environment: bool
    folders: tuple[str, ...]
    installed: Mapping[str, Installed]
    markers: Mapping[str, str]

    @property
    def version(self) -> str:
        return self.markers.get("python_full_version", "")


def needs_packaging() -> None:
    """
    Raises:
        LeakhuntError: `packaging` is not installed; the sentence says what to type.
    """
    try:
        importlib.import_module("packaging")
    except ImportError:
        raise LeakhuntError(
            "This needs packaging, which is not installed.", "Type: pip install 'leakhunt[bisect]'"
        ) from None


def normalized(name: str) -> str:
    """The one spelling of a distribution's name (PEP 503).

    >>> normalized("Marshmallow_Dataclass")
    'marshmallow-dataclass'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def inspect(python: str) -> Interpreter:
    """Ask an interpreter what it is and has.

    Raises:
        UsageError: it is no Python 3.8 or later, or does not start.
    """
    environment = {name: value for name, value in os.environ.items() if name not in PIPS_OWN}
    try:
        done = subprocess.run(
            [python, "-c", _SNIPPET], capture_output=True, text=True, timeout=ASK_SECONDS, env=environment, check=False
        )
        told = json.loads(done.stdout.splitlines()[-1])
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as problem:
        raise UsageError(
            f"{python} did not answer as a Python does.", "Name the program's interpreter with --python PATH."
        ) from problem
    installed = {
        normalized(name): Installed(name, version, json.loads(direct) if direct else {})
        for name, (version, direct) in told["installed"].items()
    }
    return Interpreter(
        told["executable"],
        told["base"],
        told["prefix"],
        told["is_environment"],
        tuple(told["folders"]),
        installed,
        told["markers"],
    )


def interpreter_of(command: Sequence[str]) -> str:
    """Path of the Python that a command runs on: the command itself, or what the `#!` line of its script names.

    Raises:
        UsageError: there is no such command, or it is neither.
    """
    program = find_program(command[0])
    if re.fullmatch(r"(python|pypy)[\d.]*t?", Path(program).name):
        return program
    with open(program, "rb") as file:
        first = file.readline(512).decode("utf-8", "replace")
    words = shlex.split(first[2:]) if first.startswith("#!") else []
    if words and Path(words[0]).name == "env":
        words = [shutil.which(word) or "" for word in words[1:] if not word.startswith("-") and "=" not in word]
    if words and Path(words[0]).name.startswith(("python", "pypy")):
        return words[0]
    raise UsageError(
        f"{command[0]} does not say which Python runs it.",
        "Start with the interpreter (`-- python app.py`), or name it with --python PATH.",
    )


def releases(name: str, interpreter: Interpreter, specifiers: SpecifierSet | None = None) -> list[Version]:
    """The releases of a package that an interpreter can have, oldest first; pre-releases only where asked for.

    It is `pip index versions` that asks, so that the user's index, mirror and credentials are what counts.

    Raises:
        LeakhuntError: there is no pip that could be asked, or no such package.
    """
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    said = ""
    for pip in _pips(interpreter):
        done = run_quietly([*pip, "index", "versions", "--pre", name])
        found = re.search(r"^Available versions: (.+)$", done.stdout, re.MULTILINE)
        if found:
            versions = []
            for text in found[1].split(","):
                try:
                    versions.append(Version(text.strip()))
                except InvalidVersion:
                    continue
            return sorted((specifiers or SpecifierSet()).filter(versions))
        said = last_line(done.stderr) or said
    if "No matching distribution" in said:
        raise LeakhuntError(f"The package index has no {name} for Python {interpreter.version}.", "Check its spelling.")
    raise LeakhuntError(
        f"pip can't list the releases of {name}: {said or 'there is no pip'}.",
        f"Type: {interpreter.path} -m pip index versions {name}",
    )


def _pips(interpreter: Interpreter) -> Iterable[list[str]]:
    """Its own pip first: ours may be too new for it."""
    yield [interpreter.path, "-m", "pip", "--disable-pip-version-check"]
    yield [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "--python", interpreter.path]


def run_quietly(command: Sequence[str], cwd: str | Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end, in an environment without what belongs to this interpreter; what it says is kept."""
    environment = {name: value for name, value in os.environ.items() if name not in PIPS_OWN}
    return subprocess.run(
        list(command), capture_output=True, text=True, env=environment, cwd=cwd, check=False, stdin=subprocess.DEVNULL
    )


def last_line(text: str) -> str:
    """What a tool says last, without the marks and warnings around it."""
    lines = [line.strip(" ×╰─▶│") for line in text.splitlines()]
    told = [line for line in lines if line and not line.lower().startswith(("warning", "notice", "[notice", "hint"))]
    errors = [line for line in told if line.lower().startswith("error")]
    return (errors or told or [""])[-1].removeprefix("ERROR: ").removeprefix("error: ").rstrip(".")
