"""Run a program under the real command, and read the real report."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from leakhunt.findings import Finding, Findings

APPS = Path(__file__).parents[2] / "sample_apps"
LEAKHUNT = [sys.executable, "-m", "leakhunt"]
TIMEOUT_SECONDS = 180


class Accusation(NamedTuple):
    """What a sample app's docstring foretells: `python-leak of shop.Session held by shop.Registry.sessions`."""

    kind: str
    type: str
    owner: str | None

    @classmethod
    def of(cls, finding: Finding) -> Accusation:
        return cls(finding.kind, finding.type, finding.holder.owner if finding.holder else None)


def expected(app: Path) -> list[Accusation]:
    """The accusations that the app's docstring asks for; none for a healthy one."""
    text = app.read_text(encoding="utf-8")
    found = re.search(r"^Expected: (?:healthy|(\S+) of (\S+)(?: held by (.+))?)$", text, re.MULTILINE)
    assert found, f"{app.name} does not say what to expect"
    return [Accusation(*found.groups())] if found[1] else []


def leakhunt(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LEAKHUNT, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        env={**os.environ, **environment},
    )


def watched(app: Path, folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a sample app to its end with a snapshot every half second."""
    command: tuple[str | Path, ...] = ("run", "--interval", "0.5", "--out", folder, *options, "--", sys.executable, app)
    return leakhunt(*command, **environment)


def concluded(app: Path, folder: Path, *options: str) -> tuple[Path, Findings, subprocess.CompletedProcess[str]]:
    """A run of the app that ends in a verdict: a longer one where a busy machine let too little be seen."""
    done = watched(app, folder, *options)
    found = report(folder)
    if found.verdict == "inconclusive":
        folder = folder.with_suffix(".longer")
        done = watched(app, folder, *options, ROUNDS="160")
        found = report(folder)
    assert done.returncode == 0, done.stderr
    return folder, found, done


def report(folder: Path) -> Findings:
    """What `report --format json` says of a run."""
    done = leakhunt("report", "--format", "json", folder)
    assert done.returncode == 0, done.stderr
    return Findings.from_json(done.stdout)
