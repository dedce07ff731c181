"""A report that was kept as JSON, read back."""

from __future__ import annotations

import json
from pathlib import Path

from leakhunt.errors import RunError
from leakhunt.findings import SCHEMA, Findings


def read_report(path: Path) -> Findings:
    """
    Raises:
        RunError: the file can't be read, or is no report of `leakhunt report --format json`.
    """
    hint = "Give a run folder, or what `leakhunt report RUN --format json -o FILE` wrote."
    try:
        text = path.read_text(encoding="utf-8")
        schema = json.loads(text)["schema"]
        findings = Findings.from_json(text)
    except OSError as problem:
        raise RunError(f"{path} cannot be read: {problem.strerror}.", hint) from problem
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as problem:
        raise RunError(f"{path} is not a leakhunt report.", hint) from problem
    if schema != SCHEMA:
        raise RunError(
            f"{path} was written by another version of leakhunt, in another format.", "Read it with that one."
        )
    return findings
