"""Rule: a class that grows without a container that does; the nearest old object above holds it."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

import numpy as np

from leakhunt.agent import schema

from .evidence import Evidence
from .facts import SAYS_NOTHING
from .graph import HeapGraph, Ints
from .holders import limit_of
from .naming import Names
from .reaching import reach
from .verdicts import Verdict, confidence
from .watching import only_watches

COVERED = 0.5
EXPLAINED = 0.5
SURVIVAL_MIN = 0.9
DOMINATED = 0.4
ONE_DOOR = 0.9
SAMPLE = 5000


class Frontier(NamedTuple):
    """Where old objects end and new ones begin.

    `holder` is the last old one. `door` is the one new object that it refers to and that all others are behind (a tuple
    made anew with every item, the head of a linked list), -1 where there are several.
    """

    holder: int
    door: int


def growing_classes(evidence: Evidence) -> list[Verdict]:
    """Classes that grow and stay without a container that does: linked nodes, a Context, objects behind C types."""
    if len(evidence.deep) < 2:
        return []
    graph, lineage = evidence.graph, evidence.lineage
    covered = np.zeros(graph.count, dtype=bool)
    for place in evidence.places:
        covered[place.reached] = True
    for group in (*evidence.outside, *evidence.garbage):
        if not graph.facts.is_named(group.type, schema.TYPE_CONTEXT):
            covered[reach(graph, group.objects, evidence.is_new)] = True
    lasting = lineage.class_survival(evidence.first + max(0, (len(lineage.graphs) - 1 - evidence.first) // 2))
    by_holder: dict[Frontier, list[tuple[str, Ints]]] = {}
    for name, series in evidence.classes.items():
        if graph.facts.is_named(name, SAYS_NOTHING) or not series.trend.is_growth or series.trend.gain < 8:
            continue
        before, stayed = lasting.get(name, (0, 0))
        fresh = _instances(evidence, name)
        if before == 0 or stayed < SURVIVAL_MIN * before or not len(fresh) or covered[fresh].mean() > COVERED:
            continue
        frontier = old_dominator(evidence, fresh)
        if frontier is not None and (_explains(evidence, name, fresh) or _is_gc_garbage(graph, frontier.holder)):
            by_holder.setdefault(frontier, []).append((name, fresh))
    return [v for frontier, rows in by_holder.items() for v in _class_verdict(evidence, frontier, rows)]


def _instances(evidence: Evidence, name: str) -> Ints:
    rows = [row for row, text in enumerate(evidence.graph.snapshot.type_names) if text == name]
    kept, _ = evidence.graph.kept_tree
    return np.flatnonzero(np.isin(evidence.graph.types, rows) & evidence.is_new & kept)


def _explains(evidence: Evidence, name: str, fresh: Ints) -> bool:
    """Whether those kept alive are most of what the class gained: the rest is garbage that waits for the collector."""
    before, now = (evidence.deep[k].census.get(name, (0, 0))[0] for k in (evidence.first, -1))
    return len(fresh) >= EXPLAINED * (now - before)


def _is_gc_garbage(graph: HeapGraph, index: int) -> bool:
    """Whether this is the list `gc.garbage`, to which a collection now and then moves what has piled up since."""
    return any(root.index == index and root.kind == "gc.garbage" for root in graph.roots)


def old_dominator(evidence: Evidence, fresh: Ints) -> Frontier | None:
    """The nearest old object that dominates most of `fresh` (the old-to-new frontier).

    A Context is known by its HAMT, whose nodes are made anew at every change: they all count as the topmost one.
    None when there is no such object.
    """
    idom, graph = evidence.dominators.idom, evidence.graph
    tally: Counter[int] = Counter()
    doors: dict[int, Counter[int]] = defaultdict(Counter)
    mapping = -1
    sample = fresh[:SAMPLE].tolist()
    for index in sample:
        below, above = index, int(idom[index])
        while 0 <= above < graph.count and evidence.is_new[above]:
            below, above = above, int(idom[above])
        if above == graph.count and is_context(graph, below):
            mapping = above = mapping if mapping >= 0 else below
        tally[above] += 1
        doors[above][below] += 1
    holder, number = tally.most_common(1)[0]
    if not (0 <= holder < graph.count and number >= DOMINATED * len(sample)):
        return None
    door, through = doors[holder].most_common(1)[0]
    return Frontier(holder, door if through >= ONE_DOOR * number else -1)


def is_context(graph: HeapGraph, index: int) -> bool:
    """Whether the object is a `contextvars.Context` or a part of the mapping inside of one."""
    return graph.is_a(index, schema.TYPE_CONTEXT)


def _class_verdict(evidence: Evidence, frontier: Frontier, rows: list[tuple[str, Ints]]) -> list[Verdict]:
    graph, names, holder = evidence.graph, evidence.names, frontier.holder
    rows.sort(key=lambda row: (row[0].startswith("builtins."), -_held_directly(evidence, holder, row[1]), -len(row[1])))
    name, fresh = rows[0]
    named = frontier.door if _is_attribute(names, frontier) else holder
    owners = names.owners(named)
    owner = owners[0] if owners else graph.type_name(holder)
    advice = "Look at what this object links to and never lets go."
    if is_context(graph, holder):
        owner = "current contextvars.Context of a thread"
        advice = "A ContextVar made per request is never freed: make it once, at module level."
    if limit_of(graph, holder) is not None or evidence.known.is_harmless(owner):
        return []
    below = graph.referents(holder).astype(np.int64)
    if only_watches(graph, below, reach(graph, below, evidence.is_new), evidence.is_new):
        return []
    trend = evidence.classes[name].trend
    reached = reach(graph, np.concatenate([objects for _, objects in rows]), evidence.is_new)
    return [
        Verdict(
            "uncollectable" if owner == "gc.garbage" else "python-leak",
            name,
            confidence(trend, certainty=0.9),
            f"{trend.gain:,.0f} more and none freed, all of them reached through one older {graph.type_name(holder)}",
            advice,
            evidence.seconds,
            evidence.classes[name].counts,
            trend,
            owner,
            tuple(owners[1:]),
            named,
            reached,
            fresh,
            float(graph.sizes[reached].sum()),
        )
    ]


def _is_attribute(names: Names, frontier: Frontier) -> bool:
    """Whether the door is what an attribute, a global or a local of the holder refers to now."""
    if frontier.door < 0 or is_context(names.graph, frontier.holder):
        return False
    steps = names.steps(frontier.door)
    return bool(steps) and bool(steps[-1].label) and not steps[-1].is_internal


def _held_directly(evidence: Evidence, holder: int, objects: Ints) -> float:
    return round(float(np.mean(evidence.dominators.idom[objects] == holder)), 1)
