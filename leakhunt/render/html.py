"""The report as one file that opens in any browser, offline, and says the verdict first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from leakhunt.findings import Finding, Findings, Link, ProcessSummary
from leakhunt.render import flames, treemap, units, words
from leakhunt.render.chart import Chart, Curve
from leakhunt.render.classes import class_data, class_rows
from leakhunt.render.collapse import fold
from leakhunt.render.html_pages import fill, inline_svg
from leakhunt.render.layout import lay_out
from leakhunt.render.selection import top_processes
from leakhunt.render.series import trend

_FINDINGS, _PROCESSES, _ROWS_WITHOUT_SCRIPT, _BOXES = 12, 24, 40, 40


@dataclass(frozen=True)
class Step:
    """One link of a holder path as the page shows it."""

    label: str
    type: str
    finalizer: str = ""
    place: str = ""
    is_holder: bool = False


class Html:
    """Styles, scripts and pictures are inside; nothing is fetched."""

    def render(self, findings: Findings) -> str:
        rows = next((class_rows(process) for process in findings.processes if process.classes), [])
        return fill(
            "report.html.j2",
            findings=findings,
            verdict=words.VERDICT_WORDS.get(findings.verdict, findings.verdict.upper()),
            sentence=words.verdict_sentence(findings),
            run_line=words.run_line(findings),
            told=[self._told(findings, finding) for finding in findings.findings[:_FINDINGS]],
            more=max(0, len(findings.findings) - _FINDINGS),
            maps=list(_maps(findings)),
            ledgers=[_ledger(process) for process in findings.processes[:_PROCESSES]],
            more_processes=max(0, len(findings.processes) - _PROCESSES),
            class_data=class_data(findings),
            class_rows=rows[:_ROWS_WITHOUT_SCRIPT],
            class_count=len(rows),
        )

    def _told(self, findings: Findings, finding: Finding) -> dict[str, object]:
        """What the template shows of one finding, next to the finding itself."""
        number = finding.rank or findings.findings.index(finding) + 1
        return {
            "finding": finding,
            "number": number,
            "means": words.KIND_MEANS.get(finding.kind, ""),
            "confidence": words.confidence(finding.confidence),
            "growth": words.growth(finding),
            "chart": growth_chart(findings, finding),
            "steps": steps(finding),
            "holder_place": words.holder_place(finding.holder),
            "finalizers": [(f, words.place(f.file, f.line)) for f in finding.finalizers],
            "next": words.next_command(findings, finding),
            "origins": list(_origins(finding)),
            "unseen": [unseen.split(": ", 1) for unseen in finding.unseen],
            **_back_references(finding, number),
        }


def _origins(finding: Finding) -> Iterator[dict[str, object]]:
    """Who makes the objects and who puts them in, each with its flame graph."""
    for what, title, origin in (
        ("made at", "Who makes it", finding.allocated_at),
        ("put in at", "Who puts it in", finding.added_at),
    ):
        if origin is not None:
            yield {
                "what": what,
                "title": title,
                "line": words.origin(origin),
                "source": origin.source,
                "callers": [text for _, text in words.callers(origin)],
                "flames": flames.svg(origin, what),
            }


def growth_chart(findings: Findings, finding: Finding) -> Markup:
    """Counts (or bytes, where nothing is counted) with their trend, and the moments of deep snapshots."""
    growth = finding.growth
    by_count = any(growth.counts)
    values = growth.counts if by_count else growth.bytes
    write = units.count if by_count else units.size
    curves = [Curve(growth.seconds, values)]
    line = trend(growth.seconds, values)
    if line and len(growth.seconds) > 2:
        ends = (growth.seconds[0], growth.seconds[-1])
        curves.append(Curve(ends, [line[0] * x + line[1] for x in ends], "trend"))
    told = f"{words.name(finding.type)} over time: {words.growth(finding)}"
    if values:
        told += f", from {write(values[0])} to {write(values[-1])}"
    return Chart(told, curves, write, _deep_seconds(findings, finding)).svg()


def _deep_seconds(findings: Findings, finding: Finding) -> tuple[float, ...]:
    """Of the process the finding is about; of the first one where it does not say."""
    near = [p for p in findings.processes if p.pid in finding.pids] or findings.processes[:1]
    return near[0].deep_seconds if near else ()


def steps(finding: Finding) -> list[Step]:
    """The path from the root, link by link; the holder is marked, and its name carries its place in the source."""
    if not finding.chain:
        return [Step(words.name(word), "") for word in finding.holder.path] if finding.holder else []
    links = finding.chain.links
    holder_at, place_at = _holder_index(finding, links), _place_index(finding, links)
    return [
        Step(
            words.name(link.label),
            "" if link.kind == "root" and link.label else words.short_type(link.type, 80),
            words.name(link.finalizer or ""),
            words.holder_place(finding.holder) if number == place_at else "",
            number == holder_at,
        )
        for number, link in enumerate(links)
    ]


def _holder_index(finding: Finding, links: Sequence[Link]) -> int:
    """The last link of the holder's type above what grows; -1 when the chain has none."""
    kind = finding.holder.type if finding.holder else ""
    return max((n for n, link in enumerate(links[:-1]) if link.type == kind), default=-1)


def _place_index(finding: Finding, links: Sequence[Link]) -> int:
    """The last link whose label is the last word of the owner's name, for a list in a dict is nameless; -1 for none."""
    word = finding.holder.owner.rsplit(".", 1)[-1].strip("<>") if finding.holder else ""
    return max((n for n, link in enumerate(links) if word and word in link.label), default=-1)


def _back_references(finding: Finding, number: int) -> dict[str, object]:
    """The graph as a picture, and the boxes into which something is folded."""
    if not finding.graph or not finding.graph.nodes:
        return {"picture": "", "folded": []}
    graph = fold(finding.graph, _BOXES)
    return {
        "picture": inline_svg(lay_out(graph), f"folded-{number}-"),
        "folded": [node for node in graph.nodes if node.inside],
    }


def _maps(findings: Findings) -> Iterator[dict[str, object]]:
    """Treemaps of each process, one for wide pages and one for phones; the list of boxes is the template's."""
    for process in top_processes(findings):
        whole = process.retained
        if whole and whole.inside:
            ranks = treemap.ranks_by_name(findings.findings[:_FINDINGS], process.pid)
            pictures = [treemap.svg(whole, shape, ranks) for shape in (treemap.WIDE, treemap.NARROW)]
            yield {"pid": process.pid, "whole": whole, "ranks": ranks, "pictures": pictures}


def _ledger(process: ProcessSummary) -> dict[str, object]:
    """The memory figures of one process as small charts, and what watching it cost."""
    pauses = process.pause_ms
    lasted = max(process.seconds, default=0.0) - min(process.seconds, default=0.0)
    rows = (
        ("RSS", process.rss_bytes, units.size),
        ("Objects under gc", process.gc_objects, units.count),
        ("Allocated blocks", process.allocated_blocks, units.count),
    )
    return {
        "process": process,
        "growth": words.ledger(process.ledger),
        "charts": [
            (name, write(values[0]), write(values[-1]), _small_chart(name, process, values, write))
            for name, values, write in rows
            if values
        ],
        "pause_total": units.duration(sum(pauses) / 1000) if pauses else "?",
        "pause_longest": units.duration(max(pauses) / 1000) if pauses else "?",
        "pause_share": f"{sum(pauses) / 10 / lasted:.2g}%" if pauses and lasted else "?",
    }


def _small_chart(name: str, process: ProcessSummary, values: tuple[int, ...], write: units.Write) -> Markup:
    told = f"{name} of process {process.pid} over time, from {write(values[0])} to {write(values[-1])}"
    return Chart(told, [Curve(process.seconds, values)], write, process.deep_seconds).svg()
