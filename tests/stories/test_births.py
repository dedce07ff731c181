"""`leakhunt run` from the beginning to the end: the report names who makes and who keeps, and `never` means never."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.target import interpreters

pytestmark = [pytest.mark.hostile, pytest.mark.story]

PROGRAM = """
import os, time
class Session:
    def __init__(self, n):
        self.n = n
class Bus:
    def __init__(self):
        self.handlers = []
    def subscribe(self, session):
        self.handlers.append(session)
def open_session(n):
    return Session(n)
bus = Bus()
until = time.monotonic() + 120
n = 0
while time.monotonic() < until:
    for _ in range(10):
        n += 1
        bus.subscribe(open_session(n))
    time.sleep(0.1)
    if len([name for name in os.listdir(os.environ["FOLDER"]) if name.endswith(".births")]) if FOLDER() else 0:
        break
for _ in range(40):
    for _ in range(10):
        n += 1
        bus.subscribe(open_session(n))
    time.sleep(0.1)
"""
# It goes on until the agent has answered, and for a while more, however busy the machine is.
FOLDER = """
import glob, os
def FOLDER():
    found = glob.glob(os.environ["LEAKHUNT_RUN"] + "/pid-%d.*" % os.getpid())
    os.environ["FOLDER"] = found[0] if found else "/"
    return found
"""


def run(folder: Path, python: str, *options: str) -> dict[str, object]:
    program = folder / "shop.py"
    program.write_text(FOLDER + PROGRAM)
    leakhunt = [sys.executable, "-m", "leakhunt"]
    command = [*leakhunt, "run", "--interval", "0.3", "--out", "run", *options, "--", python, str(program)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, timeout=300)
    assert done.returncode == 0, done.stderr
    shown = subprocess.run(
        [*leakhunt, "report", "run", "--format", "json"], check=True, capture_output=True, text=True, cwd=folder
    )
    report: dict[str, object] = json.loads(shown.stdout)
    return {"text": done.stderr, **report}


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_report_names_the_line_that_makes_and_the_line_that_keeps(version: str, tmp_path: Path) -> None:
    python = interpreters().get(version)
    if python is None:
        pytest.skip(f"no python{version} here")
    report = run(tmp_path, python)
    [finding] = report["findings"]  # type: ignore[misc]
    assert finding["type"] == "__main__.Session"
    made, added = finding["allocated_at"], finding["added_at"]
    assert (made["function"], made["source"]) == ("open_session", "return Session(n)")
    assert made["share"] == 1.0
    assert "made at" in str(report["text"])
    if version == "3.11":
        assert added is None
        assert "before Python 3.12" in finding["unseen"][0]
    else:
        assert (added["function"], added["source"]) == ("Bus.subscribe", "self.handlers.append(session)")


def test_never_asks_nobody(tmp_path: Path) -> None:
    program = "import time\nkept = []\nfor n in range(30):\n    kept.append([n])\n    time.sleep(0.1)\n"
    (tmp_path / "app.py").write_text(program)
    command = [sys.executable, "-m", "leakhunt", "run", "-q", "--births", "never", "--interval", "0.2", "--out", "run"]
    subprocess.run([*command, "--", sys.executable, "app.py"], check=True, cwd=tmp_path, timeout=200)
    assert not list((tmp_path / "run").glob("pid-*/*.births*"))


@pytest.mark.parametrize("value", ["sometimes", "0", "-3", "nan", ""])
def test_a_wrong_value_is_refused_in_a_sentence(value: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "leakhunt", "run", "--births", value, "--", "true"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "is not auto, never or a number of seconds" in done.stderr
    assert "Traceback" not in done.stderr
