"""Retaining chains as small trees: the root on top, every step under what holds it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text as Line
from rich.tree import Tree

from leakhunt.findings import Chain, Finding, Link
from leakhunt.render.console import Page
from leakhunt.render.words import name, short_type

LONGEST = 12
"""Steps of a path that are drawn; of a longer one, the middle is counted."""


def chain_trees(chains: Iterable[Chain], color: bool = False, width: int = 100, encoding: str = "utf-8") -> str:
    """Chains that begin alike share their trunk; classes with `__del__` are marked with its place."""
    page = Page(color, width, encoding)
    top = Tree("", hide_root=True)
    branches: dict[tuple[Link, ...], Tree] = {}
    for chain in chains:
        for depth in range(1, len(chain.links) + 1):
            trunk = chain.links[:depth]
            if trunk not in branches:
                branches[trunk] = branches.get(trunk[:-1], top).add(link_line(trunk[-1]))
    if branches:
        page.print(top)
    else:
        page.print("No chain: nothing that leakhunt can see holds such an object.")
    return page.text()


def finding_tree(finding: Finding) -> Tree | None:
    """The path to a finding's holder, and what grows under it; None when nothing holds it."""
    lines = _finding_lines(finding)
    if not lines:
        return None
    tree = at = Tree(lines[0])
    for line in _elided(lines[1:]):
        at = at.add(line)
    return tree


def link_line(link: Link) -> Line:
    """One step: label, type, and the finalizer's place when the class has one."""
    line = Line(name(link.label), style="bold")
    if link.type and link.type != link.label and (link.kind != "root" or not link.label):
        line.append(f"{'  ' if link.label else ''}{short_type(link.type, 60)}", style="dim")
    if link.finalizer:
        line.append(f"  ! __del__ at {name(link.finalizer)}", style="bold magenta")
    return line


def _finding_lines(finding: Finding) -> list[Line]:
    if finding.chain and finding.chain.links:
        lines = [link_line(link) for link in finding.chain.links]
    elif finding.holder and finding.holder.path:
        lines = [Line(name(step), style="bold") for step in finding.holder.path]
        lines[-1].append(f"  {short_type(finding.type, 60)}", style="dim")
    else:
        return []
    lines[-1].append("  <- grows here", style="red")
    return lines


def _elided(lines: Sequence[Line]) -> list[Line]:
    if len(lines) <= LONGEST:
        return list(lines)
    head, tail = LONGEST // 2 - 1, LONGEST // 2
    return [*lines[:head], Line(f"… {len(lines) - head - tail} more steps …", style="dim"), *lines[-tail:]]
