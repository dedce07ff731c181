"""What a project says of its own holders: in `leakhunt.toml`, or in its `pyproject.toml` below `tool.leakhunt`.

    [[harmless]]                        # growth of this holder is meant, and comes to an end
    owner = "shop.prices.CACHE"
    why = "one entry per article, 40,000 at most"

    [[leak]]                            # what to say when this holder grows
    owner = "shop.audit.Trail.entries"
    advice = "Call Trail.flush() at the end of a request (TICKET-4711)."

In `pyproject.toml` the tables are `[[tool.leakhunt.harmless]]` and `[[tool.leakhunt.leak]]`. An owner is the name that
a report gives, or its end at a dot. The files are those of the project in which leakhunt is called: of the current
directory or the nearest one above that has either file. Commands, the monitor, notebooks and pytest all read them here.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from leakhunt.analysis.growth.known import BUILT_IN, Known
from leakhunt.errors import UsageError
from leakhunt.reading import read_regular

NAME, PROJECT = "leakhunt.toml", "pyproject.toml"
_BYTES_MAX = 16 << 20


def known_places(folder: Path | None = None) -> Known:
    """The built-in holders, and those of the project that `folder` (the current directory by default) is in.

    Raises:
        UsageError: a file can't be read, is no TOML, or holds something else.
    """
    start = Path.cwd() if folder is None else folder
    for place in (start, *start.parents):
        own, project = _tables(place / NAME), _tables(place / PROJECT)
        if own is not None or project is not None:
            said = (project or {}).get("tool", {})
            return _with(_with(BUILT_IN, place / PROJECT, said.get("leakhunt", {})), place / NAME, own or {})
    return BUILT_IN


def _tables(path: Path) -> dict[str, Any] | None:
    """What a file of TOML says; None where there is none."""
    try:
        text = read_regular(path, _BYTES_MAX).decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeError) as problem:
        if path.name == PROJECT:  # other tools complain
            return {}
        raise UsageError(f"{path} cannot be read: {problem}.") from problem
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        if path.name == PROJECT:
            return {}
        raise UsageError(f"{path} is not TOML: {problem}.") from problem


def _with(known: Known, path: Path, tables: object) -> Known:
    """`known`, and what the tables of this file add."""
    if not isinstance(tables, dict) or set(tables) - {"harmless", "leak"}:
        what = repr(sorted(set(tables) - {"harmless", "leak"})[0]) if isinstance(tables, dict) else "no tables"
        raise UsageError(f"{path} holds {what} for leakhunt.", "It takes [[harmless]] and [[leak]].")
    if not tables:
        return known
    return known.with_more(Known(_rows(path, tables, "harmless", "why"), _rows(path, tables, "leak", "advice")))


def _rows(path: Path, tables: dict[str, Any], table: str, text: str) -> dict[str, str]:
    rows = tables.get(table, [])
    for row in rows if isinstance(rows, list) else [None]:
        if (
            not isinstance(row, dict)
            or set(row) != {"owner", text}
            or not all(isinstance(v, str) for v in row.values())
        ):
            raise UsageError(f'In {path}, each [[{table}]] takes owner = "…" and {text} = "…", and nothing else.')
    return {row["owner"]: row[text] for row in rows}
