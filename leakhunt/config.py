"""A user's own known places: `leakhunt.toml` in the directory in which leakhunt is called.

    [[harmless]]                        # growth of this place is meant, and comes to an end
    owner = "shop.prices.CACHE"
    why = "one entry per article, 40,000 at most"

    [[leak]]                            # what to say when this place grows
    owner = "shop.audit.Trail.entries"
    advice = "Call Trail.flush() at the end of a request (TICKET-4711)."

An owner is the name that a report gives, or its end at a dot.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from leakhunt.analysis.growth.known import BUILT_IN, Known
from leakhunt.errors import UsageError
from leakhunt.reading import read_regular

NAME = "leakhunt.toml"
_BYTES_MAX = 16 << 20


def known_places(folder: Path) -> Known:
    """The built-in places, and those of the folder's `leakhunt.toml` if there is one.

    Raises:
        UsageError: it can't be read, is no TOML, or holds something else.
    """
    path = folder / NAME
    try:
        text = read_regular(path, _BYTES_MAX).decode("utf-8")
    except FileNotFoundError:
        return BUILT_IN
    except (OSError, UnicodeError) as problem:
        raise UsageError(f"{path} cannot be read: {problem}.") from problem
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise UsageError(f"{path} is no TOML: {problem}.") from problem
    if unknown := set(tables) - {"harmless", "leak"}:
        raise UsageError(f"{path} holds {sorted(unknown)[0]!r}.", "It takes [[harmless]] and [[leak]].")
    return BUILT_IN.with_more(Known(_rows(path, tables, "harmless", "why"), _rows(path, tables, "leak", "advice")))


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
