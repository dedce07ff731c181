"""What upgrades may do about the leaks of a run, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text as Line

from leakhunt.findings import Advice, Advised, PackageAdvice
from leakhunt.render import units, words
from leakhunt.render.console import Page


def advice(found: Advice, color: bool = False, width: int = 100, encoding: str = "utf-8") -> str:
    """The whole answer as text."""
    page = Page(color, width, encoding)
    for number, one in enumerate(found.findings):
        if number:
            page.print()
        for line in _lines(one, bool(found.notes)):
            page.print(line)
    for note in found.notes:
        page.print(Line(f"Note: {words.sentence(note)}"))
    if not found.findings:
        page.print(f"No leak was found in this run ({found.verdict}), so no upgrade is advised.")
    return page.text()


def _lines(one: Advised, is_unknown: bool) -> Iterator[Line]:
    yield Line(f"{one.rank}. {words.name(one.leak)}", style="bold")
    if one.known:
        yield Line(f"   {words.sentence(one.known)}", style="green" if one.install else "yellow")
    for package in one.packages:
        yield Line(f"   {_package(package)}")
    if not one.packages and not is_unknown:
        yield Line("   No installed package is on its chain: the program's own code keeps it.")
    if not one.known and one.packages:
        yield Line("   It is not known that a release fixed it." + (f" Type: {one.next}" if one.next else ""))


def _package(one: PackageAdvice) -> str:
    """
    >>> _package(PackageAdvice("aiohttp", "3.11.18", "3.14.5", 41))
    'aiohttp 3.11.18: 41 newer releases can be installed, the newest is 3.14.5'
    >>> _package(PackageAdvice("aiohttp", "3.14.5", "3.14.5"))
    'aiohttp 3.14.5: the newest release'
    """
    called = f"{words.name(one.name)} {words.name(one.version)}"
    if one.newer:
        return f"{called}: {units.plural(one.newer, 'newer release')} can be installed, the newest is {one.newest}"
    if one.newest:
        return f"{called}: the newest release"
    return f"{called}: {words.sentence(one.problem or 'its newer releases are not known').rstrip('.')}"
