"""A program that forks away and ends: its daemon goes on being measured, and who typed the command knows where."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leakhunt.pipeline import hunt
from leakhunt.runfolder import read_run

LEAKHUNT = (sys.executable, "-m", "leakhunt")
DAEMON = """
import os, sys, time
if os.fork(): os._exit(7)
os.setsid()
if os.fork(): os._exit(0)
null = os.open(os.devnull, os.O_RDWR)
for number in range(3): os.dup2(null, number)
open("pid", "w").write(str(os.getpid()))
kept = []
class Mail: pass
while True:
    kept.append(Mail())
    time.sleep(0.01)
"""
PASSING = "import os, time\nif os.fork(): os._exit(0)\ntime.sleep(0.1)\n"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "app.py").write_text(DAEMON)
    yield tmp_path
    with contextlib.suppress(OSError, ValueError):
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def run(folder: Path, *options: str, script: str = "app.py") -> subprocess.CompletedProcess[str]:
    command = [*LEAKHUNT, "run", "--interval", "0.2", "--out", "run", *options, "--", sys.executable, script]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=60)


def until(is_true: object, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def keepers(folder: Path) -> list[str]:
    """Processes of leakhunt's own that look after the run."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{name}/cmdline").read_bytes() if name.isdecimal() else b""
            if b"leakhunt" in command and Path(os.readlink(f"/proc/{name}/cwd")) == folder:
                found.append(name)
    return found


@pytest.mark.story
def test_a_daemon_is_followed_and_the_outer_process_ends_as_the_program_did(daemon: Path) -> None:
    done = run(daemon)
    assert done.returncode == 7
    pid = int((daemon / "pid").read_text())
    assert re.search(rf"went on in the background as process.*\b{pid}\b", done.stderr), done.stderr
    assert "`leakhunt report run` shows what is seen; `leakhunt detach " in done.stderr
    until(lambda: sum(len(one.snapshots) for one in read_run(daemon / "run").processes) >= 30)
    found = hunt(daemon / "run")
    assert found.verdict == "leak"
    assert found.findings[0].type == "__main__.Mail"
    assert found.run.seconds >= 5.0
    os.kill(pid, signal.SIGKILL)
    until(lambda: not keepers(daemon))
    info = read_run(daemon / "run").info
    assert info["exit_status"] == 7
    assert info["ended"] - info["started"] >= 5.0


@pytest.mark.story
def test_detach_ends_the_watch_and_not_the_daemon(daemon: Path) -> None:
    run(daemon)
    pid = int((daemon / "pid").read_text())
    until(lambda: any(one.snapshots for one in read_run(daemon / "run").processes if one.pid == pid))
    done = subprocess.run([*LEAKHUNT, "detach", str(pid)], cwd=daemon, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    until(lambda: not keepers(daemon))
    os.kill(pid, 0)


@pytest.mark.story
def test_a_log_goes_on_with_the_daemon(daemon: Path) -> None:
    with open(daemon / "log", "wb") as log:
        command = [
            *LEAKHUNT,
            "run",
            "--interval",
            "0.2",
            "--out",
            "run",
            "--log",
            "plain",
            "--",
            sys.executable,
            "app.py",
        ]
        assert subprocess.run(command, cwd=daemon, check=False, stderr=log, timeout=60).returncode == 7
    until(lambda: "leak " in (daemon / "log").read_text(), 120)


@pytest.mark.story
def test_a_child_that_ends_a_moment_later_is_no_daemon(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PASSING)
    done = run(tmp_path)
    assert "background" not in done.stderr
    assert not keepers(tmp_path)
