"""Two runs beside each other, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text as Line

from leakhunt.findings import Comparison, Finding, Pace, Rate
from leakhunt.render import units, words
from leakhunt.render.console import Page

_SHOWN = 10


def comparison(
    found: Comparison, names: tuple[str, str], color: bool = False, width: int = 100, encoding: str = "utf-8"
) -> str:
    """What is new first; `names` are what the earlier and the later run are called."""
    page = Page(color, width, encoding)
    page.print(_headline(found))
    for letter, name, run in (("A", names[0], found.before), ("B", names[1], found.after)):
        page.print(Line(f"{letter}  {words.name(name)} · {words.run_line_of(run)}", style="dim"))
    for renderable in _body(found, width):
        page.print(renderable)
    return page.text()


def _headline(found: Comparison) -> Line:
    text = units.plural(len(found.new), "new leak") if found.new else "No new leak"
    line = Line(text, style="bold red" if found.new else "bold green")
    return line.append(f", {units.count(len(found.known))} known, {units.count(len(found.gone))} gone", style="bold")


def _body(found: Comparison, width: int) -> Iterator[Any]:
    yield from _findings("New in B", found.new)
    yield from _findings("Known", [pair.after for pair in found.known], [pair.before for pair in found.known])
    yield from _findings("Gone in B", found.gone)
    yield from _paces("Grows faster in B", found.faster, width)
    yield from _paces("Grows slower in B", found.slower, width)
    if found.notes:
        yield ""
    yield from (Line(f"Note: {words.sentence(note)}") for note in found.notes)


def _findings(title: str, findings: Sequence[Finding], before: Sequence[Finding] = ()) -> Iterator[Any]:
    if not findings:
        return
    yield Line(f"\n{title}", style="bold")
    for number, finding in enumerate(findings):
        held = words.name(finding.holder.owner) if finding.holder else "nothing that leakhunt can see"
        place = words.holder_place(finding.holder)
        line = Line(f"  {finding.fingerprint}  {words.name(finding.type or finding.kind)}")
        line.append(f" held by {held}" + (f"  {place}" if place else ""))
        rate = words.growth(finding)
        rates = f"{words.growth(before[number])} in A, {rate} in B" if before else rate
        yield line.append(f"\n    {finding.kind}, {words.confidence(finding.confidence)}; {rates}", style="dim")


def _paces(title: str, paces: Sequence[Pace], width: int) -> Iterator[Any]:
    if not paces:
        return
    yield ""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(title, overflow="fold")
    for name in ("", "A, per minute", "B, per minute"):
        table.add_column(name, justify="left" if not name else "right")
    for pace in paces[:_SHOWN]:
        name = words.shorten(words.printable(pace.name), max(20, width - 60))
        table.add_row(name, pace.what, rate_words(pace.before), rate_words(pace.after))
    yield table
    if len(paces) > _SHOWN:
        yield f"+ {len(paces) - _SHOWN} more (--format json has them)"


def rate_words(rate: Rate | None) -> str:
    """
    >>> rate_words(Rate(120.4, 118.0, 123.6)), rate_words(None)
    ('+120 (118 to 124)', '-')
    """
    if rate is None:
        return "-"
    return f"{units.plus(units.count(rate.per_minute))} ({units.count(rate.low)} to {units.count(rate.high)})"
