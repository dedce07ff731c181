"""Write docs/tables.md: the tables of an exported run, from their definition: `python docs/make_tables.py`."""

from __future__ import annotations

from pathlib import Path

from leakhunt.export.columns import TABLES

PAGE = Path(__file__).parent / "tables.md"
HEAD = """# The tables

Made by `docs/make_tables.py` from `leakhunt/export/columns.py`. `leakhunt export RUN -o RUN.parquet` writes each as a
Parquet file in one folder, and `leakhunt query` asks them; [questions in SQL](queries.md) has examples.

`run` and `process` say where a row is from, so that the tables of many runs can be put together. With `snapshot` they
say which heap an object is of: join `references` and `objects` by `run`, `process`, `snapshot` and the object's number.
"""
TYPE_BY_KIND = {"word": "text", "float": "float64", "time": "timestamp", "pids": "list of int32"}


def page() -> str:
    """The whole page, one section per table."""
    parts = [HEAD]
    for table, columns in TABLES.items():
        rows = [f"| `{c.name}` | {TYPE_BY_KIND.get(c.kind, c.kind)} | {c.means} |" for c in columns]
        parts.append("\n".join([f"## {table}\n", "| column | type | means |", "|---|---|---|", *rows, ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
