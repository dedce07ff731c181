"""Detector: objects that nothing in the heap leads to, and that are alive: C took a reference and kept it."""

from __future__ import annotations

import numpy as np

from leakhunt.agent import schema
from leakhunt.analysis.doubt import ended
from leakhunt.analysis.growth import trends
from leakhunt.analysis.growth.evidence import Evidence, Group
from leakhunt.analysis.growth.trends import theil_sen
from leakhunt.analysis.heap.reachability import reach
from leakhunt.analysis.heap.representative import telling_class

from .growing_holders import ATEXIT_TABLE, TIMELESS, is_atexit_table
from .verdicts import Verdict


def held_from_outside(evidence: Evidence) -> list[Verdict]:
    """Classes with more objects than before that no root and no object leads to and that are no garbage."""
    if len(evidence.deep) < 2:
        return []
    callbacks_rate = theil_sen(evidence.seconds, evidence.ledger("atexit_callbacks"))
    groups = [
        group for group in evidence.outside_groups if not evidence.graph.facts.is_named(group.type, schema.TYPE_CONTEXT)
    ]
    at_exit = _registered_at_exit(evidence)
    return [*at_exit, *(_candidate(evidence, group, callbacks_rate, at_exit) for group in groups)]


def _registered_at_exit(evidence: Evidence) -> list[Verdict]:
    """The table of functions to be called at exit, which C holds where no walk can see it: by its length, and by what
    is held from outside and came since. None where it is seen as a place.
    """
    counts = evidence.ledger("atexit_callbacks")[evidence.since :]
    trend = trends.trend(evidence.seconds[evidence.since :], counts)
    if trend.gain < evidence.policy.gain or any(is_atexit_table(evidence, p) for p in evidence.places):
        return []
    graph = evidence.graph
    held = np.flatnonzero(graph.held_outside & evidence.is_new & ~graph.class_tables)
    between = evidence.deep[-1].number("atexit_callbacks") - evidence.deep[evidence.first].number("atexit_callbacks")
    if between <= 0 or len(held) < evidence.policy.covered * between:
        return []  # what was registered holds nothing
    reached = reach(graph, held, evidence.is_new)
    return [
        Verdict(
            "python-leak",
            telling_class(graph, held, evidence.is_new, between, evidence.policy) or graph.type_name(int(held[0])),
            evidence.policy.certainty,
            f"{trend.gain:,.0f} more in {evidence.seconds[-1] - evidence.seconds[evidence.since]:.0f} s, "
            "each registered with atexit and kept until the end",
            "Unregister with atexit.unregister when done, or register one callback that works on a WeakSet.",
            evidence.seconds[evidence.since :],
            counts,
            trend,
            ATEXIT_TABLE,
            objects=reached,
            direct=held,
            weight=float(graph.sizes[reached].sum()),
            detector="outside",
        )
    ]


def _candidate(evidence: Evidence, group: Group, callbacks_rate: float, at_exit: list[Verdict]) -> Verdict:
    reached = reach(evidence.graph, group.objects, evidence.is_new)
    weight = float(evidence.graph.sizes[reached].sum())
    gained = f"{group.trend.gain:,.0f} more in {group.seconds[-1] - group.seconds[0]:.0f} s"
    said = "they are registered with atexit, or held by what is"
    theirs = at_exit and (is_registered(evidence, group, callbacks_rate) or _are_among(evidence, group, at_exit[0]))
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
        doubts=(ended("registered", said),) if theirs else (),
    )


def _are_among(evidence: Evidence, group: Group, other: Verdict) -> bool:
    """Whether another candidate accounts for most of a group."""
    return bool(np.isin(group.objects, other.objects).mean() > evidence.policy.covered)


def is_registered(evidence: Evidence, group: Group, callbacks_rate: float) -> bool:
    """Whether the group grows as the table of functions to be called at exit does."""
    away = abs(callbacks_rate - group.trend.slope)
    return callbacks_rate > 0 and away <= evidence.policy.callbacks_slack * callbacks_rate
