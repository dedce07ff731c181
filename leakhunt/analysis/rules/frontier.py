"""Detector: a class that grows without a container that does; the nearest old object above holds it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from leakhunt.agent import schema
from leakhunt.analysis.doubt import Doubt, ended
from leakhunt.analysis.growth import trends
from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.growth.holders import limit_of, new_children
from leakhunt.analysis.heap.facts import SAYS_NOTHING
from leakhunt.analysis.heap.graph import Bools, HeapGraph, Ints
from leakhunt.analysis.heap.naming import Names
from leakhunt.analysis.heap.reachability import reach
from leakhunt.analysis.heap.representative import telling_class
from leakhunt.analysis.heap.weakrefs import watching

from .growing_holders import TIMELESS
from .verdicts import Verdict

SAMPLE = 5000
ATTRIBUTES_MAX = 300  # of one object, that are walked from
STEPS_MAX = 60  # up the dominator tree: what is farther away is a chain


class Frontier(NamedTuple):
    """Where the objects of graph number `since` end and those that came after it begin.

    `holder` is the last old one. `door` is the one new object that it refers to and that all others are behind (a tuple
    made anew with every item, the head of a linked list), -1 where there are several.
    """

    holder: int
    door: int
    since: int


def growing_classes(evidence: Evidence) -> list[Verdict]:
    """Classes that grow and stay without a container that does: linked nodes, a Context, objects behind C types."""
    if len(evidence.deep) < 2:
        return []
    covered = covered_by_others(evidence)
    since = frontier_look(evidence)
    lasting = evidence.survey.class_survival(since)
    by_frontier: dict[Frontier, list[tuple[str, Ints]]] = {}
    found = []
    for name, series in evidence.classes.items():
        if series.trend.gain < evidence.policy.gain:
            continue
        problem = trends.objection(series.trend, evidence.policy)
        doubt = ended("no growth", problem) if problem else _without_meaning(evidence.graph, name)
        if doubt is None:
            doubt = _turnover(evidence, *lasting.get(name, (0, 0)))
        fresh = _instances(evidence, name) if doubt is None else None
        if fresh is not None:
            doubt = _elsewhere(evidence, fresh, covered)
        frontier = _frontier(evidence, fresh, since) if fresh is not None and doubt is None else None
        if doubt is None and frontier is None:
            doubt = ended("no holder", "no one older object holds them: each is kept alive by another, or by several")
        if fresh is not None and frontier is not None:
            doubt = _mostly_garbage(evidence, name, fresh, frontier)
            if doubt is None:
                by_frontier.setdefault(frontier, []).append((name, fresh))
        if doubt is not None:
            found.append(_bare(evidence, name, doubt))
    for frontier, rows in by_frontier.items():
        found.extend(_candidates(evidence, frontier, rows))
    return found


def frontier_look(evidence: Evidence) -> int:
    """Number of the graph that divides old objects from new ones: the one in the middle.

    At the first of few graphs a program may still be starting: what holds the leak is new then, too, and the nearest
    old object is the namespace of a module.
    """
    return evidence.first + max(0, (len(evidence.lineage.graphs) - 1 - evidence.first) // 2)


def _frontier(evidence: Evidence, fresh: Ints, since: int) -> Frontier | None:
    """The frontier at graph `since`, where enough of `fresh` came after it; else at the first."""
    later = fresh[evidence.survey.is_new(since)[fresh]]
    if len(later) >= evidence.policy.gain:
        return old_dominator(evidence, later, since)
    return old_dominator(evidence, fresh, evidence.first)


def covered_by_others(evidence: Evidence) -> Bools:
    """Objects that a growing place, or growth in another condition, accounts for."""
    graph = evidence.graph
    covered = np.zeros(graph.count, dtype=bool)
    for place in evidence.places:
        covered[place.reached] = True
    for group in (*evidence.outside, *evidence.garbage):
        if not graph.facts.is_named(group.type, schema.TYPE_CONTEXT):
            covered[reach(graph, group.objects, evidence.is_new)] = True
    return covered


def _without_meaning(graph: HeapGraph, name: str) -> Doubt | None:
    if graph.facts.is_named(name, SAYS_NOTHING):
        return ended("says nothing", "objects of this class only wrap or name others, whose own class and holder count")
    return None


def _turnover(evidence: Evidence, before: int, stayed: int) -> Doubt | None:
    if before and stayed >= evidence.policy.class_survival * before:
        return None
    return ended("turnover", f"of {before:,} that were there at the middle {stayed:,} still are: they come and go")


def _elsewhere(evidence: Evidence, fresh: Ints, covered: Bools) -> Doubt | None:
    if not len(fresh):
        return ended("garbage", "none of the new ones is alive: they wait for the collector")
    if covered[fresh].mean() > evidence.policy.covered:
        return ended("covered", "a place that grows, or growth of another kind, accounts for most of them")
    return None


def _mostly_garbage(evidence: Evidence, name: str, fresh: Ints, frontier: Frontier) -> Doubt | None:
    """Where those kept alive are less than half of what the class gained: the rest waits for the collector."""
    before, now = (evidence.deep[k].census.get(name, (0, 0))[0] for k in (evidence.first, -1))
    alive = len(fresh) >= evidence.policy.class_alive * (now - before)
    if alive or _is_gc_garbage(evidence.graph, frontier.holder):
        return None
    return ended("garbage", f"of {now - before:,} more only {len(fresh):,} are alive: the rest waits for the collector")


def _bare(evidence: Evidence, name: str, doubt: Doubt) -> Verdict:
    series = evidence.classes[name]
    certainty = evidence.policy.certainty - evidence.policy.class_less
    reason = f"{series.trend.gain:,.0f} more in {series.seconds[-1] - series.seconds[0]:.0f} s"
    return Verdict(
        "python-leak", name, certainty, reason, "", series.seconds, series.counts, series.trend, detector="class",
        doubts=(doubt,),
    )  # fmt: skip


def _instances(evidence: Evidence, name: str) -> Ints:
    rows = [row for row, text in enumerate(evidence.graph.snapshot.type_names) if text == name]
    kept, _ = evidence.graph.kept_tree
    return np.flatnonzero(np.isin(evidence.graph.types, rows) & evidence.is_new & kept)


def _is_gc_garbage(graph: HeapGraph, index: int) -> bool:
    """Whether this is the list `gc.garbage`, to which a collection now and then moves what has piled up since."""
    return any(root.index == index and root.kind == "gc.garbage" for root in graph.roots)


def old_dominator(evidence: Evidence, fresh: Ints, since: int) -> Frontier | None:
    """The nearest object of graph `since` that dominates most of `fresh` (the old-to-new frontier).

    A Context is known by its HAMT, whose nodes are made anew at every change: they all count as the topmost one.
    None when there is no such object.
    """
    idom, graph, is_new = evidence.dominators.idom, evidence.graph, evidence.survey.is_new(since)
    tally: Counter[int] = Counter()
    doors: dict[int, Counter[int]] = defaultdict(Counter)
    mapping = -1
    sample = fresh[:SAMPLE].tolist()
    for index in sample:
        below, above = index, int(idom[index])
        while 0 <= above < graph.count and is_new[above]:
            below, above = above, int(idom[above])
        if above == graph.count and is_context(graph, below):
            mapping = above = mapping if mapping >= 0 else below
        while 0 <= above < graph.count and is_context(graph, above) and 0 <= idom[above] < graph.count:
            if not is_context(graph, int(idom[above])):
                break
            below, above = above, int(idom[above])  # in a short time some of its nodes stay as they are
        tally[above] += 1
        doors[above][below] += 1
    holder, number = tally.most_common(1)[0]
    if not (0 <= holder < graph.count and number >= evidence.policy.dominated * len(sample)):
        return None
    door, through = doors[holder].most_common(1)[0]
    return Frontier(holder, door if through >= evidence.policy.one_door * number else -1, since)


def is_context(graph: HeapGraph, index: int) -> bool:
    """Whether the object is a `contextvars.Context` or a part of the mapping inside of one."""
    return graph.is_a(index, schema.TYPE_CONTEXT)


def _candidates(evidence: Evidence, frontier: Frontier, rows: list[tuple[str, Ints]]) -> list[Verdict]:
    """One candidate for all classes behind a frontier, and one ended by it for each class but the first."""
    graph, names, holder = evidence.graph, evidence.names, frontier.holder
    kept = {name: _dominated_bytes(evidence, holder, fresh) for name, fresh in rows}
    most = max((size for name, size in kept.items() if not name.startswith("builtins.")), default=0)
    rows.sort(
        key=lambda row: (
            row[0].startswith("builtins."),
            kept[row[0]] < evidence.policy.as_much * most,
            -_held_directly(evidence, holder, row[1]),
            -len(row[1]),
        )
    )
    name, fresh = rows[0]
    told = _content_of(evidence, frontier) or name
    named = frontier.door if _is_attribute(names, frontier) else holder
    owners = names.owners(named)
    chosen = _attribute(evidence, holder, name) if named == holder else None
    if chosen is not None:
        named, owner = chosen
        owners = [owner, *(other for other in names.owners(named) if other != owner)]
    owner = owners[0] if owners else graph.type_name(holder)
    advice = "Look at what this object links to and never lets go."
    if is_context(graph, holder):
        owner = "current contextvars.Context of a thread"
        advice = "A ContextVar made per request is never freed: make it once, at module level."
    series = evidence.classes[told if told in evidence.classes else name]
    trend = evidence.classes[name].trend
    reached = reach(graph, np.concatenate([objects for _, objects in rows]), evidence.is_new)
    is_garbage = owner == "gc.garbage"
    first = Verdict(
        "uncollectable" if is_garbage else "python-leak",
        told,
        evidence.policy.certainty - evidence.policy.class_less,
        f"{trend.gain:,.0f} more and none freed, all of them reached through one older {graph.type_name(holder)}",
        advice,
        evidence.seconds,
        series.counts,
        trend,
        owner,
        tuple(owners[1:]),
        named,
        reached,
        fresh,
        float(graph.sizes[reached].sum()),
        detector="class",
        doubts=_doubts(evidence, holder),
        spared=TIMELESS if is_garbage else frozenset(),
    )
    same = ended("same holder", f"{told}, reached through the same older object, stands for these")
    return [first, *(replace(_bare(evidence, other, same), owner=owner) for other, _ in rows[1:])]


def _attribute(evidence: Evidence, holder: int, type_name: str) -> tuple[int, str] | None:
    """(object, name) of that attribute or global of a holder which leads to most objects of a class, None for none.

    Nodes that know their neighbours have no dominator but what all of them hang on: the module of the first and of
    the newest node. Of these the one is named that leads to the earlier ones, too.
    """
    graph, names = evidence.graph, evidence.names
    edges = np.arange(graph.offsets[holder], graph.offsets[holder + 1])
    edges = edges[graph.edge_labels[edges] > 0]
    passed = graph.are(schema.TYPE_IS_CLASS | schema.TYPE_CONSTANT | schema.TYPE_ATOM)  # they lead to the whole program
    edges = edges[~passed[graph.targets[edges]]]
    labelled = [int(edge) for edge in edges.tolist() if graph.label(int(edge)).startswith(schema.LABEL_ATTRIBUTE)]
    if not 0 < len(labelled) <= ATTRIBUTES_MAX or graph.is_a(holder, schema.TYPE_CONTEXT):
        return None
    closed = passed.copy()
    closed[holder] = True
    rows = [row for row, text in enumerate(graph.snapshot.type_names) if text == type_name]
    wanted = np.isin(graph.types, rows)
    found = [
        (int((graph.reached_without(np.array([graph.targets[edge]], dtype=np.int64), closed) & wanted).sum()), -edge)
        for edge in labelled
    ]
    number, edge = max(found)
    if number < evidence.policy.dominated * wanted.sum():
        return None
    above = int(names.parents[holder]) if _is_namespace(evidence, holder) else holder
    return int(graph.targets[-edge]), names.class_of(above) + graph.label(-edge)


def _content_of(evidence: Evidence, frontier: Frontier) -> str:
    """The class that stands for what a container at the frontier gained; "" where the holder is no such container.

    It gained as a place does, and was seen too seldom to be judged as one.
    """
    lineage, holder = evidence.lineage, frontier.holder
    graph, then = lineage.last, int(lineage.present[frontier.since, holder])
    if frontier.door >= 0 or then < 0 or graph.lengths[holder] < 0 or is_context(graph, holder):
        return ""
    gained = int(graph.extents[holder]) - int(lineage.graphs[frontier.since].extents[then])
    if gained < evidence.policy.gain / 2 or _is_namespace(evidence, holder):
        return ""
    children = new_children(lineage, (holder,), frontier.since)
    return telling_class(graph, children, evidence.survey.is_new(frontier.since), gained, evidence.policy)


def _is_namespace(evidence: Evidence, index: int) -> bool:
    steps = evidence.names.steps(index)
    return bool(steps) and steps[-1].is_internal


def _dominated_bytes(evidence: Evidence, holder: int, objects: Ints) -> int:
    """What goes with the objects of one class, of which those that another of the class dominates are no part."""
    found, graph = evidence.dominators, evidence.graph
    mine = np.zeros(graph.count, dtype=bool)
    mine[objects] = True
    total = 0
    for index in objects[:SAMPLE].tolist():
        above = int(found.idom[index])
        for _ in range(STEPS_MAX):
            if not 0 <= above < graph.count or above == holder or mine[above]:
                break
            above = int(found.idom[above])
        if not (0 <= above < graph.count and mine[above]):
            total += int(found.retained_sizes[index])
    return total


def _doubts(evidence: Evidence, holder: int) -> tuple[Doubt, ...]:
    graph = evidence.graph
    if limit_of(graph, holder) is not None:
        return (ended("bounded", f"it declares a bound of {limit_of(graph, holder):,}"),)
    below = graph.referents(holder).astype(np.int64)
    if watching(graph, below, reach(graph, below, evidence.is_new), evidence.is_new) >= evidence.policy.watching:
        return (ended("watches", "it holds weak references to objects that something else keeps alive"),)
    return ()


def _is_attribute(names: Names, frontier: Frontier) -> bool:
    """Whether the door is what an attribute, a global or a local of the holder refers to now."""
    if frontier.door < 0 or is_context(names.graph, frontier.holder):
        return False
    steps = names.steps(frontier.door)
    return bool(steps) and bool(steps[-1].label) and not steps[-1].is_internal


def _held_directly(evidence: Evidence, holder: int, objects: Ints) -> float:
    return round(float(np.mean(evidence.dominators.idom[objects] == holder)), 1)
