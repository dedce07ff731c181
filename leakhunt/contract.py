"""What a snapshot must be to be used at all: checked once, when it is read, and by nobody after that.

A file that breaks one of these rules is damaged, or not ours, and is left out by name; a column that the format does
not know is no hindrance. The format itself is described in `leakhunt.agent.schema`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leakhunt.agent import schema

Columns = Mapping[str, NDArray[Any]]

_BYTE, _HALF, _WORD = ("|u1",), ("<u4",), ("<u8",)
# Table -> its columns and their types: all of them, or none, and all of one length.
_ALWAYS: dict[str, dict[str, tuple[str, ...]]] = {
    "type": {"address": _WORD, "name": _HALF, "flags": _HALF, "file": _HALF, "del_file": _HALF, "del_line": _HALF},
    "census": {"type": _HALF, "count": _WORD, "old": _WORD, "bytes": _WORD},
    "container": {"address": _WORD, "type": _HALF, "length": _WORD},
}
_WITH_A_GRAPH: dict[str, dict[str, tuple[str, ...]]] = {
    "object": {
        "address": _WORD, "type": _HALF, "size": _HALF + _WORD, "length": _HALF, "refcount": _HALF, "flags": _BYTE,
    },
    "label": {"position": _WORD, "name": _HALF},
    "root": {"address": _WORD, "kind": _HALF, "label": _HALF},
    "name": {"address": _WORD, "text": _HALF, "file": _HALF, "line": _HALF},
    "bound": {"object": _HALF, "value": _WORD},
    "weak": {"source": _HALF, "target": _WORD},
}  # fmt: skip
_WITH_VALUES: dict[str, dict[str, tuple[str, ...]]] = {"value": {"address": _WORD, "text": _HALF}}
_TABLES = {**_ALWAYS, **_WITH_A_GRAPH, **_WITH_VALUES}
# Columns that belong to no table of one length.
_APART = {
    schema.META_TEXT: _BYTE, "strings.bytes": _BYTE, "strings.end": _WORD,
    "reference.count": _HALF, "reference.target": _WORD, "reference.index": _HALF,
    "spectrum.count": _WORD, "object.place": _HALF,
}  # fmt: skip
DTYPES_BY_COLUMN = {
    **_APART,
    **{f"{table}.{column}": dtypes for table, columns in _TABLES.items() for column, dtypes in columns.items()},
}
# Column of row numbers -> column whose rows they count.
ROWS = {
    **dict.fromkeys(("object.type", "census.type", "container.type"), "type.name"),
    **dict.fromkeys(("type.name", "type.file", "type.del_file", "label.name"), "strings.end"),
    **dict.fromkeys(("root.kind", "root.label", "name.text", "name.file", "value.text"), "strings.end"),
    **dict.fromkeys(("bound.object", "weak.source", "reference.index"), "object.address"),
}
# Sums of these are taken in 64 bits with a sign, and no machine has so much.
_AMOUNTS = ("census.count", "census.old", "census.bytes", "container.length", "object.size", "spectrum.count")
_AMOUNT_LIMIT = 1 << 60
# Numbers of the ledger, each where the target could say it; units at the end of a name make a number of it, too.
_NUMBERS = frozenset(
    (
        "pid", "sequence", "elapsed", "interval", "time", "lost", "budget",
        "allocated_blocks", "gc_enabled", "gc_frozen", "gc_garbage", "atexit_callbacks",
        "left_out",
    )
)  # fmt: skip
_UNITS = ("_bytes", "_ms", "_seconds")
_NEVER_BELOW_ZERO = frozenset(("sequence", "elapsed", "interval", "time", "left_out"))
_ROW_OF_NUMBERS = re.compile(r"\d{1,18}( \d{1,18})*", re.ASCII)
_NUMBER_BY_SIZE = re.compile(r"(\d{1,9}:\d{1,15} ?)*", re.ASCII)
_NUMBERS_BY_SIZE = "pymalloc_blocks"
_ROWS_OF_NUMBERS = ("gc_threshold", "gc_collections", "generation_rows")


def broken(meta: Mapping[str, str], columns: Columns) -> str:
    """The first rule that a snapshot breaks, as words after "it is damaged:"; "" for a good one."""
    return (
        _of_types(columns)
        or _of_tables(columns)
        or _of_ages(columns)
        or _of_strings(columns)
        or _of_rows(columns)
        or _of_references(columns)
        or _of_amounts(columns)
        or _of_meta(meta)
    )


# Of an agent's answer about births (leakhunt.agent.births): how many words follow each key, and which are what.
# n: a number of at most 20 digits; s: seconds; t: any text; r: numbers of frames, separated by spaces.
BIRTHS_COLUMNS = {
    "births": "nn", "state": "tsst", "class": "nttnt", "place": "ntnt", "frame": "tntt", "stack": "rr",
    "birth": "nnsn", "addition": "nnnsn",
}  # fmt: skip
_WORDS = {
    "n": re.compile(r"\d{1,20}", re.ASCII),
    "s": re.compile(r"\d{1,12}(\.\d{1,9})?", re.ASCII),
    "r": re.compile(r"(\d{1,9}( \d{1,9})*)?", re.ASCII),
    "t": re.compile(r".*", re.DOTALL),
}
BIRTHS_VERSION = 1


def broken_births(lines: Sequence[Sequence[str]]) -> str:
    """The first rule that an answer about births breaks; "" for a good one. Lines of other keys are no hindrance.

    Args:
        lines: the words of each line, unescaped.
    """
    frames = stacks = 0
    for key, *words in lines:
        columns = BIRTHS_COLUMNS.get(key)
        if columns is None:
            continue
        if len(words) != len(columns) or not all(
            _WORDS[c].fullmatch(word) for c, word in zip(columns, words, strict=True)
        ):
            return f"a line of {key} has other words than in the format"
        if key == "births" and int(words[0]) != BIRTHS_VERSION:
            return "it was written by a newer leakhunt"
        if key == "stack" and any(int(number) >= frames for number in " ".join(words).split()):
            return "a stack has a frame that is not there"
        if key in ("birth", "addition") and int(words[-1]) >= stacks:
            return f"a line of {key} has a stack that is not there"
        frames += key == "frame"
        stacks += key == "stack"
    keys = [line[0] for line in lines]
    return "" if keys.count("births") == keys.count("state") == 1 else "it does not say what it is"


def finite(text: str | None) -> float | None:
    """A number that can be reckoned with; None for anything else."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if abs(number) < 2.0**63 else None  # no number is neither below nor above


def _of_types(columns: Columns) -> str:
    for name, column in columns.items():
        if name in DTYPES_BY_COLUMN and column.dtype.str not in DTYPES_BY_COLUMN[name]:
            return f"{name} is of another type than in the format"
    return ""


def _of_tables(columns: Columns) -> str:
    has_graph = any(name.partition(".")[0] in (*_WITH_A_GRAPH, "reference") for name in columns)
    needed = {**_ALWAYS, **(_WITH_A_GRAPH if has_graph else {})}
    for table, parts in _TABLES.items():
        found = [columns[name] for part in parts if (name := f"{table}.{part}") in columns]
        if len(found) < len(parts) and (found or table in needed):
            return f"its table {table} lacks a column"
        if len({len(column) for column in found}) > 1:
            return f"its table {table} has columns of different lengths"
    if has_graph and "reference.count" not in columns:
        return "its references are not counted"
    if has_graph and ("reference.index" in columns) == ("reference.target" in columns):
        return "its references lead nowhere"
    return ""


def _of_ages(columns: Columns) -> str:
    spectra, places = columns.get("spectrum.count"), columns.get("object.place")
    if spectra is not None and len(spectra) != schema.TENTHS * len(columns["census.type"]):
        return "its spectra of ages are more or fewer than its classes"
    if places is not None and len(places) != len(columns.get("object.address", ())):
        return "its places are more or fewer than its objects"
    return ""


def _of_strings(columns: Columns) -> str:
    if "strings.end" not in columns or "strings.bytes" not in columns:
        return "its strings are missing"
    ends = columns["strings.end"]
    if not len(ends) or ends[0] != 0:
        return "its first string is not the empty one"
    if np.any(ends[1:] < ends[:-1]) or int(ends[-1]) > len(columns["strings.bytes"]):
        return "its strings overlap or end too late"
    return ""


def _of_rows(columns: Columns) -> str:
    for name, counted in ROWS.items():
        rows = columns.get(name)
        if rows is None:
            continue
        if name == "reference.index":
            rows = rows[rows != schema.GONE]
        if len(rows) and int(rows.max()) >= len(columns.get(counted, ())):
            return f"{name} leaves {counted}"
    return ""


def _of_references(columns: Columns) -> str:
    if "reference.count" not in columns:
        return ""
    counts, led = columns["reference.count"], columns.get("reference.index", columns.get("reference.target"))
    assert led is not None
    if len(counts) != len(columns["object.address"]) or int(counts.sum(dtype=np.uint64)) != len(led):
        return "its references are more or fewer than its objects have"
    positions = columns["label.position"]
    return "a label has no reference" if len(positions) and int(positions.max()) >= len(led) else ""


def _of_amounts(columns: Columns) -> str:
    for name in _AMOUNTS:
        column = columns.get(name)
        if column is not None and float(column.sum(dtype=np.float64)) >= _AMOUNT_LIMIT:
            return f"{name} is more than any machine has"
    bounds = columns.get("bound.value")
    return "a bound is no length" if bounds is not None and len(bounds) and int(bounds.max()) >= 1 << 63 else ""


def _of_meta(meta: Mapping[str, str]) -> str:
    for key, text in meta.items():
        if key in _NUMBERS or key.endswith(_UNITS):
            number = finite(text)
            if number is None or (number < 0 and key in _NEVER_BELOW_ZERO):
                return f"its {key} is no number that it can have"
    for key in _ROWS_OF_NUMBERS:
        if not _ROW_OF_NUMBERS.fullmatch(meta.get(key, "0")):
            return f"its {key} is no row of numbers"
    if not _NUMBER_BY_SIZE.fullmatch(meta.get(_NUMBERS_BY_SIZE, "")):
        return f"its {_NUMBERS_BY_SIZE} is no row of sizes and numbers"
    return ""
