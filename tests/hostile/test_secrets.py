"""Seventeen kinds of secret in a program: none is found in anything that leakhunt leaves, by either way and engine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from leakhunt.runfolder import read_run

LEAKHUNT = [sys.executable, "-m", "leakhunt"]
OPTIONS = ["--interval", "0.1", "--deep", "every", "--budget", "1"]
MARKER = re.compile(rb"SECRET-?\d\d")

# Where a program keeps what nobody else may see; each leaks, so that the report speaks of its place.
PROGRAM = """
    import json, os, sys, time

    GLOBAL = "SECRET01"
    BYTES = b"SECRET02" * 100
    BY_KEY = {"SECRET03": [1] * 40}
    BY_NAME = {"password": ["SECRET04"] * 40}
    MEMBERS = {"SECRET05"} | set(range(40))

    class Customer:
        "The class says SECRET06."
        kind = "SECRET07"
        def __init__(self, number, card="SECRET08"):
            self.name, self.cards = "SECRET09", [card, number]

    def closure():
        hidden = ["SECRET10"] * 40
        return lambda: hidden

    def raised():
        try:
            raise ValueError("SECRET11")
        except ValueError as error:
            return error

    KEPT, RECORDS = [closure(), raised(), json.loads('{"card": ["SECRET12"]}')], {}
    os.environ["LATER"] = "SECRET13"
    OPENED = open(os.path.join(sys.argv[1], "SECRET14.txt"), "w")

    def main():
        local, begun = ["SECRET15"] * 40, time.time()
        while not os.path.exists(os.path.join(sys.argv[1], "enough")) and time.time() - begun < 120:
            RECORDS["SECRET16 %d" % len(RECORDS)] = Customer(len(RECORDS))
            time.sleep(0.005)

    main()
"""
ON_THE_COMMAND_LINE = [
    "--password=SECRET17", "--api-token", "SECRET17", "postgres://shop:SECRET17@db/shop", "DB_PASSWORD=SECRET17",
    "-H", "Authorization: Bearer SECRET17", "https://host/?token=SECRET17",
]  # fmt: skip
KINDS = 17


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    file = tmp_path / "app.py"
    file.write_text(textwrap.dedent(PROGRAM))
    return [sys.executable, str(file), str(tmp_path), *ON_THE_COMMAND_LINE]


def measured(mode: str, engine: str, program: list[str], place: Path, *more: str) -> tuple[Path, bytes]:
    """The run folder, and what was said meanwhile."""
    out = place / "run"
    told = [*OPTIONS, "--engine", engine, "--out", str(out), *more]
    environment = {**os.environ, "START_TOKEN": "SECRET13"}
    if mode == "run":
        started = subprocess.Popen([*LEAKHUNT, "run", *told, "--", *program], stderr=subprocess.PIPE, env=environment)
        until_seen(out)
        (place / "enough").touch()
        _, said = started.communicate(timeout=300)
        return out, said
    with subprocess.Popen(program, env=environment) as target:
        command = [*LEAKHUNT, "attach", str(target.pid), *told]
        attached = subprocess.Popen(command, stderr=subprocess.PIPE)
        until_seen(out)
        (place / "enough").touch()
        _, said = attached.communicate(timeout=300)
    return out, said


def until_seen(out: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if out.exists() and any(len(process.snapshots) >= 4 for process in read_run(out).processes):
            return
        time.sleep(0.05)
    raise AssertionError("no snapshots came")


def reports(out: Path) -> bytes:
    said = b""
    newest = max(out.glob("pid-*/*.leak"))
    for words in (
        *(["report", str(out), "--format", name] for name in ("text", "json", "html")),
        ["chains", str(newest), "--type", "__main__.Customer"],
        ["backrefs", str(newest), "--type", "__main__.Customer", "-o", "-", "--format", "dot"],
    ):
        done = subprocess.run([*LEAKHUNT, *words], capture_output=True, check=False)
        said += done.stdout + done.stderr
    return said


@pytest.mark.parametrize("engine", ["c", "python"])
@pytest.mark.parametrize("mode", ["run", "attach"])
def test_no_secret_is_stored_or_told(mode: str, engine: str, program: list[str], tmp_path: Path) -> None:
    assert len(set(MARKER.findall((PROGRAM + " ".join(ON_THE_COMMAND_LINE)).encode()))) == KINDS
    out, said = measured(mode, engine, program, tmp_path)
    stored = {str(path): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert len(stored) > 5
    for name, data in {**stored, "the report of the run": said, "what reports show": reports(out)}.items():
        assert MARKER.findall(data) == [], name


def test_values_shows_them_where_they_are_asked_for(program: list[str], tmp_path: Path) -> None:
    out, _ = measured("run", "c", program, tmp_path, "--values")
    assert b"SECRET17" in (out / "run.json").read_bytes()
    assert b"SECRET17" in next(out.glob("pid-*/process")).read_bytes()
    assert any(b"SECRET09" in path.read_bytes() for path in out.glob("pid-*/*.leak"))
    assert "SECRET17" in " ".join(read_run(out).info["command"])


def test_a_run_of_before_is_shown_with_its_secrets_hidden(tmp_path: Path) -> None:
    (tmp_path / "pid-7.0").mkdir()
    (tmp_path / "pid-7.0/process").write_text("pid\t7\ncommand\tpython app.py --token SECRET17 --port 80\n")
    (tmp_path / "run.json").write_text('{"schema": 1, "command": ["python", "app.py", "--token", "SECRET17"]}')
    found = read_run(tmp_path)
    assert found.info["command"] == ["python", "app.py", "--token", "***"]
    assert found.processes[0].command == "python app.py --token *** --port 80"
