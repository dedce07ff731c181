"""An environment for each release that is tried: the program's own again, with one package in another release."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leakhunt.errors import LeakhuntError
from leakhunt.interpreters import Interpreter, last_line, normalized, run_quietly

READY = ".leakhunt-ready"
ROUNDS_MAX = 6  # in which packages that forbid the release are moved too
NOT_PINNED = {"pip"}


class CannotInstall(LeakhuntError):
    """A release can't be had here; the message is what the installer said."""


@dataclass(frozen=True)
class Made:
    """An environment: its interpreter, and what else is in another version than in the program's own (old, new)."""

    python: Path
    moved: Mapping[str, tuple[str, str]]


class Environments:
    """Makes environments below a folder, by uv where it is installed and by venv and pip elsewhere."""

    def __init__(self, folder: Path, own: Interpreter, package: str, uses_uv: bool = True) -> None:
        self._folder, self._own, self._package = folder, own, normalized(package)
        self._uv = find_uv() if uses_uv else None
        self._is_layered = False
        self._broken = frozenset(_complaints(_distributions(own.folders), own.markers))

    def made(self, version: str) -> Made:
        """The environment with this release, made now unless it is there.

        Raises:
            CannotInstall: the release can't be installed.
            LeakhuntError: no environment can be made at all.
        """
        place = self._folder / version
        python = place / "bin" / "python"
        if not self.is_made(version):
            shutil.rmtree(place, ignore_errors=True)
            self._make(place, version)
            (place / READY).touch()
        return Made(python, self._moved(place))

    def is_made(self, version: str) -> bool:
        return (self._folder / version / READY).exists()

    def _make(self, place: Path, version: str) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        if not self._is_layered:
            self._is_layered = not self._copied(place)
        if self._is_layered:
            self._lay_over(place)
        self._install_release(place, version)

    def _copied(self, place: Path) -> bool:
        """Make an environment with the same packages; False where the index has not all of them."""
        self._new(place, with_pip=self._uv is None)
        lines = [one.requirement for name, one in self._own.installed.items() if name not in self._left_out]
        if not lines:
            return True
        pins = place / "pins.txt"
        pins.write_text("\n".join(lines) + "\n")
        return not self._install(place, ["--no-deps", "-r", str(pins)])

    def _lay_over(self, place: Path) -> None:
        """Make an environment that finds the packages of the program's own where they are, behind those of its own."""
        shutil.rmtree(place, ignore_errors=True)
        self._uv = None  # it does not see what lies behind
        self._new(place, with_pip=True)
        lines = [f"import site; site.addsitedir({folder!r})" for folder in self._own.folders]
        for folder in _packages(place):
            (folder / "_leakhunt_own.pth").write_text("\n".join(lines) + "\n")

    def _install_release(self, place: Path, version: str) -> None:
        """The release, then whatever else its requirements or those of others on it ask to be moved."""
        wanted = [f"{self._package}=={version}"]
        if problem := self._install(place, wanted):
            raise CannotInstall(problem)
        for _ in range(ROUNDS_MAX):
            complaints = _complaints(self._present(place), self._own.markers)
            objecting = {name for name, _ in complaints - self._broken} - {self._package}
            if not (more := sorted(objecting - set(wanted))):
                return
            wanted += more
            if problem := self._install(place, ["--upgrade", *wanted]):
                raise CannotInstall(f"with it, {', '.join(more)} would have to change: {problem}")

    def _new(self, place: Path, with_pip: bool) -> None:
        shutil.rmtree(place, ignore_errors=True)
        if self._uv and not with_pip:
            done = run_quietly([self._uv, "venv", "-q", "--python", self._own.base, str(place)])
        else:
            done = run_quietly([self._own.base, "-m", "venv", str(place)])
        if done.returncode:
            raise LeakhuntError(
                f"No environment can be made of {self._own.base}: {last_line(done.stderr or done.stdout)}.",
                "Install uv (pip install uv), or the system's python3-venv.",
            )

    def _install(self, place: Path, arguments: Sequence[str]) -> str:
        """What the installer complains of; "" when it has done its work.

        What uv can't find is asked of pip, too: it has the index and the mirrors that pip's own configuration names.
        """
        python = str(place / "bin" / "python")
        said = ""
        if self._uv:
            done = run_quietly([self._uv, "pip", "install", "-q", "--python", python, *arguments])
            if not done.returncode:
                return ""
            said = _uv_says(done.stderr)
            if not (place / "bin" / "pip").exists():
                run_quietly([python, "-m", "ensurepip"])
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q", *arguments]
        done = run_quietly(pip)
        return (last_line(done.stderr) or said or "the installer failed") if done.returncode else ""

    @property
    def _left_out(self) -> set[str]:
        return {self._package, *NOT_PINNED}

    def _present(self, place: Path) -> dict[str, importlib.metadata.Distribution]:
        folders = [str(folder) for folder in _packages(place)]
        return _distributions([*folders, *(self._own.folders if self._is_layered else ())])

    def _moved(self, place: Path) -> dict[str, tuple[str, str]]:
        present = {name: one.version for name, one in self._present(place).items()}
        return {
            name: (one.version, present[name])
            for name, one in self._own.installed.items()
            if name in present and present[name] != one.version and name not in self._left_out
        }


def find_uv() -> str | None:
    """The uv on the PATH, or the one that is installed beside leakhunt."""
    found = shutil.which("uv")
    if found is None:
        try:
            return str(importlib.import_module("uv").find_uv_bin())
        except (ImportError, OSError):
            return None
    return found


def in_environment(command: Sequence[str], own: Interpreter, python: Path) -> tuple[list[str], dict[str, str]]:
    """The command as it is typed, for another environment, and the environment variables that make it so."""
    words = list(command)
    program = os.path.abspath(shutil.which(words[0]) or words[0])
    beside = python.parent / Path(program).name
    if program == own.path or Path(program).name.startswith("python"):
        words[0] = str(python)
    elif beside.exists():
        words[0] = str(beside)
    variables = {**os.environ, "VIRTUAL_ENV": str(python.parent.parent)}
    variables["PATH"] = f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    variables.pop("PYTHONHOME", None)
    return words, variables


def _packages(place: Path) -> Iterator[Path]:
    yield from sorted(place.glob("lib/python*/site-packages"))


def _distributions(folders: Sequence[str]) -> dict[str, importlib.metadata.Distribution]:
    """What is installed in folders; the first of two with the same name is the one that counts."""
    found: dict[str, importlib.metadata.Distribution] = {}
    for one in importlib.metadata.distributions(path=list(folders)):
        name = one.metadata["Name"]
        if name:
            found.setdefault(normalized(name), one)
    return found


def _complaints(
    present: Mapping[str, importlib.metadata.Distribution], markers: Mapping[str, str]
) -> set[tuple[str, str]]:
    """(distribution, requirement) for each requirement on something installed that is in another version."""
    from packaging.requirements import InvalidRequirement, Requirement

    found = set()
    for name, one in present.items():
        for text in one.requires or ():
            try:
                needs = Requirement(text)
            except InvalidRequirement:
                continue
            other = present.get(normalized(needs.name))
            if other is None or (needs.marker and not needs.marker.evaluate({**markers, "extra": ""})):
                continue
            if not needs.specifier.contains(other.version, prereleases=True):
                found.add((name, text))
    return found


def _uv_says(text: str) -> str:
    """uv explains over several lines: all of it as one sentence."""
    lines = [line.strip(" ×╰─▶│") for line in text.splitlines()]
    told = " ".join(line for line in lines if line and not line.lower().startswith(("hint", "warning")))
    return told.rstrip(".")[:300]
