"""The folder of a search: what was asked and what is known so far, so that an interrupted search goes on from it.

FOLDER/bisect.json   the question, the releases to choose from, what became of each run
FOLDER/runs/         the run folders, by release and attempt: `3.12.3-first`
FOLDER/reports/      their reports as JSON; FOLDER/logs/ what the program and the installer printed
FOLDER/environments/ the environments; removed at the end
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from leakhunt.errors import LeakhuntError, RunError, UsageError
from leakhunt.findings import Findings
from leakhunt.reports import read_report

NAME = "bisect.json"
SCHEMA = 1


@dataclass(frozen=True)
class Outcome:
    """What became of one run, whatever was looked for in it: the part that is kept.

    `problem`: "" or why there is nothing to judge ("not installable": the release, "fails": the program).
    """

    release: str
    attempt: str
    problem: str = ""
    why: str = ""
    seconds: float = 0.0
    exit_status: int = 0
    was_ended: bool = False
    interval: float = 0.0
    duration: float = 0.0
    moved: tuple[str, ...] = ()


class Kept:
    """A search folder, made or opened again; one process at a time has it.

    Raises:
        UsageError: it holds another search, or something else.
        RunError: it cannot be made, or another process works in it.
    """

    def __init__(self, folder: Path, question: Mapping[str, Any]) -> None:
        self.folder = folder.absolute()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.folder, os.O_RDONLY)
        except OSError as problem:
            raise RunError(f"{folder} cannot be made: {problem.strerror}.", "Choose another --out.") from problem
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise RunError(f"Another leakhunt searches in {folder}.", "Wait for it, or choose another --out.") from None
        try:
            self._state = self._opened(dict(question))
        except LeakhuntError:
            self.close()
            raise
        for name in ("runs", "reports", "logs"):
            (self.folder / name).mkdir(exist_ok=True)

    @classmethod
    def joined(cls, folder: Path) -> Kept:
        """The same folder in a process that works for the one that has it."""
        found = cls.__new__(cls)
        found.folder, found._lock = folder.absolute(), -1
        found.reopen()
        return found

    @property
    def releases(self) -> list[str]:
        """What there was to choose from when the search began; [] before that is known."""
        return list(self._state.get("releases", []))

    def remember_releases(self, releases: Sequence[str]) -> None:
        self._state["releases"] = list(releases)
        self._save()

    @property
    def outcomes(self) -> list[Outcome]:
        """In the order in which the runs were made."""
        return [Outcome(**{**one, "moved": tuple(one["moved"])}) for one in self._state["outcomes"]]

    def outcome(self, release: str, attempt: str) -> Outcome | None:
        return next((one for one in self.outcomes if (one.release, one.attempt) == (release, attempt)), None)

    def remember(self, outcome: Outcome, findings: Findings | None) -> None:
        """Keep what became of a run: first the report, then that it is there."""
        if findings is not None:
            self.report_path(outcome).write_text(findings.to_json(), encoding="utf-8")
        self._state["outcomes"].append(asdict(outcome))
        self._save()

    def findings(self, outcome: Outcome) -> Findings | None:
        path = self.report_path(outcome)
        return read_report(path) if path.exists() else None

    def fresh_run(self, release: str, attempt: str) -> tuple[Path, Path]:
        """Run folder and log of a run that begins; what an interrupted one left is removed."""
        run = self.run_folder(release, attempt)
        shutil.rmtree(run, ignore_errors=True)
        return run, self.folder / "logs" / f"{run.name}.txt"

    def run_folder(self, release: str, attempt: str) -> Path:
        return self.folder / "runs" / _file_name(release, attempt)

    def report_path(self, outcome: Outcome) -> Path:
        return self.folder / "reports" / f"{_file_name(outcome.release, outcome.attempt)}.json"

    def reopen(self) -> None:
        """Read again what another process of this search has kept."""
        self._state = json.loads((self.folder / NAME).read_text(encoding="utf-8"))

    def close(self) -> None:
        """Let others have it."""
        with contextlib.suppress(OSError):
            os.close(self._lock)

    def _opened(self, question: dict[str, Any]) -> dict[str, Any]:
        path = self.folder / NAME
        if not path.exists():
            if any(self.folder.iterdir()):
                raise UsageError(f"{self.folder} holds something else already.", "Choose another --out.")
            return {"schema": SCHEMA, "question": question, "releases": [], "outcomes": []}
        try:
            state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            is_same = state["schema"] == SCHEMA and state["question"] == json.loads(json.dumps(question))
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise RunError(f"{path} cannot be read.", "Choose another --out.") from problem
        if not is_same:
            raise UsageError(
                f"{self.folder} holds another search.", "Type the command with which it began, or choose another --out."
            )
        return state

    def _save(self) -> None:
        temporary = self.folder / f".{NAME}"
        temporary.write_text(json.dumps(self._state, indent=1), encoding="utf-8")
        os.replace(temporary, self.folder / NAME)


def _file_name(release: str, attempt: str) -> str:
    return f"{re.sub(r'[^A-Za-z0-9.+!-]', '_', release)}-{attempt}"
