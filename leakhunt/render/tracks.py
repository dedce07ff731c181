"""`leakhunt report RUN --why NAME` on a terminal: the track of each candidate of that name."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text as Line

from leakhunt.findings import DoubtTold, Track, Tracks
from leakhunt.render import series, units, words
from leakhunt.render.console import Page

SHOWN = 12


class TracksText:
    """At most `limit` tracks are told in full."""

    def __init__(self, color: bool = False, width: int = 100, encoding: str = "utf-8", limit: int = SHOWN) -> None:
        self.color, self.width, self.encoding, self.limit = color, width, encoding, limit

    def render(self, found: Tracks) -> str:
        page = Page(self.color, self.width, self.encoding)
        asked = words.name(found.asked)
        if not found.tracks:
            page.print(Line(f"Nothing called {asked} was ever a candidate.", style="bold"))
            for line in _instead(found):
                page.print(Line(line))
            return page.text()
        named = sum(track.named for track in found.tracks)
        candidates = units.plural(len(found.tracks), "candidate", "candidates")
        page.print(Line(f"{candidates} for {asked}, {named or 'none'} of them named.", style="bold"))
        for track in found.tracks[: self.limit]:
            page.print()
            page.print(_title(track))
            page.print(_table(track, page.ascii))
        if len(found.tracks) > self.limit:
            page.print(f"\n+ {len(found.tracks) - self.limit} more (--format json shows all)")
        return page.text()


def _instead(found: Tracks) -> Iterator[str]:
    if found.seen:
        yield words.sentence(found.seen)
    if found.near:
        yield f"Candidates with names like it: {', '.join(map(words.name, found.near))}."
    elif not found.seen:
        yield "Ask by the name of a class (shop.Session) or of a place (shop.Store.sessions), or by the end of one."


def _title(track: Track) -> Line:
    line = Line(words.name(track.type or track.kind), style="bold")
    return line.append(f" in {words.name(track.owner)}" if track.owner else "").append(
        f"  (process {track.pid})", "dim"
    )


def _table(track: Track, ascii_only: bool) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(track, ascii_only):
        table.add_row(f"   {name}", Line(value))
    return table


def _rows(track: Track, ascii_only: bool) -> Iterator[tuple[str, str]]:
    yield "seen", f"{words.printable(track.what)}{_course(track, ascii_only)}"
    yield "measured", track.measured
    for doubt in track.doubts:
        yield "doubted", words.sentence(f"{doubt.sentence} ({doubt.name}: {_effect(doubt)})")
    if not track.doubts:
        yield "doubted", "by nothing"
    yield "outcome", _outcome(track)
    if track.aliases:
        yield "also", ", ".join(map(words.name, track.aliases[:3]))


def _course(track: Track, ascii_only: bool) -> str:
    if not track.items:
        return ""
    number = units.size if track.in_bytes else units.count
    line = "" if ascii_only else f" {series.spark(track.items)}"
    return f":{line} {number(track.items[0])} to {number(track.items[-1])}"


def _effect(doubt: DoubtTold) -> str:
    if doubt.ends:
        return "no leak of its own"
    return f"{doubt.less:.0%} less sure" if doubt.less else f"{doubt.at_most:.0%} sure at most"


def _outcome(track: Track) -> str:
    if track.named:
        return f"named, as {track.kind}, {track.confidence:.0%} sure"
    if any(doubt.ends for doubt in track.doubts):
        return "not named"
    return f"not named: {track.confidence:.0%} sure, and an accusation takes {track.needed:.0%}"
