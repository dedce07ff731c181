"""Every command of docs/bisecting.md, docs/fleet.md and docs/mcp.md works."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import wheels
from pages import DOCS, ROOT, SHOP, commands

HAS_SPARK = bool(shutil.which("java") and importlib.util.find_spec("pyspark"))
pytestmark = [pytest.mark.docs, pytest.mark.story]
PAGES = ("bisecting.md", "fleet.md", "mcp.md")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with `shop.py`, and `leakhunt` and `python` on the PATH."""
    (tmp_path / "shop.py").write_text(SHOP)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python").symlink_to(sys.executable)
    script = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m leakhunt "$@"\n'
    (programs / "leakhunt").write_text(script)
    (programs / "leakhunt").chmod(0o755)
    return tmp_path


def typed(place: Path, command: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{place / 'bin'}:{os.environ['PATH']}", **more}
    done = subprocess.run(
        ["/bin/sh", "-c", command], check=False, cwd=place, env=environment, capture_output=True, text=True, timeout=300
    )
    assert "Traceback" not in done.stderr, (command, done.stderr)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done


def test_the_commands_of_fleet_work(place: Path) -> None:
    pytest.importorskip("ibis")
    said = {}
    for command in commands("fleet.md"):
        if command.startswith("pip ") or ("spark" in command and not HAS_SPARK):
            continue
        said[command] = typed(place, command).stdout
    assert "in 1 process on 1 host" in said["leakhunt fleet fleet"]
    assert "1 leak in 2 processes" in said["leakhunt fleet fleet --service shop --since 7d"]
    assert "<svg" in (place / "fleet.html").read_text()
    if HAS_SPARK:
        spark, ours = (
            said[f"leakhunt fleet fleet{more}"] for more in (" --engine spark", " --service shop --since 7d")
        )
        assert spark.replace("asked by spark", "asked by duckdb") == ours


def test_the_commands_of_mcp_work(place: Path) -> None:
    pytest.importorskip("mcp")
    for command in commands("mcp.md"):
        if not command.startswith("pip "):
            typed(place, command)


def test_the_commands_of_bisecting_work(place: Path) -> None:
    """With a package of three releases in place of aiohttp, of which the third is fixed, and quicker."""
    index = place / "index"
    index.mkdir()
    for version, source in (("3.11.18", wheels.LEAKY), ("3.12.2", wheels.LEAKY), ("3.12.3", wheels.CLEAN)):
        wheels.wheel(index, "jobs", version, source)
    more = wheels.index(index)
    (place / "app.py").write_text(wheels.PROGRAM)
    env = place / "env"
    subprocess.run([sys.executable, "-m", "venv", env], check=True)
    subprocess.run(
        [env / "bin" / "python", "-m", "pip", "install", "-q", "jobs==3.11.18"], check=True, env={**os.environ, **more}
    )
    git = "git -c user.name=Ada -c user.email=ada@example.org"
    typed(place, f"git init -q -b main . && git add app.py && {git} commit -q -m App && git tag v1.0")
    for number in range(2):
        (place / "app.py").write_text(f"KEPT = []\n{wheels.PROGRAM.replace('import jobs', '')}".replace(
            "jobs.work()", "KEPT.extend(Job() for _ in range(20))" if number else "Job()"
        ).replace("import time", "import time\nclass Job: pass"))  # fmt: skip
        typed(place, f"git add app.py && {git} commit -q -m 'Change {number}'")
    for command in commands("bisecting.md"):
        if command.startswith("pip "):
            continue
        quick = command.replace("aiohttp", "jobs").replace("-- python", "--interval 0.1 -- env/bin/python")
        done = typed(place, quick.replace("env/bin", str(env / "bin")), **more)
        if "--package" in command:
            assert done.stdout.startswith("fixed in jobs 3.12.3: pin jobs>=3.12.3\n")
            assert "fixed in aiohttp 3.12.3: pin aiohttp>=3.12.3\n" in (DOCS / "bisecting.md").read_text()
        if "--commits" in command:
            assert "came with commit" in done.stdout and "Change 1" in done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_the_extras_that_the_pages_name_exist(page: str) -> None:
    named = re.findall(r"leakhunt\[(\w+)\]", (DOCS / page).read_text())
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert named and set(named) <= set(extras)
