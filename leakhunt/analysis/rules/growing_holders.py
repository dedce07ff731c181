"""Detector: a container that only grows, whose items stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from leakhunt.agent import schema
from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.growth.holders import Place
from leakhunt.analysis.heap import finalizers
from leakhunt.analysis.heap.facts import SAYS_LITTLE, SAYS_NOTHING
from leakhunt.analysis.heap.graph import HeapGraph, Indexes
from leakhunt.analysis.heap.representative import code_name, telling_class
from leakhunt.analysis.policy import Policy

from .verdicts import Verdict

# What only lives a while grows, too, until the first of it is old enough to go; these conditions are leaks at any age.
TIMELESS = frozenset(("young", "few bursts"))
ATEXIT_TABLE = "atexit callback table"


@dataclass(frozen=True)
class Condition:
    """What it means that a place grows: a kind of leak, in words; `less` sure than usual, and spared some doubts."""

    kind: str
    type: str
    reason: str
    advice: str
    less: float = 0.0
    spared: frozenset[str] = frozenset()


def growing_holders(evidence: Evidence) -> list[Verdict]:
    """Every place that has more in it than before: the common leak, and what gc.garbage or `__del__` make of it."""
    return [candidate(evidence, place) for place in evidence.grown_places]


def candidate(evidence: Evidence, place: Place) -> Verdict:
    """The candidate that a place is."""
    certainty = evidence.policy.certainty
    if place.doubt is not None:  # it is not known what it is full of
        item = _member_type(evidence, place)
        return Verdict(
            "python-leak", item, certainty, gained(place), "", place.seconds, place.extents, place.trend, place.owner,
            holder=place.members[0], place=place, detector="place", doubts=(place.doubt,),
        )  # fmt: skip
    condition = next(found for rule in CONDITIONS if (found := rule(evidence, place)) is not None)
    says_nothing = evidence.graph.facts.is_named(condition.type, SAYS_NOTHING | SAYS_LITTLE)
    name = code_name(evidence.graph, place.children) if says_nothing else ""
    return Verdict(
        kind=condition.kind,
        type=condition.type,
        confidence=certainty - condition.less,
        reason=condition.reason + (f"; they are {name}" if name else ""),
        advice=condition.advice,
        seconds=place.seconds,
        counts=place.extents,
        trend=place.trend,
        owner=ATEXIT_TABLE if is_atexit_table(evidence, place) else place.owner,
        also_owned_by=place.also_owned_by,
        holder=place.members[0],
        objects=place.reached,
        direct=place.children,
        weight=place.share_bytes,
        place=place,
        survival=place.survival,
        detector="place",
        spared=condition.spared,
    )


def is_atexit_table(evidence: Evidence, place: Place) -> bool:
    """Whether `atexit` keeps its callbacks here: in what its module refers to or, from 3.14 on, in a list of C's own.

    Nothing leads to that list. It has as many items as the program has callbacks, at every look; more where it was
    walked in slices, a while after they were counted, and then no more than were counted at the next look.
    """
    if place.owner == "atexit":
        return True
    member, lineage = place.members[0], evidence.lineage
    if not evidence.graph.held_outside[member]:
        return False
    looks = range(evidence.first, len(evidence.deep))
    counted = [evidence.deep[k].number("atexit_callbacks", -1.0) for k in looks]
    last = evidence.snapshots[-1].number("atexit_callbacks")
    rows = [int(lineage.present[k, member]) for k in looks]
    items = [int(lineage.graphs[k].extents[row]) if row >= 0 else -1 for k, row in zip(looks, rows, strict=True)]
    at_next = [*counted[1:], max(last, counted[-1])]
    return all(low <= here <= high for low, here, high in zip(counted, items, at_next, strict=True))


def _in_gc_garbage(evidence: Evidence, place: Place) -> Condition | None:
    if place.owner != "gc.garbage":
        return None
    return Condition(
        "uncollectable",
        content_type(evidence, place),
        f"{gained(place)} in gc.garbage: the collector can't free them and keeps all they refer to",
        "A C type with the old tp_del slot is in these cycles: break them by hand, or update that extension.",
        spared=TIMELESS,
    )


def _resurrected(evidence: Evidence, place: Place) -> Condition | None:
    graph = evidence.graph
    concerned = finalizers.finalizable(graph, place.reached)
    if not len(concerned) or finalizers.finalized(graph, concerned).mean() <= 0.5:
        return None
    return Condition(
        "resurrected",
        _most_common_type(graph.snapshot.type_names, graph.types[concerned]),
        f"{gained(place)}, put back by their own __del__ after it was run, none ever freed",
        "Don't store self (or anything that reaches it) from __del__; hand the resource back by a context manager.",
        spared=TIMELESS,
    )


def _instances_in_a_cache(evidence: Evidence, place: Place) -> Condition | None:
    """A bounded cache on a method, that keeps what it was called on (ruff B019)."""
    kept = kept_instances(evidence, place) if place.is_bounded else ""
    if not kept:
        return None
    return Condition(
        "python-leak",
        kept,
        f"{gained(place)}: a cache on a method keeps every instance it was called on alive, "
        f"up to {place.bound:,} of them",
        evidence.known.advice_for(place.owner)
        or "Cache per instance (functools.cached_property), or key by what the result depends on, not by self.",
        evidence.policy.bounded_cache_less,
        frozenset(("bounded", "losing")),
    )


def _plain(evidence: Evidence, place: Place) -> Condition:
    return Condition(
        "python-leak",
        content_type(evidence, place),
        f"{gained(place)}, {survival_words(place.survival)}, in {container_words(evidence, place)}",
        evidence.known.advice_for(place.owner)
        or "Remove entries when their owner is done with them, or give the container a bound.",
    )


# The first that holds says what the growth of a place means.
CONDITIONS: tuple[Callable[[Evidence, Place], Condition | None], ...] = (
    _in_gc_garbage, _resurrected, _instances_in_a_cache, _plain,
)  # fmt: skip


def content_type(evidence: Evidence, place: Place) -> str:
    """The class that tells most of what the place gained; its container's where it gained nothing new."""
    found = telling_class(evidence.graph, place.children, evidence.is_new, place.entries, evidence.policy)
    if found and evidence.graph.facts.is_named(found, schema.TYPE_ATOM):
        found = _value_type(evidence.graph, place, evidence.policy) or found
    return found or _member_type(evidence, place)


def _value_type(graph: HeapGraph, place: Place, policy: Policy) -> str:
    """Of a mapping from atoms to atoms: the class of its new values, which are what was put in.

    "" where these are few, as numbers that are shared, or where the keys are what takes the memory.
    """
    index = place.members[0]
    if not graph.is_a(index, schema.TYPE_MAPPING):
        return ""
    referents = graph.referents(index).astype(np.int64)
    length = int(graph.lengths[index])
    values = np.intersect1d(place.children, referents[:length])
    keys = np.intersect1d(place.children, referents[length : 2 * length])
    of_values, of_keys = graph.sizes[values].sum(), graph.sizes[keys].sum()
    if len(values) < policy.values_new * place.entries or policy.keys_outweigh * of_values < of_keys:
        return ""
    return _most_common_type(graph.snapshot.type_names, graph.types[values])


def kept_instances(evidence: Evidence, place: Place) -> str:
    """The class whose instances a bounded cache on its own method keeps alive by their keys, '' when it is none.

    Up to `maxsize` dead ones stay (ruff B019): one that is meant to live, as self of a singleton, is not new.
    """
    class_name, _, _ = place.owner.rpartition(".")
    graph = evidence.graph
    members = graph.types[place.reached] if len(place.reached) else place.reached
    rows = [row for row, name in enumerate(graph.snapshot.type_names) if name == class_name]
    return class_name if np.isin(members, rows).sum() >= evidence.policy.instances_kept else ""


def _member_type(evidence: Evidence, place: Place) -> str:
    return evidence.graph.type_name(place.members[0])


def gained(place: Place) -> str:
    return f"{place.trend.gain:,.0f} more items in {place.seconds[-1] - place.seconds[0]:.0f} s"


def survival_words(survival: float) -> str:
    return "none ever taken out" if survival >= 0.999 else f"{survival:.0%} of the old ones still there"


def container_words(evidence: Evidence, place: Place) -> str:
    kind = _member_type(evidence, place).removeprefix("builtins.")
    return (
        f"one growing {kind}" if len(place.members) == 1 else f"{len(place.members):,} growing {kind}s of the same name"
    )


def _most_common_type(names: tuple[str, ...], rows: Indexes) -> str:
    return names[int(np.bincount(rows).argmax())]
