"""Whoever stops a service waits for its end: no graph is taken then, where one is when the program ends by itself."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leakhunt.retention import is_deep

PROGRAM = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
kept = [object() for _ in range(1000)]
open("ready", "w").close()
until = time.monotonic() + float(sys.argv[1])
while time.monotonic() < until: time.sleep(0.05)
"""
WORKER = """
import os, time
kept = [object() for _ in range(1000)]
if os.fork() == 0:
    time.sleep(1.5)
    raise SystemExit
os.wait()
"""


def at_exit(run: Path) -> list[bool]:
    """Whether the last snapshot of each process has the graph, the first process first."""
    folders = sorted(run.glob("pid-*"), key=lambda folder: int(folder.name[4:].partition(".")[0]))
    return [is_deep(max(folder.glob("*.leak"))) for folder in folders]


def start(folder: Path, program: str, *arguments: str) -> subprocess.Popen[bytes]:
    (folder / "app.py").write_text(program)
    command = [sys.executable, "-m", "leakhunt", "run", "-q", "--interval", "30", "--out", "run", "--"]
    return subprocess.Popen([*command, sys.executable, "app.py", *arguments], cwd=folder)


@pytest.mark.story
def test_a_program_that_ends_by_itself_has_a_graph_at_its_exit(tmp_path: Path) -> None:
    assert start(tmp_path, PROGRAM, "1").wait(60) == 0
    assert at_exit(tmp_path / "run") == [True]


@pytest.mark.story
def test_one_that_was_told_to_end_has_none(tmp_path: Path) -> None:
    process = start(tmp_path, PROGRAM, "600")
    deadline = time.monotonic() + 60
    while not (tmp_path / "ready").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1.0)  # one that ends in its first moments is not looked at
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert at_exit(tmp_path / "run") == [False]


@pytest.mark.story
def test_a_worker_without_a_graph_takes_none_at_its_end(tmp_path: Path) -> None:
    assert start(tmp_path, WORKER).wait(60) == 0
    assert at_exit(tmp_path / "run") == [True, False]
