"""A fleet on a terminal: its leaks, the releases, the workers unlike their peers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text as Line

from leakhunt.findings import Fleet, FleetFinding, OddWorker
from leakhunt.render import units, words
from leakhunt.render.console import Page

_FINDINGS, _ODD, _RELEASES = 8, 10, 8


def fleet(found: Fleet, color: bool = False, width: int = 100, encoding: str = "utf-8") -> str:
    """The report as text."""
    page = Page(color, width, encoding)
    page.print(Line(headline(found), style="bold red" if found.findings else "bold green"))
    page.print(Line(f"{words.printable(found.place)}, asked by {found.engine}", style="dim"))
    for renderable in _body(found):
        page.print(renderable)
    return page.text()


def headline(found: Fleet) -> str:
    """The fleet in one line."""
    leaks = units.plural(len(found.findings), "leak") if found.findings else "No leak"
    lost = sum(finding.lost_bytes for finding in found.findings)
    took = f", {units.size(lost)} lost to them" if lost else ""
    who = f"{units.plural(found.processes, 'process', 'processes')} on {units.plural(found.hosts, 'host')}"
    return f"{leaks} in {who}{took}"


def has_it(finding: FleetFinding) -> str:
    """Who has a leak, since when, and what it takes."""
    who = f"{finding.processes:,} of {finding.watched:,} processes on {units.plural(finding.hosts, 'host')}"
    since = f"since release {words.name(finding.since_release)} ({day(finding.since)})"
    rate = f"{units.plus(units.size(finding.bytes_per_hour))} an hour in each"
    return f"{who}, {since}; {rate}, {units.size(finding.lost_bytes)} lost in all"


def day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def odd_words(one: OddWorker) -> tuple[str, str]:
    """(what a worker has, what its peers have)"""
    if one.what == "memory":
        return f"{units.plus(units.size(one.value))} an hour", f"{units.plus(units.size(one.median))} an hour"
    return f"{one.value:.1%} of bytes are {words.short_type(one.what)}", f"{one.median:.1%}"


def _body(found: Fleet) -> Iterator[Any]:
    for finding in found.findings[:_FINDINGS]:
        held = f" held by {words.name(finding.holder)}" if finding.holder else ""
        place = words.place(finding.file, finding.line)
        yield Line(f"\n{finding.fingerprint}  {words.name(finding.type or finding.kind)}{held}", style="bold").append(
            f"  {place}" if place else "", style="not bold"
        )
        yield Line(f"  {words.name(finding.service)}: {has_it(finding)}")
        yield from (Line(f"  {line}", style="dim") for line in _spreads(finding))
    if len(found.findings) > _FINDINGS:
        yield f"\n+ {len(found.findings) - _FINDINGS} more (--format json has them)"
    yield ""
    yield _releases(found)
    if found.odd:
        yield ""
        yield _odd(found)
    yield ""
    yield from (Line(f"Note: {words.sentence(note)}") for note in found.notes)


def _spreads(finding: FleetFinding) -> Iterator[str]:
    for one in finding.releases[-_RELEASES:]:
        between = f"{units.size(one.lower)} to {units.size(one.upper)}"
        yield (
            f"{words.name(one.release)}: {one.processes:,} of {one.of:,} processes, "
            f"{units.plus(units.size(one.median))} an hour (middle half: {between})"
        )


def _releases(found: Fleet) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("service", "release", "since"):
        table.add_column(name)
    for name in ("processes", "hosts", "memory", "growth an hour", "middle half"):
        table.add_column(name, justify="right")
    for one in found.releases[-_RELEASES:]:
        table.add_row(
            words.name(one.service), words.name(one.release), day(one.since), f"{one.processes:,}", f"{one.hosts:,}",
            units.size(one.rss_bytes), units.plus(units.size(one.median)),
            f"{units.size(one.lower)} to {units.size(one.upper)}",
        )  # fmt: skip
    return table


def _odd(found: Fleet) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("unlike its peers", "it has", "they have"):
        table.add_column(name, overflow="fold")
    table.add_column("z", justify="right")
    for one in found.odd[:_ODD]:
        where = (
            f"{words.name(one.host)} {words.name(one.process)} of {words.name(one.service)} {words.name(one.release)}"
        )
        table.add_row(where, *odd_words(one), f"{one.z:+.0f}")
    if len(found.odd) > _ODD:
        table.add_row(f"+ {len(found.odd) - _ODD} more (--format json)", "", "", "")
    return table
