"""The report on a terminal: one screen, the verdict first, the next command last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table
from rich.text import Text as Line

from leakhunt.findings import Finalizer, Finding, Findings, Origin
from leakhunt.render import series, units, words
from leakhunt.render.console import Page
from leakhunt.render.tables import diff_table, process_table
from leakhunt.render.trees import chain_trees, finding_tree

__all__ = ["Text", "chain_trees", "diff_table"]

_VERDICT_STYLE = {"leak": "bold red", "healthy": "bold green", "inconclusive": "bold yellow"}
_PROCESSES = 8


class Text:
    """`limit` findings are told in full; colour only repeats what words say."""

    def __init__(self, color: bool = False, width: int = 100, encoding: str = "utf-8", limit: int = 3) -> None:
        self.color, self.width, self.encoding, self.limit = color, width, encoding, limit

    def render(self, findings: Findings) -> str:
        page = Page(self.color, self.width, self.encoding)
        page.print(_headline(findings))
        page.print(Line(words.run_line(findings), style="dim"))
        for finding in findings.findings[: self.limit]:
            page.print()
            page.print(_title(finding))
            page.print(_finding_rows(findings, finding, page.ascii))
        for line in self._footer(findings):
            page.print(line)
        return page.text()

    def _footer(self, findings: Findings) -> Iterator[Any]:
        hidden = len(findings.findings) - self.limit
        if hidden > 0:
            run = words.quote(findings.run.path or "RUN")
            yield Line(f"\n+ {hidden} more (leakhunt report {run} --format json)")
        if len(findings.processes) > 1:
            yield ""
            yield process_table(findings.processes[:_PROCESSES], self.width)
        if len(findings.processes) > _PROCESSES:
            yield f"+ {units.plural(len(findings.processes) - _PROCESSES, 'more process', 'more processes')}"
        grown = words.ledger(findings.ledger)
        if grown:
            yield Line(f"\n{grown}", style="dim")
        yield from _notes(findings)


def _headline(findings: Findings) -> Line:
    line = Line(words.VERDICT_WORDS.get(findings.verdict, findings.verdict.upper()))
    line.stylize(_VERDICT_STYLE.get(findings.verdict, "bold"))
    return line.append(f"  {words.verdict_sentence(findings)}", style="bold")


def _title(finding: Finding) -> Line:
    line = Line(f"{finding.rank or 1}. {words.name(finding.type)}", style="bold")
    return line.append(f"  ({words.confidence(finding.confidence)})", style="not bold")


def _notes(findings: Findings) -> Iterator[Line]:
    notes = [*findings.notes, *words.process_notes(findings)]
    if notes:
        yield Line("")
    yield from (Line(f"Note: {words.sentence(note)}") for note in notes)


def _finding_rows(findings: Findings, finding: Finding, ascii_only: bool) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(findings, finding, ascii_only):
        if value:
            table.add_row(f"   {name}", Line(value) if isinstance(value, str) else value)
    return table


def _rows(findings: Findings, finding: Finding, ascii_only: bool) -> Iterator[tuple[str, Any]]:
    kind = f"{finding.kind}: {words.KIND_MEANS.get(finding.kind, '')}".rstrip(": ")
    yield "kind", kind
    yield "growth", _growth(finding, ascii_only)
    yield "why", words.sentence(finding.reason)
    yield "held by", _holder(finding)
    yield "path", finding_tree(finding)
    yield "each keeps", words.unit(finding)
    yield "also", ", ".join(words.short_type(name) for name in finding.also_growing[:5])
    yield "made at", origin_lines(finding.allocated_at)
    yield "put in at", origin_lines(finding.added_at)
    for unseen in finding.unseen:
        what, _, why = unseen.partition(": ")
        yield what, words.sentence(why)
    for finalizer in finding.finalizers[:3]:
        yield "__del__", _finalizer(finalizer)
    if finding.packages:
        yield "packages", words.packages(finding)
    yield "fix", words.sentence(finding.advice)
    yield "next", Line(words.next_command(findings, finding), style="bold")


def origin_lines(origin: Origin | None) -> Line | str:
    """The line that makes or keeps the objects, how often it was it, its source, and who called it."""
    if origin is None:
        return ""
    line = Line(words.origin(origin), style="bold")
    if origin.source:
        line.append(f"\n{words.name(origin.source)}", style="not bold")
    for depth, text in words.callers(origin):
        line.append(f"\n{'  ' * depth}{text}", style="dim not bold")
    return line


def _growth(finding: Finding, ascii_only: bool) -> str:
    counts = finding.growth.counts
    parts = [words.growth(finding)]
    if counts:
        line = "" if ascii_only else f"{series.spark(counts)} "
        parts.append(f"{line}{units.count(counts[0])} to {units.count(counts[-1])}")
    if finding.retained_size_bytes:
        parts.append(f"keeps {units.size(finding.retained_size_bytes)} alive")
    return " · ".join(parts)


def _holder(finding: Finding) -> Line | str:
    if finding.holder is None:
        return "nothing that leakhunt can see"
    line = Line(words.name(finding.holder.owner), style="bold")
    line.append(f"  {words.holder_place(finding.holder)}")
    if finding.holder.aliases:
        line.append(f"\nalso known as {', '.join(map(words.name, finding.holder.aliases[:2]))}", style="dim")
    return line


def _finalizer(finalizer: Finalizer) -> str:
    parts = [words.name(finalizer.type), words.place(finalizer.file, finalizer.line)]
    named = "  ".join(part for part in parts if part)
    facts = [
        words.sentence(finalizer.says).removesuffix("."),
        f"pins {units.size(finalizer.pins_bytes)}" if finalizer.pins_bytes else "",
    ]
    if not finalizer.says:
        facts += ["brings objects back" if finalizer.resurrects else "", "in a cycle" if finalizer.in_cycle else ""]
    return ": ".join(filter(None, (named, "; ".join(filter(None, facts)))))
