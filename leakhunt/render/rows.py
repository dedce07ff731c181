"""Rows under columns, as a database answers: a table for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import json
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text as Line

from leakhunt.render import units
from leakhunt.render.console import Page
from leakhunt.render.words import printable

Rows = Sequence[Sequence[Any]]


def rows_as(
    name: str,
    columns: Sequence[str],
    rows: Rows,
    color: bool = False,
    width: int = 100,
    encoding: str = "utf-8",
    limit: int = 0,
) -> str:
    """The rows as "text" (the first `limit` of them, all for 0), "json" (a list of objects) or "csv"."""
    if name == "json":
        return json.dumps([dict(zip(columns, map(_plain, row), strict=True)) for row in rows], indent=1)
    if name == "csv":
        return _csv(columns, rows)
    return _text(columns, rows, Page(color, width, encoding), limit)


def _text(columns: Sequence[str], rows: Rows, page: Page, limit: int) -> str:
    if not rows:
        page.print("No rows.")
        return page.text()
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        is_number = all(isinstance(row[number], int | float | decimal.Decimal | None) for row in rows)
        table.add_column(Line(printable(column)), justify="right" if is_number else "left", overflow="fold")
    shown = rows[: limit or None]
    for row in shown:
        table.add_row(*(Line(_cell(value)) for value in row))
    page.print(table)
    if len(shown) < len(rows):
        page.print(f"+ {units.plural(len(rows) - len(shown), 'more row')} (--limit shows more)")
    return page.text()


def _cell(value: Any) -> str:
    """
    >>> _cell(1234567), _cell(0.123456), _cell(None)
    ('1,234,567', '0.1235', '')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float | decimal.Decimal):
        return f"{value:,.4g}" if -1000 < value < 1000 else f"{value:,.0f}"
    return printable(str(value))


def _csv(columns: Sequence[str], rows: Rows) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_plain(value) for value in row] for row in rows)
    return text.getvalue()


def _plain(value: Any) -> Any:
    """A value as JSON and CSV have it: times in ISO 8601, decimals as numbers."""
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if isinstance(value, bool | int | float | str | None) else str(value)
