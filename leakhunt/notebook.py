"""Snapshots and runs as a notebook wants them: each shows itself, and answers the questions of the command line."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from markupsafe import Markup

from leakhunt import pipeline
from leakhunt.analysis.growth.age import spectra
from leakhunt.analysis.heap import chains as chains_module
from leakhunt.analysis.heap.dominators import dominators
from leakhunt.analysis.heap.graph import HeapGraph, Indexes, Ints
from leakhunt.analysis.heap.lineage import Lineage
from leakhunt.analysis.heap.naming import Names
from leakhunt.analysis.heap.representative import telling_class
from leakhunt.analysis.heap.retained import retained_tree
from leakhunt.analysis.report import diff as diff_module
from leakhunt.analysis.report import reference_graph
from leakhunt.display import (
    Chains,
    Graph,
    Page,
    Table,
    bars,
)
from leakhunt.errors import RunError, SnapshotError, UsageError
from leakhunt.findings import Diff, Finding, Findings, Retained
from leakhunt.render import series, treemap, units, words
from leakhunt.runfolder import ProcessFolder, read_run
from leakhunt.snapshot import Snapshot

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from leakhunt.query import Database


# Beginnings of holders' names: what IPython and its kernel keep of every cell, and who looks.
TOOLS = (
    "IPython.", "ipykernel.", "traitlets.", "jupyter_client.", "zmq.", "linecache.cache", "tornado.", "comm.",
    "asyncio.", "prompt_toolkit.", "matplotlib_inline.", "debugpy.", "_pydevd", "pydevd", "ast.", "leakhunt.", "guppy.",
)  # fmt: skip
Given: TypeAlias = "HeapView | Snapshot | str | Path"


def load(path: str | Path) -> HeapView | RunView:
    """A snapshot (a `.leak` file) or a run (its folder), ready to look at.

    Raises:
        SnapshotError, RunError: it can't be read.
    """
    return RunView(path) if Path(path).is_dir() else HeapView(Snapshot.load(path))


class HeapView:
    """One snapshot. What needs the object graph raises SnapshotError where it is a census only."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._graph: HeapGraph | None = None
        self._names: Names | None = None
        self._database: Database | None = None

    @property
    def graph(self) -> HeapGraph:
        if self._graph is None:
            self._graph = HeapGraph(self.snapshot)
        return self._graph

    @property
    def names(self) -> Names:
        if self._names is None:
            self._names = Names(self.graph)
        return self._names

    def top(self, limit: int = 25) -> Table:
        """Classes by bytes: all objects of a deep snapshot, what the collector lists of a census."""
        found = diff_module.counts(self.snapshot, self.snapshot.is_deep)
        ranked = sorted(found.items(), key=lambda item: -item[1][1])
        return Table(
            self._title(), ("class", "objects", "bytes"), tuple((n, c, b) for n, (c, b) in ranked), limit=limit
        )

    def diff(self, other: Given, third: Given | None = None) -> Table:
        """Classes from this snapshot to a later one; with a third, what was born before the second and lives in it.

        Raises:
            UsageError: they are of different processes.
        """
        others = [_snapshot(one) for one in (other, third) if one is not None]
        snapshots = sorted([self.snapshot, *others], key=lambda s: s.number("time"))
        if len({s.meta.get("pid") for s in snapshots}) > 1:
            raise UsageError("These snapshots are of different processes: their objects can't be compared.")
        return diff_table(diff_module.diff(snapshots))

    def left_behind(self, before: HeapView | Snapshot) -> Table:
        """What came since an earlier snapshot and is still held, by the nearest name of what was there already."""
        return left_behind(_snapshot(before), self.snapshot)

    def chains(self, type_name: str, limit: int = 3) -> Chains:
        """Why objects of a class (`module.qualname`) are alive: the commonest retaining chains."""
        return Chains(f"What keeps {type_name} alive", chains_module.chains(self.graph, type_name, limit))

    def backrefs(self, type_name: str, depth: int = 5, width: int = 4) -> Graph:
        """Who refers to objects of a class, as a picture."""
        found = chains_module.instances(self.graph, type_name)
        return Graph(reference_graph.backrefs(self.graph, self.names, found, depth, width))

    def treemap(self) -> Page:
        """What keeps the memory, to look around in: boxes of the dominator tree, each inside the one that keeps it."""
        whole = retained_tree(self.graph, self.names, dominators(self.graph))
        return _treemap(whole, self._title())

    def spectrum(self) -> Page:
        """How old the instances of each class are, by tenths of the collector's list; says so where that is unknown."""
        return _spectrum([self.snapshot], self._title())

    def plot(self, limit: int = 15) -> Figure:
        """Bytes by class."""
        return bars(self.top(limit), "class", "bytes")

    def sql(self, question: str) -> DataFrame:
        """The answer to a question in SQL as a data frame; the tables are those of `leakhunt query`.

        Raises:
            UsageError: DuckDB does not understand it, or the snapshot is in no file.
            LeakhuntError: duckdb or pyarrow is not installed.
        """
        if not self.snapshot.path:
            raise UsageError(
                "This snapshot is not in a file, so it cannot be queried.", "Take it with `leakhunt snapshot`."
            )
        if self._database is None:
            self._database = database(self.snapshot.path)
        return self._database.ask(question).to_pandas()

    def to_pandas(self) -> DataFrame:
        """Classes with their objects and bytes."""
        return self.top().to_pandas()

    def __repr__(self) -> str:
        return repr(self.top(10))

    def _repr_html_(self) -> str:
        return self.top(10)._repr_html_()

    def _title(self) -> str:
        meta = self.snapshot.meta
        parts = [f"Snapshot {meta.get('sequence', '?')} of process {meta.get('pid', '?')}"]
        if self.snapshot.is_deep:
            parts.append(units.plural(len(self.snapshot.column("object.address")), "object"))
        else:
            parts.append("a census")
        return ", ".join([*parts, f"at {units.duration(self.snapshot.number('elapsed'))}"])


class RunView:
    """A run folder: the verdict on it, and the questions of a snapshot put to its newest one with a graph."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._findings: Findings | None = None
        self._database: Database | None = None

    @property
    def findings(self) -> Findings:
        """The analysis, made when first asked for."""
        if self._findings is None:
            self._findings = pipeline.hunt(self.path)
        return self._findings

    @property
    def snapshots(self) -> list[HeapView]:
        """All snapshots of all processes, in order of time."""
        files = [file for process in read_run(self.path).processes for file in process.snapshots]
        return sorted((HeapView(Snapshot.load(file)) for file in files), key=lambda v: v.snapshot.number("time"))

    @property
    def deep(self) -> list[HeapView]:
        """The snapshots with a graph, without those taken at exit.

        Raises:
            RunError: there is none.
        """
        found = [v for v in self.snapshots if v.snapshot.is_deep and v.snapshot.meta.get("moment") != "exit"]
        if not found:
            raise RunError(f"{self.path} has no deep snapshot.", "Run longer, or with --deep every.")
        return found

    def top(self, limit: int = 25) -> Table:
        """Classes that grew most from the first to the last snapshot of the process that grew most."""
        rows = [
            (series.type, series.counts[0], series.counts[-1], series.counts[-1] - series.counts[0],
             series.bytes[-1] - series.bytes[0], process.pid)
            for process in self.findings.processes
            for series in process.classes
            if series.counts
        ]  # fmt: skip
        rows.sort(key=lambda row: -row[4])
        columns = ("class", "before", "after", "change", "change in bytes", "pid")
        return Table(f"Classes that grew in {self.path}", columns, tuple(rows), limit=limit)

    def diff(self) -> Table:
        """Classes from the first deep snapshot of the newest one's process to that one."""
        newest = self.deep[-1]
        same = [v for v in self.deep if v.snapshot.meta.get("pid") == newest.snapshot.meta.get("pid")]
        return same[0].diff(newest)

    def chains(self, type_name: str, limit: int = 3) -> Chains:
        """As of a snapshot: the newest one with a graph."""
        return self.deep[-1].chains(type_name, limit)

    def backrefs(self, type_name: str, depth: int = 5, width: int = 4) -> Graph:
        """As of a snapshot: the newest one with a graph."""
        return self.deep[-1].backrefs(type_name, depth, width)

    def treemap(self) -> Page:
        """What keeps the memory of the process that has most of it, to look around in."""
        found = [process.retained for process in self.findings.processes if process.retained is not None]
        if not found:
            raise RunError(f"{self.path} has no object graph to export.", "Run longer, or --deep every.")
        return _treemap(max(found, key=lambda whole: whole.size_bytes), f"What keeps the memory in {self.path}")

    def spectrum(self) -> Page:
        """How old the instances of each class are, over time, in the process with the most objects.

        Raises:
            RunError: there is no snapshot.
        """
        found = [(process, _censuses(process)) for process in read_run(self.path).processes]
        found = [(process, snapshots) for process, snapshots in found if snapshots]
        if not found:
            raise RunError(f"{self.path} has no readable snapshot.", "Run longer.")
        process, snapshots = max(found, key=lambda one: sum(count for count, _ in one[1][-1].census.values()))
        return _spectrum(snapshots, f"How old the objects of process {process.pid} in {self.path} are")

    def series(self, by: str = "class") -> Page:
        """Curves to pick from, of every process: by "class" in objects, in "bytes", or by "holder" in items."""
        if by not in ("class", "bytes", "holder"):
            raise UsageError(f"There are no curves by {by!r}.", 'Use "class", "bytes" or "holder".')
        from leakhunt.render.explore import series_page

        return Page(series_page(self.findings, by), f"<curves by {by} of {self.path}>", 520)

    def plot(self, by: str = "class") -> Picture:
        """Growth over time by "class" or by "holder", with RSS."""
        from leakhunt.render.plot import growth

        return Picture(growth(self.findings, "png", by), f"Growth over time in {self.path}")

    def sql(self, question: str) -> DataFrame:
        """The answer to a question in SQL as a data frame; the tables are those of `leakhunt query`.

        Raises:
            UsageError: DuckDB does not understand it.
            LeakhuntError: duckdb or pyarrow is not installed.
        """
        if self._database is None:
            self._database = database(self.path)
        return self._database.ask(question).to_pandas()

    def report(self) -> Report:
        """The whole HTML report, in a frame."""
        return Report(self.findings)

    def to_pandas(self) -> DataFrame:
        """One row for each finding."""
        return findings_table(self.findings).to_pandas()

    def __repr__(self) -> str:
        from leakhunt.render.text import Text

        return Text().render(self.findings).rstrip("\n")

    def _repr_html_(self) -> str:
        return findings_html(self.findings)


@dataclass(frozen=True)
class Picture:
    """A PNG."""

    png: bytes
    words: str

    def __repr__(self) -> str:
        return f"<{self.words}>"

    def _repr_png_(self) -> bytes:
        return self.png

    def save(self, path: str) -> None:
        Path(path).write_bytes(self.png)


@dataclass(frozen=True)
class Report:
    """The HTML report as a document of its own inside the page."""

    findings: Findings
    height: int = 720

    def __repr__(self) -> str:
        from leakhunt.render.text import Text

        return Text().render(self.findings).rstrip("\n")

    def _repr_html_(self) -> str:
        from leakhunt.render import renderer

        page = renderer("html")().render(self.findings)
        return Page(page if isinstance(page, str) else page.decode(), "", self.height)._repr_html_()


def _treemap(whole: Retained, title: str) -> Page:
    from leakhunt.render.explore import treemap_page

    boxes = "\n".join(f"  {treemap.told_of(box)}: {treemap.facts(box, whole)}" for box in whole.inside)
    return Page(treemap_page(whole, title), f"{title}\n{boxes}", 500)


AGES_UNKNOWN = (
    "Ages are not known here: this Python keeps its objects in no order of age, or an older leakhunt took the snapshot."
)


def _spectrum(snapshots: Sequence[Snapshot], title: str) -> Page:
    from leakhunt.render.explore import MOMENTS_MAX, largest, spectrum_page

    stride = max(1, -(-len(snapshots) // MOMENTS_MAX))
    chosen = [(snapshot.number("elapsed"), spectra(snapshot)) for snapshot in snapshots[::-1][::stride][::-1]]
    moments = [(seconds, {name: row.tolist() for name, row in found.items()}) for seconds, found in chosen if found]
    if not moments:
        return Page(spectrum_page((), title, AGES_UNKNOWN), f"{title}\n  {AGES_UNKNOWN}", 150)
    newest = moments[-1][1]
    rows = [
        f"  {series.bars(newest[name])}  {words.name(name)}: {units.count(sum(newest[name]))}"
        for name in largest(newest)[:15]
    ]
    told = "\n".join([title, "  old to new", *rows])
    return Page(spectrum_page(moments, title), told, 520)


def _censuses(process: ProcessFolder) -> list[Snapshot]:
    """The snapshots of a process that can be read, without the one at its exit."""
    found = []
    for path in process.snapshots:
        with contextlib.suppress(SnapshotError):
            found.append(Snapshot.load(path))
    return [snapshot for snapshot in found if snapshot.meta.get("moment") != "exit"]


def findings_table(findings: Findings) -> Table:
    """What was found, best first."""
    rows = tuple(
        (f.rank, f.kind, f.type, f.holder.owner if f.holder else "", words.holder_place(f.holder), f.confidence,
         f.growth.per_minute, f.retained_size_bytes, f.reason,
         words.origin(f.allocated_at) if f.allocated_at else "", words.origin(f.added_at) if f.added_at else "")
        for f in findings.findings
    )  # fmt: skip
    columns = (
        "rank",
        "kind",
        "class",
        "held by",
        "at",
        "confidence",
        "per minute",
        "retained bytes",
        "why",
        "made at",
        "put in at",
    )
    return Table(words.verdict_sentence(findings), columns, rows)


def findings_html(findings: Findings) -> str:
    """The verdict, then the findings, best first."""
    from leakhunt.render.html_pages import fill

    return fill(
        "cell_findings.html.j2",
        verdict=words.VERDICT_WORDS.get(findings.verdict, findings.verdict),
        sentence=words.verdict_sentence(findings),
        run=words.run_line(findings),
        findings=[_told(finding) for finding in findings.findings],
        notes=findings.notes,
    )


def _told(finding: Finding) -> dict[str, object]:
    """What leaks, who holds it, why we say so and what to do, with the chain folded away."""
    rows = [("growth", words.growth(finding)), ("why", words.sentence(finding.reason))]
    if finding.holder is not None:
        place = f"{words.name(finding.holder.owner)}  {words.holder_place(finding.holder)}"
        rows.insert(0, ("held by", place))
    rows += [(what, words.origin(origin)) for what, origin in words.origins(finding)]
    rows += [(what, words.sentence(why)) for what, _, why in (text.partition(": ") for text in finding.unseen)]
    rows.append(("fix", words.sentence(finding.advice)))
    return {
        "title": f"{finding.rank}. {words.name(finding.type or finding.kind)} ({words.confidence(finding.confidence)})",
        "rows": [(name, text) for name, text in rows if text],
        "chain": Markup(Chains("", (finding.chain,))._repr_html_()) if finding.chain is not None else "",
    }


def diff_table(diff: Diff) -> Table:
    """Classes that changed, largest growth in bytes first."""
    deep, middle = any(row.births is not None for row in diff.rows), diff.middle is not None
    columns = ["class", "before", "after", "change", "change in bytes"]
    columns += ["born", "died", "survived"] * deep + ["kept from middle"] * (deep and middle)
    rows = []
    for row in diff.rows:
        if row.before == row.after and row.bytes_before == row.bytes_after and not row.births:
            continue
        cells: list[Any] = [row.type, row.before, row.after, row.after - row.before, row.bytes_after - row.bytes_before]
        cells += [row.births, row.deaths, row.survivors] if deep else []
        cells += [row.alive_from_middle] if deep and middle else []
        rows.append(tuple(cells))
    return Table(f"Classes over {units.duration(diff.seconds)}", tuple(columns), tuple(rows), " ".join(diff.notes))


def left_behind(before: Snapshot, after: Snapshot, ignored: Sequence[str] = TOOLS) -> Table:
    """New objects that are held, by the nearest name of the old object that leads to them.

    Args:
        ignored: beginnings of holders' names that are left out.
    """
    lineage = Lineage([HeapGraph(before), HeapGraph(after)])
    graph = lineage.last
    reached, parents = graph.tree
    names = Names(graph, parents)
    is_new = lineage.is_new(0) & reached
    new = np.flatnonzero(is_new)
    tops = _tops(new, is_new, parents, graph.count)
    modules = {root.label for root in graph.roots if root.kind == "module"}
    by_holder: dict[str, list[int]] = {}
    for top in np.unique(tops).tolist():
        holder = _holder_name(names, top)
        is_passing = graph.type_name(top).startswith(("builtins.frame", "leakhunt."))
        # What a module itself is said to hold are the names of its new globals.
        if not is_passing and holder not in modules and not holder.startswith(tuple(ignored)):
            by_holder.setdefault(holder, []).append(top)
    rows = []
    for holder, direct in by_holder.items():
        objects = new[np.isin(tops, direct)]
        kind = telling_class(graph, np.array(direct), is_new)
        rows.append((holder, kind, len(objects), int(graph.sizes[objects].sum())))
    rows.sort(key=lambda row: -row[3])
    total, size = sum(row[2] for row in rows), sum(row[3] for row in rows)
    title = f"Left behind: {units.plural(total, 'object')}, {units.size(size)}" if rows else "Left behind: nothing"
    return Table(title, ("held by", "class", "objects", "bytes"), tuple(rows))


def database(path: str | Path) -> Database:
    """The tables of a run or a snapshot."""
    from leakhunt.query import Database

    return Database(path)


def _tops(new: Ints, is_new: np.ndarray, parents: Indexes, count: int) -> Ints:
    """For each new object, the uppermost new one on its way from the root: the one that something old refers to."""
    up = np.arange(count + 1)
    inside = new[(parents[new] >= 0) & (parents[new] < count)]
    inside = inside[is_new[parents[inside]]]
    up[inside] = parents[inside]
    while True:
        further = up[up]
        if np.array_equal(further, up):
            return up[new]
        up = further


def _holder_name(names: Names, index: int) -> str:
    owners = names.owners(index)
    return owners[0] if owners else names.root_of(index)


def _snapshot(one: Given) -> Snapshot:
    if isinstance(one, HeapView):
        return one.snapshot
    return one if isinstance(one, Snapshot) else Snapshot.load(one)
