"""Every command that a page tells the reader to type does what the page says, in a folder like the reader's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import DOCS, ROOT, commands

RUN_BY_OTHERS = {
    *("commands.md", "comparing.md", "monitoring.md", "queries.md"),  # test_docs, test_monitoring_docs, export
    *("services.md", "bisecting.md", "fleet.md", "mcp.md"),  # tests/services, test_release_docs
}
PAGES = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if page.name not in RUN_BY_OTHERS)
QUICK = {"PAUSE_SECONDS": "0.03", "NO_COLOR": "1"}


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """A folder with the sample apps and the verdicts' programs, and `leakhunt` and `python` on the PATH."""
    (tmp_path / "sample_apps").symlink_to(ROOT / "sample_apps")
    for program in (DOCS / "verdicts" / "programs").glob("*.py"):
        shutil.copy(program, tmp_path)
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for name, words in {"leakhunt": "-m leakhunt", "python": ""}.items():
        (bin_folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
        (bin_folder / name).chmod(0o755)
    return tmp_path


def quicker(command: str) -> str:
    command = re.sub(r"PAUSE_SECONDS=\S+ ", "", command)
    return re.sub(r"--interval 0\.[25]\b", "--interval 0.05", command)


def typed(page: str) -> Iterator[str]:
    yield from map(quicker, commands(page))


def type_all(reader: Path, page: str) -> None:
    environment = {**os.environ, **QUICK, "PATH": f"{reader / 'bin'}:{os.environ['PATH']}"}
    for command in typed(page):
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=reader,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        expected = (0, 1) if "--fail-on" in command else (0,)
        assert done.returncode in expected, (command, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, (command, done.stderr)


@pytest.mark.story
@pytest.mark.parametrize("page", [page for page in PAGES if list(commands(page)) and not page.startswith("verdicts/")])
def test_the_commands_of_a_page_work_one_after_the_other(page: str, reader: Path) -> None:
    type_all(reader, page)


@pytest.mark.docs
@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("verdicts/")])
def test_the_commands_of_a_verdicts_page_work(page: str, reader: Path) -> None:
    """They leak at the pace of their page, for ten seconds each."""
    type_all(reader, page)
