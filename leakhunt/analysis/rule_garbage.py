"""Rule: cyclic garbage that waits for a collector which is off or never comes."""

from __future__ import annotations

import numpy as np

from leakhunt.agent import schema

from . import finalizers
from .evidence import Evidence
from .facts import SAYS_NOTHING
from .verdicts import Verdict, confidence


def waiting_garbage(evidence: Evidence) -> list[Verdict]:
    """Cycles that nobody collects: the collector is off, or so lazy that it never came by."""
    if len(evidence.deep) < 2 or not evidence.garbage:
        return []
    asleep = collector_words(evidence)
    if not asleep:
        return []
    graph = evidence.graph
    groups = [g for g in evidence.garbage if not graph.facts.is_named(g.type, schema.TYPE_ATOM)]
    concerned = finalizers.finalizable(graph, np.concatenate([g.objects for g in groups]))
    with_del = {graph.type_name(int(i)) for i in concerned}
    ranked = sorted(
        groups, key=lambda g: (g.type not in with_del, graph.facts.is_named(g.type, SAYS_NOTHING), -g.trend.gain)
    )
    top, objects = ranked[0], np.concatenate([g.objects for g in ranked])
    effect = " and their __del__ has not run" if top.type in with_del else ""
    return [
        Verdict(
            "delayed-finalizer",
            top.type,
            confidence(top.trend),
            f"{top.trend.gain:,.0f} more in cycles that nothing refers to{effect}: {asleep}",
            "Let the collector run (gc.enable, gc.collect at a quiet moment), or break the cycle by a weakref.",
            top.seconds,
            top.counts,
            top.trend,
            objects=objects,
            direct=top.objects,
            weight=float(graph.sizes[objects].sum()),
        )
    ]


def collector_words(evidence: Evidence) -> str:
    """Why garbage waits, '' when the collector works as it should."""
    if not evidence.ledger("gc_enabled")[1:].any():
        return "the collector is switched off"
    thresholds = evidence.censuses[-1].meta.get("gc_threshold", "").split()
    full = [s.meta.get("gc_collections", "0").split()[-1] for s in evidence.censuses]
    if thresholds and (thresholds[0] == "0" or int(thresholds[0]) >= 50_000) and full[0] == full[-1]:
        return f"the collector's threshold is {int(thresholds[0]):,} and no full collection came by"
    return ""
