"""Where the steps meet: a run folder becomes Findings, snapshots become a diff, chains or a graph."""

from __future__ import annotations

import contextlib
import gc
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from leakhunt import births, config, packages, releases, source_lines
from leakhunt.analysis.growth.evidence import EXIT, Evidence
from leakhunt.analysis.growth.holders import Place
from leakhunt.analysis.growth.known import BUILT_IN, Known
from leakhunt.analysis.growth.trends import Floats
from leakhunt.analysis.heap import chains as chains_module
from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.analysis.heap.naming import Names
from leakhunt.analysis.policy import POLICY
from leakhunt.analysis.report import diff as diff_module
from leakhunt.analysis.report import reference_graph, sampling_notes, to_findings
from leakhunt.analysis.report.judgement import Judgement, rank, suspect
from leakhunt.analysis.rules import ledger, siblings, tracks
from leakhunt.analysis.rules.siblings import Life
from leakhunt.births import Births
from leakhunt.errors import RunError, SnapshotError, UsageError
from leakhunt.findings import (
    Caller,
    Chain,
    ClassSeries,
    Diff,
    Finding,
    Findings,
    HolderSeries,
    Origin,
    Package,
    ProcessSummary,
    RefGraph,
    RunSummary,
    Track,
    Tracks,
)
from leakhunt.runfolder import ProcessFolder, RunFolder, newest, read_run
from leakhunt.snapshot import Snapshot

Progress = Callable[[str, float], None]
DEEP_MAX, DEEP_OBJECTS_MAX = 14, 6_000_000  # graphs compared, at the most, and objects in all of them
DEEP_FEWEST = 5
CENSUSES_MAX = 1200  # of one process: more points say no more of a trend, and take seconds to read
BEHIND = 1.5  # times the interval that snapshots came apart on the whole: the budget or the machine sets the pace
SIBLINGS_MAX = 24  # processes that are judged together, the newest
_NUMBER = re.compile(r"\d+")
CLASSES_MAX, HOLDERS_MAX = 400, 40
_LOST = re.compile(r"(\d{1,9}) snapshots? lost:", re.ASCII)


def load(path: str | Path) -> Snapshot:
    """One snapshot; see `Snapshot.load`."""
    return Snapshot.load(path)


def hunt(run: str | Path, progress: Progress | None = None, known: Known | None = None) -> Findings:
    """Analyse a run folder: every process of it, the same leak in several of them named once.

    Args:
        progress: called with what is done now and the share of the whole that is done.
        known: holders that are harmless, and what to do about others; by default what the project says (`config`).

    Raises:
        RunError: the folder is no run.
    """
    folder = read_run(run)
    known = config.known_places() if known is None else known
    tell = progress or (lambda text, share: None)
    judged = []
    several = {n for same in siblings.groups(map(_kind, folder.processes)).values() if len(same) > 1 for n in same}
    for number, process in enumerate(folder.processes):
        tell(f"reading process {process.pid}", number / len(folder.processes))
        judged.append(_judge(process, _part(tell, number, len(folder.processes)), known, number in several))
        gc.collect()
    _judge_siblings(folder, judged, known)
    tell("done", 1.0)
    return with_packages(_together(folder, judged), folder)


def why(run: str | Path, asked: str, progress: Progress | None = None, known: Known | None = None) -> Tracks:
    """The tracks of all candidates of a name in a run: what was seen and measured, what doubted it, named or not.

    Args:
        asked: a place as a report names it, a class, or the end of either at a dot.

    Raises:
        RunError: the folder is no run.
    """
    folder = read_run(run)
    known = config.known_places() if known is None else known
    tell = progress or (lambda text, share: None)
    found: list[Track] = []
    names: set[str] = set()
    seen = ""
    for number, process in enumerate(folder.processes):
        tell(f"judging process {process.pid}", number / len(folder.processes))
        evidence = evidence_of(process, known)
        if evidence is None:
            continue
        candidates = Judgement(evidence).candidates
        found += [tracks.track(evidence, c, process.pid) for c in tracks.matching(evidence, candidates, asked)]
        names.update(name for c in candidates for name in tracks.names_of(evidence, c))
        seen = seen or (tracks.seen_of(evidence, asked) if evidence.censuses else "")
        gc.collect()
    tell("done", 1.0)
    return Tracks(asked, tuple(found), () if found else tracks.near(names, asked), "" if found else seen)


def _part(tell: Progress, number: int, of: int) -> Progress:
    """Progress of one process as progress of the whole."""
    return lambda text, share: tell(text, (number + share) / of)


class _Judged:
    """One process after judgement: its summary, its accusations, and what is to be said besides."""

    def __init__(
        self,
        summary: ProcessSummary,
        findings: list[Finding],
        enough: bool = False,
        needed_seconds: float = 0.0,
        suspect: str = "",
        unseen: str = "",
        left_open: str = "",
        intervals: float = 0.0,
        worked_seconds: float = 0.0,
        lives: list[Life] | None = None,
        levels: Mapping[str, float] | None = None,
    ) -> None:
        self.summary, self.findings, self.enough, self.needed_seconds = summary, findings, enough, needed_seconds
        self.suspect = suspect  # what is worth watching most, where something is
        self.unseen = unseen  # why it was not seen to its end, "" where it was
        self.intervals = intervals  # for how many it was watched
        self.worked_seconds = worked_seconds  # processor time, without the agent's; 0.0 where it was not told
        self.lives = lives  # what it shows of places that grew; None where it was seen long enough by itself
        self.levels = levels or {}  # items of places that stopped growing, by owner
        self.left_open = left_open  # why the growth that is not accounted for forbids "healthy"


def _judge(process: ProcessFolder, tell: Progress, known: Known, has_siblings: bool = False) -> _Judged:
    snapshots, notes = _readable(process)
    if not snapshots:
        lived = process.info.get("lived")
        notes.append(
            f"It ended after {lived} s, too soon for a snapshot." if lived else "It left no snapshot that can be read."
        )
        unseen = process.problems or ("no snapshot of it can be read" if process.snapshots else "")
        return _Judged(ProcessSummary(process.pid, process.command, 0, notes=tuple(notes)), [], unseen=unseen)
    evidence = Evidence(_thinned(snapshots), known, births=answers(process))
    tell(f"weighing process {process.pid}", 0.3)
    judgement = Judgement(evidence)
    tell(f"naming what process {process.pid} holds", 0.7)
    accused = [to_findings.finding(evidence, v, process.pid) for v in judgement.accused]
    findings = [placed(process.info, evidence, finding) for finding in accused]
    notes += sampling_notes.notes(snapshots)
    notes += [f"Worth watching, not sure enough to accuse: {suspect(v)} ({v.reason})." for v in judgement.watched]
    suspects = [suspect(v) for v in judgement.watched[:1]]
    book = ledger.ledger(evidence, [verdict for verdict in judgement.candidates if not verdict.is_ended])
    summary = replace(_summary(process, snapshots, evidence, notes), ledger=ledger.told(book))
    has_bounded = any(place.is_bounded or known.is_harmless(place.owner) for place in evidence.places)
    left_open = ledger.left_open(book, evidence.policy, has_bounded) if book is not None else ""
    suspected = suspects[0] if suspects else ""
    unseen = _unseen(process, snapshots)
    last, enough = snapshots[-1], judgement.is_enough
    lives = siblings.lives(evidence) if has_siblings and len(evidence.deep) > 1 else None
    return _Judged(
        summary, findings, enough, judgement.needed_seconds, suspected, unseen, left_open, evidence.intervals,
        max(0.0, last.number("process_cpu_seconds") - last.number("spent_seconds")),
        None if enough else lives, siblings.levels(lives or []),
    )  # fmt: skip


def _judge_siblings(folder: RunFolder, judged: list[_Judged], known: Known) -> None:
    """Judge processes together that run the same code and were seen too shortly each: recycled workers.

    What they show together becomes a finding of the one that shows most of it, and they count as seen.
    """
    for numbers in siblings.groups(map(_kind, folder.processes)).values():
        _withdraw_levelled([judged[n] for n in numbers])
        young = [n for n in numbers if judged[n].lives is not None][-SIBLINGS_MAX:]
        watched = sum(judged[n].intervals for n in young)
        if len(young) < POLICY.siblings or watched < POLICY.settled_intervals:
            continue
        for place in siblings.pooled([judged[n].lives or [] for n in young]):
            showing = {n: life.gain for n in young for life in judged[n].lives or [] if life.owner == place.owner}
            best = max(showing, key=lambda n: showing[n])
            evidence = evidence_of(folder.processes[best], known)
            verdict = siblings.verdict(evidence, place) if evidence is not None else None
            if evidence is not None and verdict is not None and verdict.confidence >= POLICY.accuse_at:
                finding = placed(folder.processes[best].info, evidence, to_findings.finding(evidence, verdict, 0))
                pids = tuple(judged[n].summary.pid for n, gain in showing.items() if gain > 0)
                judged[best].findings.append(replace(finding, pids=pids))
        for n in numbers:
            judged[n].enough = True


def _withdraw_levelled(same: Sequence[_Judged]) -> None:
    """Take back what a young process is accused of where the place stopped growing in others that lived longer."""
    for one in same:
        kept = []
        for finding in one.findings:
            owner, counts = finding.holder.owner if finding.holder else "", finding.growth.counts
            others = [other.levels[owner] for other in same if other is not one and owner in other.levels]
            if counts and siblings.is_below_level(counts[-1], others):
                told = f"{finding.type} in {owner} grows, but stopped growing in {len(others)} processes of its kind."
                one.summary = replace(one.summary, notes=(*one.summary.notes, told))
            else:
                kept.append(finding)
        one.findings = kept


def _kind(process: ProcessFolder) -> tuple[str, str]:
    """What processes that run the same code have in common: command, whatever numbers are in it, and parent."""
    return _NUMBER.sub("#", process.command), process.info.get("ppid", "")


def evidence_of(process: ProcessFolder, known: Known = BUILT_IN) -> Evidence | None:
    """What the snapshots of one process show; None where none of them can be read."""
    snapshots, _ = _readable(process)
    return Evidence(_thinned(snapshots), known, births=answers(process)) if snapshots else None


def answers(process: ProcessFolder) -> list[Births]:
    """What the agent saw of births in one process, the earliest first; what can't be read is left out."""
    return [one for path in process.births if (one := births.load(path)) is not None]


def _unseen(process: ProcessFolder, snapshots: list[Snapshot]) -> str:
    """Why a process was not seen to its end; "" where what the agent lost was before its last snapshot."""
    lost = [int(number) for number in _LOST.findall(process.problems)]
    if lost and len(lost) == len(process.problems.split("; ")) and max(lost) <= snapshots[-1].number("lost"):
        return ""
    return process.problems


def _readable(process: ProcessFolder) -> tuple[list[Snapshot], list[str]]:
    """The process's snapshots, and a note for each that can't be read or was lost."""
    snapshots: list[Snapshot] = []
    notes: list[str] = []
    for path in process.snapshots:
        try:
            snapshot = Snapshot.load(path)
        except SnapshotError as problem:
            notes.append(f"Left out: {problem}")
            continue
        if snapshots and snapshot.number("elapsed") < snapshots[-1].number("elapsed"):
            notes.append(f"Left out: {path} is damaged: it is older than the one before it.")
        else:
            snapshots.append(snapshot)
    if process.problems:
        notes.append(f"The agent reports: {process.problems}.")
    return snapshots, notes


def _thinned(snapshots: list[Snapshot]) -> list[Snapshot]:
    """What is looked into: at most DEEP_MAX graphs, fewer of large heaps, and CENSUSES_MAX snapshots in all.

    Both are evenly spread in order, the last among them. A graph that is left out stays as a census.
    """
    deep = [s for s in snapshots if s.is_deep]
    objects = len(deep[-1].column("object.address")) if deep else 0
    most = max(DEEP_FEWEST, min(DEEP_MAX, DEEP_OBJECTS_MAX // max(objects, 1)))
    graphs = {id(s) for s in _spread(deep, most)}
    counted = {id(s) for s in _spread(snapshots, CENSUSES_MAX)} | graphs
    kept = [s for s in snapshots if id(s) in counted]
    return [s.without_graph() if s.is_deep and id(s) not in graphs else s for s in kept]


def _spread(snapshots: list[Snapshot], most: int) -> list[Snapshot]:
    if len(snapshots) <= most:
        return snapshots
    return [snapshots[number] for number in np.linspace(0, len(snapshots) - 1, most).astype(int).tolist()]


def placed(info: Mapping[str, str], evidence: Evidence, finding: Finding) -> Finding:
    """The finding with file and line of its holder, and its files as they read below the program's sys.path.

    Args:
        info: the process's `path` (entries separated by \\x1f) and `cwd`.
    """
    search = info.get("path", "").split("\x1f") + [info.get("cwd", "")]
    finalizers = tuple(
        replace(f, file=source_lines.short_path(f.file, search) if f.file else None) for f in finding.finalizers
    )
    holder = finding.holder
    if holder is not None:
        scope, attribute, file, line = to_findings.place_of(evidence, holder.owner)
        if file:
            full = file if Path(file).is_absolute() else str(Path(info.get("cwd", "")) / file)
            line = source_lines.line_of(full, scope, attribute) or line
            holder = replace(holder, file=source_lines.short_path(full, search), line=line)
    made, added = (_placed_origin(origin, search) for origin in (finding.allocated_at, finding.added_at))
    chain = finding.chain
    if chain is not None:
        links = (
            replace(link, finalizer=source_lines.short_path(link.finalizer, search) if link.finalizer else None)
            for link in chain.links
        )
        chain = Chain(tuple(links))
    return replace(finding, holder=holder, finalizers=finalizers, chain=chain, allocated_at=made, added_at=added)


def _placed_origin(origin: Origin | None, search: list[str]) -> Origin | None:
    """The origin with its lines of source, and its files as they read below the program's sys.path."""
    if origin is None:
        return None

    def short(text: str) -> str:
        return source_lines.short_path(text, search)

    def placed_caller(caller: Caller) -> Caller:
        source = source_lines.text_of(caller.file, caller.line)
        callers = tuple(map(placed_caller, caller.callers))
        return replace(caller, file=short(caller.file), callers=callers, source=source)

    return replace(
        origin,
        file=short(origin.file),
        source=source_lines.text_of(origin.file, origin.line),
        stack=tuple(map(short, origin.stack)),
        awaited_by=tuple(map(short, origin.awaited_by)),
        tree=tuple(map(placed_caller, origin.tree)),
    )


def with_packages(findings: Findings, folder: RunFolder) -> Findings:
    """The findings with the versions of the packages that they name, as noted while the run went on, or as of now."""
    if not findings.findings:
        return findings
    if folder.packages is not None:
        among = [packages.Installed(*one) for one in folder.packages]
    else:
        among = packages.installed(path for one in folder.processes for path in one.info.get("path", "").split("\x1f"))
    return replace(findings, findings=tuple(_with_packages(finding, among) for finding in findings.findings))


def _with_packages(finding: Finding, among: Sequence[packages.Installed]) -> Finding:
    holder = finding.holder
    names = [finding.type, *((holder.owner, *holder.aliases, holder.type) if holder else ())]
    names += [link.type for link in finding.chain.links] if finding.chain else []
    names += [word.removeprefix("module ") for word in holder.path[:1]] if holder else []
    found = packages.packages_of(names, among)
    told = releases.with_release(finding, among)
    return replace(told, packages=tuple(Package(one.name, one.version) for one in found))


def _summary(process: ProcessFolder, snapshots: list[Snapshot], evidence: Evidence, notes: list[str]) -> ProcessSummary:
    first = snapshots[0]
    series = sorted(evidence.classes.items(), key=lambda item: -abs(item[1].bytes[-1] - item[1].bytes[0]))
    return ProcessSummary(
        pid=process.pid,
        command=process.command,
        snapshots=len(snapshots),
        python=first.meta.get("python", ""),
        engine=first.meta.get("engine", ""),
        seconds=tuple(s.number("elapsed") for s in evidence.censuses),
        deep_seconds=tuple(s.number("elapsed") for s in snapshots if s.is_deep),
        rss_bytes=tuple(int(s.number("rss_bytes")) for s in evidence.censuses),
        malloc_in_use_bytes=_figures(evidence, "malloc_in_use_bytes"),
        malloc_free_bytes=_figures(evidence, "malloc_free_bytes"),
        allocated_blocks=tuple(int(s.number("allocated_blocks")) for s in evidence.censuses),
        gc_objects=tuple(sum(count for count, _ in s.census.values()) for s in evidence.censuses),
        pause_ms=tuple(s.number("pause_ms") for s in evidence.censuses),
        classes=tuple(_class_series(name, s.counts, s.bytes) for name, s in series[:CLASSES_MAX]),
        quieter=tuple(_class_series(name, s.counts[[0, -1]], s.bytes[[0, -1]]) for name, s in series[CLASSES_MAX:]),
        holders=tuple(_holder_series(place) for place in evidence.places[:HOLDERS_MAX]),
        notes=tuple(notes),
        retained=evidence.retained,
    )


def _class_series(name: str, counts: Floats, sizes: Floats) -> ClassSeries:
    return ClassSeries(name, tuple(counts.astype(int).tolist()), tuple(sizes.astype(int).tolist()))


def _figures(evidence: Evidence, key: str) -> tuple[int, ...]:
    """A figure of the ledger at every census, nothing where the target could not say at any."""
    found = evidence.ledger(key)
    return tuple(found.astype(int).tolist()) if found.any() else ()


def _holder_series(place: Place) -> HolderSeries:
    seconds, items = np.round(place.seconds, 3).tolist(), place.extents.astype(int).tolist()
    return HolderSeries(place.owner, tuple(seconds), tuple(items))


def _together(folder: RunFolder, judged: list[_Judged]) -> Findings:
    """One report of all processes: findings merged by fingerprint and ranked, and the verdict on the whole."""
    merged: dict[str, Finding] = {}
    for one in judged:
        for finding in one.findings:
            seen = merged.get(finding.fingerprint)
            if seen is None:
                merged[finding.fingerprint] = finding
            else:
                larger = max(seen, finding, key=lambda f: f.retained_size_bytes)
                merged[finding.fingerprint] = replace(larger, pids=seen.pids + finding.pids)
    ranked = sorted(merged.values(), key=lambda f: rank(f.confidence, f.retained_size_bytes, POLICY))
    findings = tuple(replace(f, rank=rank) for rank, f in enumerate(ranked, 1))
    processes = tuple(
        replace(one.summary, findings=tuple(f.rank for f in findings if one.summary.pid in f.pids)) for one in judged
    )
    verdict, summary, notes = _verdict(folder, judged, findings)
    whole = ledger.together([process.ledger for process in processes if process.ledger is not None])
    return Findings(
        _run_summary(folder, processes), verdict, summary, findings, processes, notes + _removed(folder), ledger=whole
    )


def _removed(folder: RunFolder) -> tuple[str, ...]:
    """What to say where snapshots were removed while the run went on."""
    number = folder.info.get("removed_snapshots")
    if not isinstance(number, int) or number <= 0:
        return ()
    return (f"{number:,} snapshots were removed while it ran, to keep the run folder within --max-disk.",)


def _verdict(
    folder: RunFolder, judged: list[_Judged], findings: tuple[Finding, ...]
) -> tuple[str, str, tuple[str, ...]]:
    if findings:
        return "leak", findings[0].sentence, ()
    if not judged:
        return "inconclusive", "No Python process reported in: nothing can be said of a program that ran none.", ()
    unseen = [one for one in judged if one.unseen]
    if unseen:
        more = f" (and {len(unseen) - 1} more)" if len(unseen) > 1 else ""
        said = f"Process {unseen[0].summary.pid}{more} was not seen to its end: {unseen[0].unseen.rstrip('.')}."
        return "inconclusive", f"{said} Nothing that grows was found in what was seen.", ()
    suspect = next((one.suspect for one in judged if one.suspect), "")
    unseen_workers = _unseen_workers(folder, judged)
    if any(one.enough for one in judged) and not unseen_workers and not suspect:
        return _unless_left_open(judged)
    needed = max(one.needed_seconds for one in judged)
    interval = folder.info.get("options", {}).get("interval") or 5.0
    seconds = max(needed, 3.0 * POLICY.censuses * interval)
    said = f"Too little was seen to accuse {suspect}" if suspect else "Too little was seen to say"
    return "inconclusive", f"{said}. {_how_to_see_more(seconds, interval, judged, unseen_workers)}", ()


def _unseen_workers(folder: RunFolder, judged: list[_Judged]) -> list[_Judged]:
    """Processes of one kind that did a good part of the work, and of which none was seen enough; [] without such.

    A master that only waits says nothing of what its workers do.
    """
    worked = sum(one.worked_seconds for one in judged)
    for numbers in siblings.groups(map(_kind, folder.processes)).values():
        same = [judged[n] for n in numbers]
        share = sum(one.worked_seconds for one in same)
        if share and share >= POLICY.work_share * worked and not any(one.enough for one in same):
            return same
    return []


def _how_to_see_more(needed_seconds: float, interval: float, judged: list[_Judged], unseen: list[_Judged]) -> str:
    """What to type so that the next run is long enough, or its processes are looked at more often while they live."""
    lived = max((one.summary.seconds[-1] for one in unseen if one.summary.seconds), default=0.0)
    shortest = lived / (3.0 * POLICY.censuses)
    if len(unseen) > 1 and 0 < shortest < interval:
        fewer = POLICY.siblings if len(unseen) < POLICY.siblings else 2 * len(unseen)
        lives = f"Its workers lived for {lived:.0f} s at most"
        return f"{lives}: type --interval {shortest:.2g}, or let {fewer:.0f} of them end."
    wait = f"Run it for {_long(needed_seconds)} or more"
    return f"{wait}." if _is_behind(judged, interval) else f"{wait}, or with a shorter --interval."


def _is_behind(judged: Sequence[_Judged], interval: float) -> bool:
    """Whether snapshots came more seldom than at the interval: a shorter one would bring no more of them."""
    seen = [one.summary.seconds for one in judged if len(one.summary.seconds) > 1]
    longest = max(seen, key=lambda seconds: seconds[-1], default=())
    return len(longest) > 1 and longest[-1] / len(longest) > BEHIND * interval


def _unless_left_open(judged: list[_Judged]) -> tuple[str, str, tuple[str, ...]]:
    """Healthy, unless the ledger of a process does not close: then what grew and is not accounted for."""
    one = next((one for one in judged if one.left_open), None)
    if one is None:
        return "healthy", "No unbounded growth.", ()
    hint = f"Run it for {_long(one.needed_seconds)} or more to see whether that goes on."
    return "inconclusive", f"{one.left_open}. {hint}", ()


def _long(seconds: float) -> str:
    """A time to wait, in the unit that people use for one so long."""
    minutes = seconds / 60
    return f"{seconds:.0f} s" if minutes < 10 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"


def _run_summary(folder: RunFolder, processes: tuple[ProcessSummary, ...]) -> RunSummary:
    info = folder.info
    begun = float(info.get("started") or 0.0)
    ends = [
        p.seconds[-1] + (one.started - begun if begun and one.started else 0.0)
        for p, one in zip(processes, folder.processes, strict=True)
        if p.seconds
    ]
    if info.get("ended") and begun:
        ends.append(float(info["ended"]) - begun)
    seconds = max(ends, default=0.0)  # a daemon goes on when the program has ended
    return RunSummary(
        command=tuple(info.get("command", ())),
        seconds=round(seconds, 1),
        snapshots=sum(p.snapshots for p in processes),
        python=next((p.python for p in processes if p.python), ""),
        path=str(folder.path),
        exit_status=info.get("exit_status"),
    )


def diff(paths: Sequence[str | Path]) -> Diff:
    """Instance counts and sizes by class between two or three snapshots, in order of time.

    Raises:
        UsageError: the number is wrong, or they are of different processes.
        SnapshotError: one can't be read.
    """
    if not 2 <= len(paths) <= 3:
        raise UsageError("A diff takes two or three snapshots.", "leakhunt diff S1 S2 [S3]")
    snapshots = [load(path) for path in paths]
    if len({(s.meta.get("pid"), s.meta.get("python"), Path(s.path).absolute().parent) for s in snapshots}) > 1:
        pids = " and ".join(dict.fromkeys(s.meta.get("pid", "?") for s in snapshots))
        raise UsageError(
            f"These snapshots are of different processes ({pids}): their objects can't be compared.",
            "Choose snapshots of one pid-* folder.",
        )
    return diff_module.diff(sorted(snapshots, key=lambda s: s.number("sequence")))


def chains(path: str | Path, type_name: str, limit: int = 3) -> tuple[Chain, ...]:
    """Retaining chains of a class; `path` is a deep snapshot, or a run folder: its newest one that has the class."""
    return chains_module.chains(HeapGraph(newest_graph(path, type_name)), type_name, limit)


def backrefs(path: str | Path, type_name: str, depth: int = 5, width: int = 4) -> RefGraph:
    """Back-reference graph of a class; `path` as for `chains`."""
    graph = HeapGraph(newest_graph(path, type_name))
    return reference_graph.backrefs(graph, Names(graph), chains_module.instances(graph, type_name), depth, width)


def newest_graph(path: str | Path, type_name: str = "") -> Snapshot:
    """The snapshot at `path`; of a run or process folder the one that shows the class best, the newest without one.

    Each process offers its newest deep snapshot that was not taken at exit; of these the one with most objects of the
    class is taken, so that a leak of one worker is not looked for in another process.
    """
    if not Path(path).is_dir():
        return load(path)
    path = newest(Path(path))
    folders = sorted({file.parent for file in [*path.glob("pid-*/*.leak"), *path.glob("*.leak")]})
    offered = [snapshot for folder in folders if (snapshot := _newest_deep(folder)) is not None]
    if not offered:
        raise RunError(f"{path} has no deep snapshot.", "Run longer, or with --deep every.")
    return max(offered, key=lambda s: (_instances(s, type_name), s.number("time")))


def _newest_deep(folder: Path) -> Snapshot | None:
    """The last deep snapshot of one process, of those that were not taken at exit if there is one; None without any.

    One that can't be read is passed over, as in a report.
    """
    at_exit = None
    for file in sorted(folder.glob("*.leak"), reverse=True):
        with contextlib.suppress(SnapshotError):
            snapshot = load(file)
            if snapshot.is_deep and snapshot.meta.get("moment") != EXIT:
                return snapshot
            at_exit = at_exit or (snapshot if snapshot.is_deep else None)
    return at_exit


def _instances(snapshot: Snapshot, type_name: str) -> int:
    """How many objects of a class a deep snapshot has."""
    rows = [row for row, name in enumerate(snapshot.type_names) if name == type_name]
    return int(np.isin(snapshot.column("object.type"), rows).sum())
