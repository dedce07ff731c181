"""Rule: objects that nothing in the heap leads to, and that are alive: C took a reference and kept it."""

from __future__ import annotations

import numpy as np

from leakhunt.agent import schema

from .evidence import Evidence, Group
from .graph import Ints
from .growth import theil_sen
from .reaching import reach
from .representative import telling_class
from .verdicts import Verdict, confidence, doubted
from .watching import weakly_held

COVERED = 0.5
FAITHFUL_MIN = 0.9
ATEXIT_SLACK = 0.25
GREENLETS_MIN = 8
MAYBE_ON_A_STACK = 0.7


def held_from_outside(evidence: Evidence) -> list[Verdict]:
    """Objects that no root and no object leads to, not garbage, and more of them all the time."""
    if len(evidence.deep) < 2:
        return []
    graph, found = evidence.graph, []
    taken = np.zeros(graph.count, dtype=bool)
    for place in evidence.places:
        taken[place.reached] = True
    callbacks_rate = theil_sen(evidence.seconds, evidence.ledger("atexit_callbacks"))
    stacks = _new_greenlets(evidence) >= GREENLETS_MIN
    for group in evidence.outside:
        if graph.facts.is_named(group.type, schema.TYPE_CONTEXT) or evidence.group_survival(group) < FAITHFUL_MIN:
            continue
        if len(weakly_held(graph, group.objects)) > COVERED * len(group.objects):
            continue  # weak references to the living, kept by C: what keeps those alive is elsewhere
        reached = reach(graph, group.objects, evidence.is_new)
        if len(reached) and taken[reached].mean() <= COVERED:
            taken[reached] = True
            verdict = _outside_verdict(evidence, group, reached, callbacks_rate)
            found.append(_maybe_on_a_stack(verdict) if stacks and verdict.kind == "refcount-leak" else verdict)
    return found


def _new_greenlets(evidence: Evidence) -> int:
    flags = evidence.graph.snapshot.column("type.flags")[evidence.graph.types]
    return int(((flags & schema.TYPE_GREENLET > 0) & evidence.is_new).sum())


def _maybe_on_a_stack(verdict: Verdict) -> Verdict:
    """Less sure, where many greenlets wait: what their functions have in hand is found nowhere in the heap."""
    return doubted(verdict, MAYBE_ON_A_STACK, "greenlets that wait have them on their stacks")


def _outside_verdict(evidence: Evidence, group: Group, reached: Ints, callbacks_rate: float) -> Verdict:
    weight = float(evidence.graph.sizes[reached].sum())
    gained = f"{group.trend.gain:,.0f} more in {group.seconds[-1] - group.seconds[0]:.0f} s"
    if callbacks_rate > 0 and abs(callbacks_rate - group.trend.slope) <= ATEXIT_SLACK * callbacks_rate:
        type_name = telling_class(evidence.graph, group.objects, evidence.is_new) or group.type
        return Verdict(
            "python-leak",
            type_name,
            confidence(group.trend),
            f"{gained}, each registered with atexit and kept until the end",
            "Unregister with atexit.unregister when done, or register one callback that works on a WeakSet.",
            group.seconds,
            group.counts,
            group.trend,
            "atexit callback table",
            objects=reached,
            direct=group.objects,
            weight=weight,
        )
    return Verdict(
        "refcount-leak",
        group.type,
        confidence(group.trend, certainty=0.95),
        f"{gained}, alive with more references than the whole heap accounts for and out of reach of every root",
        "A C extension took a reference and never gave it back: look at the one that makes or gets these.",
        group.seconds,
        group.counts,
        group.trend,
        objects=reached,
        direct=group.objects,
        weight=weight,
    )
