"""Detector: cyclic garbage that waits for a collector which is off or never comes."""

from __future__ import annotations

import numpy as np

from . import finalizers
from .evidence import Evidence
from .telling import ATOMS, GLUE
from .verdicts import Verdict


def waiting_garbage(evidence: Evidence) -> list[Verdict]:
    """Cycles that wait: all together, by the name of the class that has a `__del__` or else is the most numerous."""
    groups = [g for g in evidence.garbage_groups if g.type not in ATOMS] if len(evidence.deep) > 1 else []
    growing = [g for g in evidence.garbage if g.type not in ATOMS] if groups else []
    groups = growing or groups
    if not groups:
        return []
    graph = evidence.graph
    concerned = finalizers.finalizable(graph, np.concatenate([g.objects for g in groups]))
    with_del = {graph.type_name(int(i)) for i in concerned}
    ranked = sorted(groups, key=lambda g: (g.type not in with_del, g.type in GLUE, -g.trend.gain))
    top, objects = ranked[0], np.concatenate([g.objects for g in ranked])
    effect = " and their __del__ has not run" if top.type in with_del else ""
    return [
        Verdict(
            "delayed-finalizer",
            top.type,
            evidence.policy.certainty,
            f"{top.trend.gain:,.0f} more in cycles that nothing refers to{effect}: {collector_words(evidence)}",
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


def collector_words(evidence: Evidence) -> str:
    """Why garbage waits, '' when the collector works as it should."""
    if not evidence.ledger("gc_enabled")[1:].any():
        return "the collector is switched off"
    thresholds = evidence.censuses[-1].meta.get("gc_threshold", "").split()
    full = [s.meta.get("gc_collections", "0").split()[-1] for s in evidence.censuses]
    if thresholds and (thresholds[0] == "0" or int(thresholds[0]) >= 50_000) and full[0] == full[-1]:
        return f"the collector's threshold is {int(thresholds[0]):,} and no full collection came by"
    return ""
