"""Rule: a container that only grows, whose items stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import finalizers
from .evidence import Evidence
from .facts import SAYS_LITTLE, SAYS_NOTHING
from .graph import Indexes
from .holders import Place
from .representative import code_name, telling_class
from .verdicts import TIMELESS, Verdict, confidence

KEPT_INSTANCES_MIN = 5
RECURRING, SLOWING = 0.1, 0.9
BURSTS_MIN = 6  # tables that are loaded when first asked for come in bursts, too: fewer of them tell nothing
FEW_BURSTS = 0.7
LOCK_STEP = 1.25
INDEX_WEIGHT = 4.0


def growing_holders(evidence: Evidence) -> list[Verdict]:
    """A container that only grows, whose items stay: the common leak."""
    found = []
    for place in evidence.places:
        if evidence.known.is_harmless(place.owner):
            continue
        type_name = telling_class(evidence.graph, place.children, evidence.is_new, place.entries) or _member_type(
            evidence, place
        )
        if place.is_bounded:
            type_name = kept_instances(evidence, place)
            if not type_name:
                continue
        if not follows_its_class(evidence, type_name, place):
            continue
        found.append(_holder_verdict(evidence, place, type_name))
    return _without_indexes(evidence, found)


def _without_indexes(evidence: Evidence, verdicts: list[Verdict]) -> list[Verdict]:
    """A registry and its indexes are one leak, named by the container whose class tells most.

    An index is another container of the same object, that grows in lock-step and holds only atoms or tuples of them. It
    is a leak of its own where it is what takes the memory.
    """
    kept = [verdict for verdict in verdicts if not _tells_nothing(evidence, verdict)]
    for index in (verdict for verdict in verdicts if _tells_nothing(evidence, verdict)):
        number = next((n for n, registry in enumerate(kept) if _is_index(evidence, index, registry)), -1)
        if number < 0:
            kept.append(index)
        else:
            registry = kept[number]
            kept[number] = replace(registry, also_owned_by=(*registry.also_owned_by, index.owner or ""))
    return kept


def _tells_nothing(evidence: Evidence, verdict: Verdict) -> bool:
    return evidence.graph.facts.is_named(verdict.type, SAYS_NOTHING)


def _is_index(evidence: Evidence, index: Verdict, registry: Verdict) -> bool:
    carrier, other = (evidence.names.owner_index(verdict.holder) for verdict in (index, registry))
    if carrier < 0 or carrier != other or evidence.graph.type_name(carrier) == "builtins.module":
        return False  # what globals have in common is no more than a file
    pace = index.trend.gain / max(registry.trend.gain, 1.0)
    return 1 / LOCK_STEP <= pace <= LOCK_STEP and index.weight <= INDEX_WEIGHT * registry.weight


def kept_instances(evidence: Evidence, place: Place) -> str:
    """The class whose instances a bounded cache on its own method keeps alive by their keys, '' when it is none.

    Up to `maxsize` dead ones stay (ruff B019): one that is meant to live, as self of a singleton, is not new.
    """
    class_name, _, _ = place.owner.rpartition(".")
    graph = evidence.graph
    members = graph.types[place.reached] if len(place.reached) else place.reached
    rows = [row for row, name in enumerate(graph.snapshot.type_names) if name == class_name]
    return class_name if np.isin(members, rows).sum() >= KEPT_INSTANCES_MIN else ""


def follows_its_class(evidence: Evidence, type_name: str, place: Place) -> bool:
    """Whether the class grows with the place: a batch that is dropped and begun anew is seen here if not there."""
    series = evidence.classes.get(type_name)
    if series is None or evidence.graph.facts.is_named(type_name, SAYS_NOTHING) or place.is_steady:
        return True
    return series.trend.drawdown <= 0.35 and series.trend.gain >= 0.3 * place.trend.gain * _share(
        evidence, type_name, place
    )


def _share(evidence: Evidence, type_name: str, place: Place) -> float:
    """Instances of the class among the place's new objects, for each item that it gained (at most 1)."""
    instances = sum(evidence.graph.type_name(int(i)) == type_name for i in place.reached[:20000])
    return min(1.0, instances / max(1.0, float(place.extents[-1] - place.extents[0])))


def _member_type(evidence: Evidence, place: Place) -> str:
    return evidence.graph.type_name(place.members[0])


def _holder_verdict(evidence: Evidence, place: Place, type_name: str) -> Verdict:
    graph = evidence.graph
    kind = "python-leak"
    sure = confidence(place.trend, certainty=0.88) if place.is_bounded else confidence(place.trend, place.survival)
    if place.replaced >= RECURRING * place.trend.gain and place.trend.later_share < SLOWING:
        sure = round(sure - 0.25, 2)  # keys come back, and fewer new ones come: it fills up to the number of keys
    gained = f"{place.trend.gain:,.0f} more items in {place.seconds[-1] - place.seconds[0]:.0f} s"
    reason = f"{gained}, {survival_words(place.survival)}, in {container_words(evidence, place)}"
    known = evidence.known.advice_for(place.owner)
    advice = known or "Remove entries when their owner is done with them, or give the container a bound."
    owner = place.owner
    concerned = finalizers.finalizable(graph, place.reached)
    if owner == "gc.garbage":
        kind, reason = (
            "uncollectable",
            f"{gained} in gc.garbage: the collector can't free them and keeps all they refer to",
        )
        advice = "A C type with the old tp_del slot is in these cycles: break them by hand, or update that extension."
    elif len(concerned) and finalizers.finalized(graph, concerned).mean() > 0.5:
        kind, reason = "resurrected", f"{gained}, put back by their own __del__ after it was run, none ever freed"
        type_name = _most_common_type(graph.snapshot.type_names, graph.types[concerned])
        advice = (
            "Don't store self (or anything that reaches it) from __del__; hand the resource back by a context manager."
        )
    elif place.is_bounded:
        reason = (
            f"{gained}: a cache on a method keeps every instance it was called on alive, up to {place.bound:,} of them"
        )
        advice = known or (
            "Cache per instance (functools.cached_property), or key by what the result depends on, not by self."
        )
    if owner == "atexit":
        owner = "atexit callback table"
    if place.bursts is not None and place.bursts < BURSTS_MIN and kind not in TIMELESS:
        sure = min(sure, FEW_BURSTS)
    name = code_name(graph, place.children)
    if name and evidence.graph.facts.is_named(type_name, SAYS_NOTHING | SAYS_LITTLE):
        reason += f"; they are {name}"
    return Verdict(
        kind,
        type_name,
        sure,
        reason,
        advice,
        place.seconds,
        place.extents,
        place.trend,
        owner,
        place.also_owned_by,
        place.members[0],
        place.reached,
        place.children,
        place.share_bytes,
        place,
    )


def survival_words(survival: float) -> str:
    return "none ever taken out" if survival >= 0.999 else f"{survival:.0%} of the old ones still there"


def container_words(evidence: Evidence, place: Place) -> str:
    kind = _member_type(evidence, place).removeprefix("builtins.")
    return (
        f"one growing {kind}" if len(place.members) == 1 else f"{len(place.members):,} growing {kind}s of the same name"
    )


def _most_common_type(names: tuple[str, ...], rows: Indexes) -> str:
    return names[int(np.bincount(rows).argmax())]
