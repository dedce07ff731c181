"""Tables on a terminal: the classes of a diff, the processes of a run."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text as Line

from leakhunt.findings import Diff, DiffRow, ProcessSummary
from leakhunt.render import series, units
from leakhunt.render.console import Page
from leakhunt.render.words import printable, shorten


def diff_table(diff: Diff, color: bool = False, width: int = 100, limit: int = 25, encoding: str = "utf-8") -> str:
    """Classes that changed, largest growth first; `limit` 0 shows all of them."""
    page = Page(color, width, encoding)
    names = " to ".join(printable(name) for name in (diff.before, diff.middle, diff.after) if name)
    page.print(Line(f"{names}, {units.duration(diff.seconds)} apart", style="bold"))
    shown = diff.rows[: limit or None]
    page.print(_diff_rows(diff, shown, width, page.ascii) if shown else "No class changed.")
    if len(shown) < len(diff.rows):
        page.print(f"+ {units.plural(len(diff.rows) - len(shown), 'more class', 'more classes')} (--limit shows more)")
    for note in diff.notes:
        page.print(Line(f"Note: {printable(note)}"))
    return page.text()


def _diff_rows(diff: Diff, rows: Sequence[DiffRow], width: int, ascii_only: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("class", overflow="fold")
    deep, middle = any(row.births is not None for row in rows), diff.middle is not None
    names = (
        ["before", "after", "change", "in bytes"] + ["born", "died", "survived"] * deep + ["kept from middle"] * middle
    )
    for name in names:
        table.add_column(name, justify="right")
    ages = any(row.ages for row in rows) and not ascii_only
    if ages:
        table.add_column("old to new", no_wrap=True)
        names.append("old to new")
    for row in rows:
        cells: list[str | Line] = [units.count(row.before), units.count(row.after), *_changes(row)]
        cells += [_or_unknown(n) for n in (row.births, row.deaths, row.survivors)] if deep else []
        cells += [_or_unknown(row.alive_from_middle)] if middle else []
        cells += [series.bars(row.ages or ())] if ages else []
        table.add_row(shorten(printable(row.type), max(20, width - 11 * len(names))), *cells)
    return table


def _changes(row: DiffRow) -> list[str | Line]:
    changes = row.after - row.before, row.bytes_after - row.bytes_before
    words = units.plus(units.count(changes[0])), units.plus(units.size(changes[1]))
    return [Line(word, style="red" if n > 0 else "green") for word, n in zip(words, changes, strict=True)]


def _or_unknown(number: int | None) -> str:
    return "?" if number is None else units.count(number)


def process_table(processes: Sequence[ProcessSummary], width: int) -> Table:
    """One line per process, for runs that had several."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("process")
    table.add_column("command", overflow="fold")
    for name in ("snapshots", "RSS", "findings"):
        table.add_column(name, justify="right")
    for process in processes:
        command = shorten(printable(process.command), max(20, width - 56))
        found = ", ".join(f"#{rank}" for rank in process.findings) or "-"
        table.add_row(str(process.pid), command, units.count(process.snapshots), rss_words(process), found)
    return table


def rss_words(process: ProcessSummary) -> str:
    """
    >>> rss_words(ProcessSummary(1, "", 2, rss_bytes=(20_000_000, 34_000_000)))
    '20 MB to 34 MB'
    """
    if not process.rss_bytes:
        return "?"
    return f"{units.size(process.rss_bytes[0])} to {units.size(process.rss_bytes[-1])}"
