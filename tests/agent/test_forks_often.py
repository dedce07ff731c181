"""A program that forks faster than a graph is taken is seen all the same."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leakhunt.retention import is_deep

PROGRAM = """
import os, time
kept = []
while True:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    kept.append(object())
    time.sleep(0.01)
"""


@pytest.mark.skipif(importlib.util.find_spec("leakhunt.agent._walk") is None, reason="no C engine here")
def test_a_program_that_forks_all_the_time_has_graphs(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "leakhunt",
        "run",
        "-q",
        "--interval",
        "0.1",
        "--budget",
        "0.5",
    ]
    process = subprocess.Popen([*command, "--out", str(run), "--", sys.executable, "-c", PROGRAM])
    try:
        deadline = time.monotonic() + 120
        while sum(is_deep(path) for path in run.glob("pid-*/*.leak")) < 3:
            assert time.monotonic() < deadline, "no graph"
            time.sleep(0.2)
    finally:
        process.terminate()
        process.wait()
