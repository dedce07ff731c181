"""`leakhunt attach`, `snapshot` and `detach` on real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leakhunt.runfolder import read_run

LEAKHUNT = [sys.executable, "-c", "from leakhunt.cli import main; main()"]

LEAKING = """
    import time
    class Session: pass
    SESSIONS = []
    while True:
        SESSIONS.extend(Session() for _ in range(20))
        time.sleep(0.02)
"""


@pytest.fixture
def leaking() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([os.path.realpath(sys.executable), "-c", textwrap.dedent(LEAKING)]) as process:
        time.sleep(0.3)
        yield process
        process.kill()


def leakhunt(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*LEAKHUNT, *map(str, words)], capture_output=True, text=True, timeout=120, check=False)


def thread_count(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def test_attach_measures_for_a_while_reports_and_lets_go(leaking: subprocess.Popen[bytes], tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = leakhunt("attach", leaking.pid, "--duration", 6, "--interval", 0.3, "--out", run)
    assert done.returncode == 0, done.stderr
    assert f"measuring process {leaking.pid}; Ctrl-C ends it" in done.stderr
    assert "Session" in done.stderr
    found = read_run(run)
    assert found.info["command"][1:2] == ["-c"] and found.info["ended"]
    assert len(found.processes[0].snapshots) >= 4
    assert leaking.poll() is None and thread_count(leaking.pid) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_like_the_end_of_the_time(
    leaking: subprocess.Popen[bytes], tmp_path: Path, number: signal.Signals
) -> None:
    command = [*LEAKHUNT, "attach", str(leaking.pid), "--interval", "0.3", "--out", str(tmp_path / "run")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and len(list(tmp_path.glob("run/pid-*/*.leak"))) < 6:
            time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert thread_count(leaking.pid) == 1
    assert "report" in said


def test_attach_ends_when_the_program_does(leaking: subprocess.Popen[bytes], tmp_path: Path) -> None:
    command = [*LEAKHUNT, "attach", str(leaking.pid), "--interval", "0.2", "--out", str(tmp_path / "run")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        time.sleep(2)
        leaking.kill()
        assert process.wait(60) == 0
    assert read_run(tmp_path / "run").processes[0].snapshots


def test_a_refusal_is_one_sentence_and_leaves_no_run_folder(tmp_path: Path) -> None:
    done = leakhunt("attach", os.getpid(), "--out", tmp_path / "run", "--method", "pep768")
    assert done.returncode == 3
    assert done.stderr.startswith("leakhunt: Only Python 3.14 and newer") or sys.version_info >= (3, 14)
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
    gone = leakhunt("attach", 2**22 - 7, "--out", tmp_path / "run")
    assert gone.returncode == 3 and "There is no process" in gone.stderr


def test_a_snapshot_is_one_deep_file(leaking: subprocess.Popen[bytes], tmp_path: Path) -> None:
    from leakhunt import load

    done = leakhunt("snapshot", leaking.pid, "-o", tmp_path / "s.leak", "-v")
    assert done.returncode == 0, done.stderr
    assert re.search(r"s.leak: [\d,]+ bytes \(by ptrace, one thread stood still for [\d.]+ ms\)", done.stderr)
    assert os.listdir(tmp_path) == ["s.leak"]
    assert (tmp_path / "s.leak").stat().st_mode & 0o077 == 0
    assert load(tmp_path / "s.leak") is not None
    assert thread_count(leaking.pid) == 1


def test_two_snapshots_taken_by_hand_show_nothing_of_the_agent(
    tmp_path: Path,
) -> None:
    from leakhunt.pipeline import diff

    idle = "import gc, time; gc.collect(); kept = []\nwhile True: time.sleep(0.02); kept.append({1})"
    taken = [tmp_path / "1.leak", tmp_path / "2.leak", tmp_path / "3.leak"]
    with subprocess.Popen([os.path.realpath(sys.executable), "-c", idle], stdout=subprocess.PIPE) as process:
        time.sleep(0.3)
        for path in taken:
            assert leakhunt("snapshot", process.pid, "-o", path).returncode == 0
        process.kill()
    found = diff(taken[1:])  # the first one brings modules of the standard library
    assert found.seconds > 0.05
    grown = {row.type: row.after - row.before for row in found.rows}
    assert grown.pop("builtins.set") > 0
    grown.pop("builtins.int", 0)  # counters of the collector and of times
    assert sum(max(0, more) for more in grown.values()) < 20, grown


def test_detach_ends_what_an_attach_left_when_it_was_killed(leaking: subprocess.Popen[bytes], tmp_path: Path) -> None:
    command = [*LEAKHUNT, "attach", str(leaking.pid), "--interval", "0.2", "--out", str(tmp_path / "run")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while not list(tmp_path.glob("run/pid-*/*.leak")):
            time.sleep(0.05)
        process.kill()
    assert thread_count(leaking.pid) == 2
    done = leakhunt("detach", leaking.pid)
    assert done.returncode == 0
    assert (
        done.stderr
        == f"leakhunt: detached from process {leaking.pid}; `leakhunt report {tmp_path}/run` shows what was seen\n"
    )
    assert thread_count(leaking.pid) == 1
    assert "there is no agent" in leakhunt("detach", leaking.pid).stderr
