"""What the docs say of the commands and verdicts is there, and nothing is missing."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from leakhunt.cli import COMMANDS
from leakhunt.cli.app import leakhunt
from leakhunt.findings import KINDS

DOCS = Path(__file__).parent.parent / "docs"


def command_of(name: str) -> click.Command:
    command = leakhunt.get_command(click.Context(leakhunt), name)
    assert command is not None
    return command


def section_of(name: str) -> str:
    """What docs/commands.md says of a command."""
    text = (DOCS / "commands.md").read_text()
    found = re.search(rf"^## leakhunt {name}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/commands.md has no section on {name}: run python docs/make_commands.py"
    return found[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_that_help_names_is_documented_with_an_example(name: str) -> None:
    section = section_of(name)
    options = {
        word for p in command_of(name).params if isinstance(p, click.Option) for word in (*p.opts, *p.secondary_opts)
    }
    missing = {word for word in options if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", section)}
    assert not missing, "run python docs/make_commands.py"
    assert f"leakhunt {name}" in section.partition("Example")[2]


@pytest.mark.parametrize("kind", KINDS)
def test_every_verdict_has_a_page_with_a_program_its_report_and_its_fix(kind: str) -> None:
    page = (DOCS / "verdicts" / f"{kind}.md").read_text()
    assert f"kind     {kind}" in page
    assert "## The fix" in page
    for name in re.findall(r"<!-- (\S+\.py) -->", page):
        assert (DOCS / "verdicts" / "programs" / name).read_text() in page


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target
