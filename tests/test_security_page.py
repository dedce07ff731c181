"""Each promise of docs/security.md is held by a test that is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/security.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and line.count("|") == 3]
PROMISES = [line for line in ROWS if not line.startswith("| promise")]
NAMED = sorted(set(re.findall(r"`(tests/\S+\.py)::(\w+)`", PAGE)))


@pytest.mark.parametrize("line", PROMISES, ids=lambda line: line[2:60])
def test_every_promise_names_a_test(line: str) -> None:
    assert re.search(r"`tests/\S+::test_\w+`", line)


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_test_that_is_named_is_there(file: str, name: str) -> None:
    nodes = ast.walk(ast.parse((ROOT / file).read_text()))
    assert name in [node.name for node in nodes if isinstance(node, ast.FunctionDef)]


def test_every_file_and_command_that_is_named_is_there() -> None:
    for path in re.findall(r"(?:`|python )((?:leakhunt|tests|benchmarks)/[\w/]+\.py)", PAGE):
        assert (ROOT / path).exists(), path
    assert len(PROMISES) > 15 and "docs/security.md" in (ROOT / "SECURITY.md").read_text()
