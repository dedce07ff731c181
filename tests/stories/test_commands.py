"""All commands on one real run, from launch to picture; and what they say of runs and snapshots that are not whole."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from shared import made_once

from .watching import APPS, LEAKHUNT, Accusation, concluded, expected, leakhunt, report, watched

APP = APPS / "session_registry.py"
SESSION = "__main__.Session"

pytestmark = pytest.mark.story


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the leaking session registry, every snapshot of it deep."""

    def make(folder: Path) -> None:
        folder.mkdir()
        made, _, done = concluded(APP, folder / "run", "--deep", "every", "--budget", "1")
        assert done.stdout.startswith("visits: ")
        assert "__main__.SessionRegistry.sessions" in done.stderr
        if made != folder / "run":
            shutil.rmtree(folder / "run")
            made.rename(folder / "run")

    return made_once(tmp_path_factory, "story", make) / "run"


@pytest.fixture(scope="module")
def snapshots(run: Path) -> list[Path]:
    found = sorted(run.glob("pid-*/*.leak"))
    assert len(found) > 5
    return found


def refusal(done: subprocess.CompletedProcess[str], status: int) -> str:
    """The one sentence on stderr of a command that refused."""
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert done.stderr.startswith("leakhunt: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_the_report_names_class_holder_and_line(run: Path) -> None:
    done = leakhunt("report", run)
    line = next(n for n, text in enumerate(APP.read_text().splitlines(), 1) if "self.sessions = {}" in text)
    assert SESSION in done.stdout
    assert f"session_registry.py:{line}" in done.stdout
    assert "leakhunt backrefs" in done.stdout or "leakhunt chains" in done.stdout  # the next command to type
    assert len(done.stdout.splitlines()) <= 40


def test_fail_on_leak_tells_a_script(run: Path) -> None:
    assert leakhunt("report", "--fail-on-leak", run).returncode == 1


def test_diff_counts_what_was_born_and_stayed(snapshots: list[Path]) -> None:
    done = leakhunt("diff", "--format", "json", snapshots[1], snapshots[2], snapshots[3])
    row = next(row for row in json.loads(done.stdout)["rows"] if row["type"] == SESSION)
    assert row["after"] - row["before"] == row["births"] > 0
    assert row["deaths"] == 0
    assert 0 < row["alive_from_middle"] < row["births"]


def test_chains_lead_from_a_root_to_the_class(snapshots: list[Path]) -> None:
    done = leakhunt("chains", snapshots[-2], "--type", SESSION)
    assert done.returncode == 0, done.stderr
    assert "sessions" in done.stdout
    assert SESSION in done.stdout


def test_with_values_a_chain_names_the_key(tmp_path: Path) -> None:
    code = "import time; kept = {}\nclass Order: pass\nkept['order 17'] = Order()\ntime.sleep(0.5)"
    for option, label in (("--values", "['order 17']"), ("--no-attach", "[*]")):
        folder = tmp_path / option
        leakhunt("run", "-q", "--interval", "0.2", "--out", folder, option, "--", sys.executable, "-c", code)
        assert f"{label}  __main__.Order" in leakhunt("chains", folder, "--type", "__main__.Order").stdout


@pytest.mark.parametrize("suffix, begin", [("svg", b"<svg"), ("png", b"\x89PNG"), ("dot", b"digraph"), ("html", b"<!")])
def test_backrefs_are_drawn_without_a_dot_program(suffix: str, begin: bytes, run: Path, tmp_path: Path) -> None:
    picture = tmp_path / f"graph.{suffix}"
    done = leakhunt("backrefs", run, "--type", SESSION, "-o", picture, PATH=os.path.dirname(sys.executable))
    assert done.returncode == 0, done.stderr
    assert begin in picture.read_bytes()[:200]


def test_growth_is_plotted(run: Path, tmp_path: Path) -> None:
    done = leakhunt("plot", run, "-o", tmp_path / "growth.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_killed_with_its_leakhunt_is_still_reported(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [*LEAKHUNT, "run", "--interval", "0.3", "--out", str(folder), "--", sys.executable, str(APP)]
    environment = {**os.environ, "ROUNDS": "400", "PAUSE_SECONDS": "0.1"}
    running = subprocess.Popen(command, start_new_session=True, env=environment, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while len(list(folder.glob("pid-*/*.leak"))) < 20 and time.monotonic() < until:
            time.sleep(0.1)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    assert [Accusation.of(finding) for finding in report(folder).findings] == expected(APP)


def test_a_snapshot_cut_short_is_left_out_and_named(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    cut = sorted(copy.glob("pid-*/*.leak"))[3]
    cut.write_bytes(cut.read_bytes()[:-100])
    found = report(copy)
    assert [Accusation.of(finding) for finding in found.findings] == expected(APP)
    assert any(cut.name in note and "cut short" in note for note in found.processes[0].notes)
    assert "cut short" in refusal(leakhunt("chains", cut, "--type", SESSION), 3)


def test_what_is_no_snapshot_or_a_newer_one_is_refused(snapshots: list[Path], tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.leak"
    foreign.write_text("not a snapshot")
    assert "not a leakhunt snapshot" in refusal(leakhunt("diff", snapshots[0], foreign), 3)
    newer = tmp_path / "newer.leak"
    data = bytearray(snapshots[0].read_bytes())
    data[-12:-8] = (99).to_bytes(4, "little")  # the format's version, before the magic at the end
    newer.write_bytes(data)
    assert "newer leakhunt" in refusal(leakhunt("diff", snapshots[0], newer), 3)
    assert "There is no file" in refusal(leakhunt("diff", snapshots[0], tmp_path / "missing.leak"), 3)


def test_snapshots_of_two_processes_are_not_compared(snapshots: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "run"
    watched(APP, other, "-q", ROUNDS="8")
    theirs = sorted(other.glob("pid-*/*.leak"))[0]
    assert "different processes" in refusal(leakhunt("diff", snapshots[0], theirs), 2)


def test_a_class_that_is_not_there_brings_near_matches(run: Path) -> None:
    assert SESSION in refusal(leakhunt("chains", run, "--type", "__main__.Sesion"), 2)
    assert SESSION in refusal(leakhunt("backrefs", run, "--type", "session", "-o", os.devnull + ".svg"), 2)
