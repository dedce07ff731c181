"""The answer of `leakhunt bisect`, on a terminal: the sentence, then a row for each run."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text as Line

from leakhunt.findings import Bisection, Trial
from leakhunt.render import units, words
from leakhunt.render.console import Page

_STYLES = {"leaks": "red", "clean": "green", "unclear": "yellow", "fails": "yellow", "not installable": "yellow"}
_AGAIN = {"longer": ", for longer", "again": ", once more", "again-longer": ", once more and longer"}


def bisection(found: Bisection, color: bool = False, width: int = 100, encoding: str = "utf-8") -> str:
    """The whole answer as text."""
    page = Page(color, width, encoding)
    page.print(Line(headline(found), style="bold green" if found.is_certain else "bold yellow"))
    page.print(Line(f"the leak: {words.sentence(found.finding.sentence)}", style="dim"))
    page.print()
    page.print(_table(found))
    for note in found.notes:
        page.print(Line(f"Note: {words.sentence(note)}"))
    if found.untried:
        page.print(
            Line(f"{units.plural(found.untried, 'release')} of the range did not have to be tried.", style="dim")
        )
    return page.text()


def headline(found: Bisection) -> str:
    """The answer in one line.

    >>> headline(Bisection("aiohttp", "fixed", None, "3.12.2", "3.12.3", sentence="fixed in aiohttp 3.12.3",
    ...     advice="aiohttp>=3.12.3", is_certain=True))
    'fixed in aiohttp 3.12.3: pin aiohttp>=3.12.3'
    """
    return f"{found.sentence}: pin {found.advice}" if found.advice else found.sentence


def _table(found: Bisection) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(found.subject, no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("why", overflow="fold")
    table.add_column("seconds", justify="right")
    for trial in found.trials:
        style = _STYLES.get(trial.state, "")
        table.add_row(trial.release, Line(trial.state, style=style), _why(trial), f"{trial.seconds:.0f}")
    return table


def _why(trial: Trial) -> str:
    moved = f"; with {', '.join(trial.moved)}" if trial.moved else ""
    return words.printable(f"{trial.why}{_AGAIN.get(trial.attempt, '')}{moved}")
