"""One case of LeakBench under one tool, or under none: what the tool listed, and what it cost."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

INSIDE = Path(__file__).parent / "inside"
PACKAGES = {"objgraph": "objgraph", "guppy3": "guppy3", "pympler": "Pympler"}  # tracemalloc comes with Python
TIMEOUT_SECONDS = 240
# The shell's `times` counts the processor time of the program and its children, and nothing of who started the shell.
METERED = ["sh", "-c", '"$@"; status=$?; times > "$0"; exit $status']

Result = dict[str, Any]


class LookError(Exception):
    """The tool could not look at the program."""


@dataclass(frozen=True)
class Bench:
    """LeakBench's own module, the command under test, and where environments and packages are kept."""

    leakbench: ModuleType
    leakhunt: list[str]
    cache: Path

    @classmethod
    def of(cls, folder: Path, leakhunt: list[str], cache: Path) -> Bench:
        spec = importlib.util.spec_from_file_location("leakbench", folder / "leakbench.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return cls(module, leakhunt, cache)

    def program(self, case: Path, truth: dict[str, Any]) -> str:
        """Python of the case's environment, as LeakBench makes it."""
        with self.leakbench.BUILDING:
            return str(self.leakbench.environment(case, truth, "leaky", self.cache / "leakbench"))

    def versions(self) -> str:
        """Of the tools in the cache, over all versions of Python: `Pympler 1.1, guppy3 3.1.5 or 3.1.7, …`."""
        found: dict[str, set[str]] = {}
        for path in (self.cache / "leakhunt-against-others").glob("*/*.dist-info"):
            name, _, version = path.name.removesuffix(".dist-info").partition("-")
            if name in PACKAGES.values():
                found.setdefault(name, set()).add(version)
        return ", ".join(f"{name} {' or '.join(sorted(of))}" for name, of in sorted(found.items()))

    def packages(self, tool: str, version: str) -> Path:
        """A folder with the tool for this version of Python, outside of the case's environment."""
        folder = self.cache / "leakhunt-against-others" / f"{tool}-{version}"
        with self.leakbench.BUILDING:
            if tool in PACKAGES and not folder.exists():
                _install(self.leakbench.interpreter(version), PACKAGES[tool], folder)
        return folder


def _install(python: str, package: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        command = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", scratch, package]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LookError(f"could not be installed: {_last_line(done.stderr)}")
        shutil.copytree(scratch, folder)


def run(bench: Bench, tool: str, case: Path, truth: dict[str, Any]) -> Result:
    """Run the case; `tool` is "alone", "leakhunt" or one of `looks.LOOKS`. What fails is told as `error`."""
    try:
        python = bench.program(case, truth)
        with tempfile.TemporaryDirectory(prefix="against-") as scratch:
            work, folder = Path(scratch) / case.name, Path(scratch) / "found"
            bench.leakbench.build(case, work, python)
            folder.mkdir()
            program = [*METERED, str(Path(scratch) / "times"), python, "app.py"]
            if tool == "leakhunt":
                result = _under_leakhunt(bench, program, work, folder)
            else:
                result = _under_look(bench, tool, program, work, folder, bench.leakbench.version_for(case, truth))
            afterwards = sum(look.get("listing_cpu_seconds", 0.0) for look in result.get("looks", []))
            return {**result, "cpu_seconds": round(_cpu_seconds(Path(scratch) / "times") - afterwards, 3)}
    except (LookError, subprocess.SubprocessError, RuntimeError, OSError, ValueError) as problem:
        return {"error": str(problem)[-300:]}


def _environment(bench: Bench) -> dict[str, str]:
    pace = {"LEAK_ROUNDS": bench.leakbench.ROUNDS, "LEAK_SLEEP": bench.leakbench.SLEEP}
    return {**os.environ, **pace, "PYTHONUNBUFFERED": "1"}


def _under_leakhunt(bench: Bench, program: list[str], work: Path, folder: Path) -> Result:
    run_folder = folder / "run"
    options = ["run", "--interval", bench.leakbench.INTERVAL, "--out", str(run_folder), "--"]
    command = [*bench.leakhunt, *options, *program]
    done = _heard(command, cwd=work, env=_environment(bench))
    report = _heard([*bench.leakhunt, "report", str(run_folder), "--format", "json"])
    try:
        findings = json.loads(report.stdout)["findings"]
    except (ValueError, KeyError):
        raise LookError(_last_line(report.stderr or done.stderr)) from None
    return {"status": done.returncode, "findings": findings, "stops": [max(_stops(run_folder), default=0.0)]}


def _heard(command: list[str], **where: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False, **where)


def _stops(run_folder: Path) -> Iterator[float]:
    """For how long each snapshot kept the GIL at a stretch, in seconds, as the agent notes it."""
    from leakhunt.runfolder import read_run
    from leakhunt.snapshot import Snapshot

    for process in read_run(run_folder).processes:
        for path in process.snapshots:
            yield Snapshot.load(path).number("pause_ms") / 1e3


def _under_look(bench: Bench, tool: str, program: list[str], work: Path, folder: Path, version: str) -> Result:
    environment = _environment(bench)
    if tool != "alone":
        environment |= {
            "PYTHONPATH": str(INSIDE), "PYTHONDONTWRITEBYTECODE": "1", "AGAINST_TOOL": tool,
            "AGAINST_FOLDER": str(folder), "AGAINST_PACKAGES": str(bench.packages(tool, version)),
        }  # fmt: skip
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            program, cwd=work, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        )
        end = threading.Timer(TIMEOUT_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
        end.start()
        _tell_rounds(process, folder, int(bench.leakbench.ROUNDS))
        status = process.wait()
        end.cancel()
        errors.seek(0)
        said = errors.read()
    if tool == "alone":
        return {"status": status}
    looks = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    if all("error" in look and not look["tables"] for look in looks):
        problem = looks[0]["error"] if looks else f"status {status}: {_last_line(said)}"
        raise LookError(problem)
    return {"status": status, "looks": [_without_folders(look, work) for look in looks]}


def _tell_rounds(process: subprocess.Popen[str], folder: Path, rounds: int) -> None:
    """Read what the program prints, and have the tool look after a third of its rounds and near their end."""
    moments = {f"round {rounds // 3}": "first", f"round {rounds - rounds // 10}": "second"}
    assert process.stdout is not None
    for line in process.stdout:
        said = " ".join(line.split()[:2])  # some tell more of a round
        if said in moments:
            (folder / moments[said]).touch()


def _without_folders(look: Result, work: Path) -> Result:
    """The look with files named from their package on, as they are called on every machine."""
    folders = rf"^(?:{re.escape(str(work))}/|.*/site-packages/|.*/lib/python3\.\d+/)"
    tables = [[re.sub(folders, "", name) for name in table] for table in look["tables"]]
    return {**look, "tables": tables}


def _cpu_seconds(times: Path) -> float:
    """User and system seconds of the children, the second line of what `times` printed."""
    children = re.findall(r"(\d+)m([\d.]+)s", times.read_text().splitlines()[1])
    return sum(int(minutes) * 60 + float(seconds) for minutes, seconds in children)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:160] if lines else "nothing was printed"
