"""Detector: cyclic garbage that waits for a collector which is off or never comes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from leakhunt.agent import schema
from leakhunt.analysis.growth.evidence import Evidence, Group
from leakhunt.analysis.heap import finalizers
from leakhunt.analysis.heap.facts import SAYS_NOTHING

from .verdicts import Verdict


def waiting_garbage(evidence: Evidence) -> list[Verdict]:
    """Cycles that wait: all together, by the name of the class that has a `__del__` or else is the most numerous."""
    groups = [g for g in evidence.garbage_groups if not _is_atom(evidence, g)] if len(evidence.deep) > 1 else []
    growing = [g for g in evidence.garbage if not _is_atom(evidence, g)] if groups else []
    groups = growing or groups
    if not groups:
        return []
    graph = evidence.graph
    concerned = finalizers.finalizable(graph, np.concatenate([g.objects for g in groups]))
    with_del = {graph.type_name(int(i)) for i in concerned if not graph.is_a(int(i), schema.TYPE_INTERPRETER)}
    ranked = sorted(
        groups,
        key=lambda g: (
            g.type not in with_del,
            graph.facts.is_named(g.type, SAYS_NOTHING),
            graph.facts.is_named(g.type, schema.TYPE_INTERPRETER),
            -g.trend.gain,
        ),
    )
    top, objects = ranked[0], np.concatenate([g.objects for g in ranked])
    effect = " and their __del__ has not run" if top.type in with_del else ""
    return [
        Verdict(
            "delayed-finalizer",
            top.type,
            evidence.policy.certainty,
            f"{top.trend.gain:,.0f} more in cycles that nothing refers to{effect}: {waiting_words(evidence)}",
            "Let the collector run (gc.enable, gc.collect at a quiet moment), or break the cycle by a weakref.",
            top.seconds,
            top.counts,
            top.trend,
            objects=objects,
            direct=top.objects,
            weight=float(graph.sizes[objects].sum()),
            detector="garbage",
        )
    ]


def waiting_words(evidence: Evidence) -> str:
    """Why garbage waits longer than the collector is meant to let it, '' where it is collected in time."""
    growing = [group for group in evidence.garbage if not _is_atom(evidence, group)]
    return collector_words(evidence) or finalizer_words(evidence, growing)


def collector_words(evidence: Evidence) -> str:
    """Why garbage waits, '' when the collector works as it should."""
    if not evidence.ledger("gc_enabled")[1:].any():
        return "the collector is switched off"
    thresholds = evidence.censuses[-1].meta.get("gc_threshold", "").split()
    full = [s.meta.get("gc_collections", "0").split()[-1] for s in evidence.censuses]
    if thresholds and (thresholds[0] == "0" or int(thresholds[0]) >= 50_000) and full[0] == full[-1]:
        return f"the collector's threshold is {int(thresholds[0]):,} and no full collection came by"
    return ""


def finalizer_words(evidence: Evidence, groups: Sequence[Group]) -> str:
    """Why objects with a `__del__` wait although the collector runs, '' where they are collected in time.

    Garbage without finalizers may wait as long as the collector sees fit; what a `__del__` gives back waits with it.
    """
    waiting = [g for g in groups if len(finalizers.finalizable(evidence.graph, g.objects))]
    if not waiting:
        return ""
    first, last = (_collections(evidence, k) for k in (evidence.first, -1))
    young, middle, full = (after - before for before, after in zip(first, last, strict=True))
    due = middle // max(1, _threshold(evidence, 2))
    if full == 0 and due >= evidence.policy.put_off:
        return f"a full collection was due {due:,} times and put off, for the old part of the heap is large and quiet"
    if middle + full >= 1 and all(_is_made_anew(evidence, group) for group in waiting):
        return f"{young + middle + full:,} collections came by, and what they free, its __del__ makes anew"
    return ""


def _collections(evidence: Evidence, number: int) -> tuple[int, int, int]:
    """Collections of each generation up to a graph."""
    told = [int(word) for word in evidence.deep[number].meta.get("gc_collections", "").split()]
    young, middle, full = told if len(told) == 3 else (0, 0, 0)
    return young, middle, full


def _threshold(evidence: Evidence, generation: int) -> int:
    told = evidence.censuses[-1].meta.get("gc_threshold", "").split()
    return int(told[generation]) if len(told) == 3 else 10


def _is_made_anew(evidence: Evidence, group: Group) -> bool:
    """Whether the group grows at every census, hardly one of its class was alive at any graph, and `__del__` names it.

    Garbage that is older than a collection was alive when that came by. Where nobody ever is, the finalizers of those
    that each collection frees have made the next ones.
    """
    series, graph = evidence.classes.get(group.type), evidence.graph
    flags = graph.snapshot.column("type.flags")[graph.types[group.objects]]
    if series is None or not series.trend.is_growth or not (flags & schema.TYPE_DEL_NAMES_ITSELF).any():
        return False
    graphs = evidence.lineage.graphs[evidence.first :]
    alive = [graph.count_of(group.type) - count for graph, count in zip(graphs, group.counts.tolist(), strict=True)]
    return bool(max(alive) <= evidence.policy.anew_alive * float(group.counts.max()))


def _is_atom(evidence: Evidence, group: Group) -> bool:
    return evidence.graph.facts.is_named(group.type, schema.TYPE_ATOM)
