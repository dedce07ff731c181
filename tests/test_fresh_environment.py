"""What the docs tell a reader to type works where nothing but leakhunt is installed: in an environment made for it.

    pytest -m fresh tests/test_fresh_environment.py

It asks a package index, takes minutes, and so runs only when asked for.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from heap import run_folder
from pages import DOCS, QUESTIONS, ROOT, SHOP, commands, quicker, worker

pytestmark = [pytest.mark.fresh, pytest.mark.timeout(3000)]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "leakhunt")
KEPT_FROM_US = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}


class Fresh:
    """A directory of a reader, and an environment of which it knows `python`, `pip` and what they install."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
        for name in SOURCES:
            made = folder / "source" / name
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, made, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
            else:
                made.parent.mkdir(exist_ok=True)
                shutil.copy(ROOT / name, made)
        self.work("pip install -q ./source")

    def typed(self, command: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name not in KEPT_FROM_US}
        environment |= {"PATH": f"{self.folder / 'env' / 'bin'}:{os.environ['PATH']}"}
        environment |= {"OTEL_METRIC_EXPORT_TIMEOUT": "100"}
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            check=False,
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=1200,
        )
        assert "Traceback" not in done.stderr, (command, done.stderr)
        return done

    def work(self, command: str) -> str:
        done = self.typed(command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def refuse(self, command: str) -> str:
        """What the refusal says to type."""
        done = self.typed(command)
        assert done.returncode in (2, 3), (command, done.stderr)
        hint = re.search(r"pip install '[^']+'", done.stderr)
        assert hint, done.stderr
        return hint[0]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    made = Fresh(tmp_path_factory.mktemp("reader"))
    (made.folder / "shop.py").write_text(SHOP)
    (made.folder / "sample_apps").symlink_to(ROOT / "sample_apps")
    run_folder(made.folder / "run1", worker(101, 0), worker(102, 0), worker(103, 20))
    return made


def test_the_commands_of_the_docs_work_in_a_fresh_environment(fresh: Fresh) -> None:
    """One after the other, for each page is left with what it says to install."""
    assert "site-packages" in fresh.work("python -c 'import leakhunt; print(leakhunt.__file__)'")
    _comparing(fresh)
    _monitoring(fresh)
    _queries(fresh)
    _fleet_and_mcp(fresh)
    assert fresh.work("pip check")


def _comparing(fresh: Fresh) -> None:
    typed = list(commands("comparing.md"))
    statuses = [fresh.typed(command).returncode for command in typed]
    assert dict(zip(typed, statuses, strict=True)) == {command: int("--fail-on-new" in command) for command in typed}


def _monitoring(fresh: Fresh) -> None:
    hints = {fresh.refuse("leakhunt run --metrics 0 -- true"), fresh.refuse("leakhunt run --otel -- true")}
    assert hints <= set(commands("monitoring.md"))
    for command in commands("monitoring.md"):
        if not command.startswith("promtool ") or shutil.which("promtool"):
            fresh.work(quicker(command))
    assert '"__main__.ORDERS"' in (fresh.folder / "leaks.jsonl").read_text()


def _queries(fresh: Fresh) -> None:
    hint = fresh.refuse("leakhunt query 'SELECT 1' run1")
    assert f"`{hint}`" in (DOCS / "queries.md").read_text()
    export_hint = fresh.refuse("leakhunt export run1 -o run1.parquet")
    for command in QUESTIONS:
        if "leakhunt export" in command and ".parquet" not in command:
            fresh.work(command)  # needs nothing more
    fresh.work(export_hint)
    fresh.work("leakhunt export run1 -o run2.parquet")
    fresh.work(hint)
    for command in QUESTIONS:
        said = fresh.work(command)
        assert "No rows." not in said or "value IS NOT NULL" in command, command


def _fleet_and_mcp(fresh: Fresh) -> None:
    assert fresh.refuse("leakhunt fleet run1") in set(commands("fleet.md"))
    assert fresh.refuse("leakhunt mcp run1") in set(commands("mcp.md"))
    for page in ("fleet.md", "mcp.md"):
        for command in commands(page):
            if "spark" not in command or shutil.which("java"):
                fresh.work(command)
