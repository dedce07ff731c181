"""Detector: objects that nothing in the heap leads to, and that are alive: C took a reference and kept it."""

from __future__ import annotations

from leakhunt.agent import schema
from leakhunt.analysis.growth.evidence import Evidence, Group
from leakhunt.analysis.growth.trends import theil_sen
from leakhunt.analysis.heap.reachability import reach
from leakhunt.analysis.heap.representative import telling_class

from .growing_holders import TIMELESS
from .verdicts import Verdict


def held_from_outside(evidence: Evidence) -> list[Verdict]:
    """Classes with more objects than before that no root and no object leads to and that are no garbage."""
    if len(evidence.deep) < 2:
        return []
    callbacks_rate = theil_sen(evidence.seconds, evidence.ledger("atexit_callbacks"))
    groups = [
        group for group in evidence.outside_groups if not evidence.graph.facts.is_named(group.type, schema.TYPE_CONTEXT)
    ]
    return [_candidate(evidence, group, callbacks_rate) for group in groups]


def _candidate(evidence: Evidence, group: Group, callbacks_rate: float) -> Verdict:
    reached = reach(evidence.graph, group.objects, evidence.is_new)
    weight = float(evidence.graph.sizes[reached].sum())
    gained = f"{group.trend.gain:,.0f} more in {group.seconds[-1] - group.seconds[0]:.0f} s"
    if is_registered(evidence, group, callbacks_rate):
        type_name = telling_class(evidence.graph, group.objects, evidence.is_new) or group.type
        return Verdict(
            "python-leak",
            type_name,
            evidence.policy.certainty,
            f"{gained}, each registered with atexit and kept until the end",
            "Unregister with atexit.unregister when done, or register one callback that works on a WeakSet.",
            group.seconds,
            group.counts,
            group.trend,
            "atexit callback table",
            objects=reached,
            direct=group.objects,
            weight=weight,
            detector="outside",
            group=group,
        )
    return Verdict(
        "refcount-leak",
        group.type,
        evidence.policy.certainty - evidence.policy.outside_less,
        f"{gained}, alive with more references than the whole heap accounts for and out of reach of every root",
        "A C extension took a reference and never gave it back: look at the one that makes or gets these.",
        group.seconds,
        group.counts,
        group.trend,
        objects=reached,
        direct=group.objects,
        weight=weight,
        detector="outside",
        group=group,
        spared=TIMELESS,
    )


def is_registered(evidence: Evidence, group: Group, callbacks_rate: float) -> bool:
    """Whether the group grows as the table of functions to be called at exit does."""
    away = abs(callbacks_rate - group.trend.slope)
    return callbacks_rate > 0 and away <= evidence.policy.callbacks_slack * callbacks_rate
