"""Verdict rules, in order: each looks at the evidence of one process and accuses, or keeps silent.

Each rule has a reason that holds for programs nobody here wrote; the known and bounded are let pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from . import buffers, finalizers, known, memory
from .evidence import Evidence, Group
from .graph import HeapGraph, Ints
from .growth import theil_sen
from .holders import Place, limit_of, reach, weakly_held
from .telling import ATOMS, GLUE, function_name, telling_class
from .verdicts import Verdict, confidence

COVERED = 0.5
WEAK = ("weakref.ReferenceType", "builtins.weakref", "weakref.KeyedRef")
SURVIVAL_MIN = 0.75
GROUP_SURVIVAL_MIN = 0.9
ATEXIT_SLACK = 0.25
KEPT_INSTANCES_MIN = 5
RECURRING, SLOWING = 0.1, 0.9
Rule = Callable[[Evidence], list[Verdict]]


def growing_holders(evidence: Evidence) -> list[Verdict]:
    """A container that only grows, whose items stay: the common leak."""
    found = []
    for place in evidence.places:
        if known.is_harmless(place.owner):
            continue
        type_name = telling_class(evidence.graph, place.children, evidence.is_new) or _member_type(evidence, place)
        if place.is_bounded:
            type_name = kept_instances(evidence, place)
            if not type_name:
                continue
        if not follows_its_class(evidence, type_name, place):
            continue
        found.append(_holder_verdict(evidence, place, type_name))
    return found


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
    if series is None or type_name in ATOMS or type_name in GLUE or place.is_steady:
        return True
    return series.trend.drawdown <= 0.35 and series.trend.gain >= 0.3 * place.trend.gain * _share(evidence, type_name, place)


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
    advice = known.advice_for(place.owner) or "Remove entries when their owner is done with them, or give the container a bound."
    owner = place.owner
    concerned = finalizers.finalizable(graph, place.reached)
    if owner == "gc.garbage":
        kind, reason = "uncollectable", f"{gained} in gc.garbage: the collector can't free them and keeps all they refer to"
        advice = "A C type with the old tp_del slot is in these cycles: break them by hand, or update that extension."
    elif len(concerned) and finalizers.finalized(graph, concerned).mean() > 0.5:
        kind, reason = "resurrected", f"{gained}, put back by their own __del__ after it was run, none ever freed"
        type_name = _most_common_type(graph.snapshot.type_names, graph.types[concerned])
        advice = "Don't store self (or anything that reaches it) from __del__; hand the resource back by a context manager."
    elif place.is_bounded:
        reason = f"{gained}: a cache on a method keeps every instance it was called on alive, up to {place.bound:,} of them"
        advice = "Cache per instance (functools.cached_property), or key the cache by what the result depends on, not by self."
    if owner == "atexit":
        owner = "atexit callback table"
    name = function_name(graph, place.children)
    if name and type_name == "builtins.function":
        reason += f"; they are {name}"
    return Verdict(
        kind, type_name, sure, reason, advice, place.seconds, place.extents, place.trend, owner,
        place.also_owned_by, place.members[0], place.reached, place.children, place.share_bytes, place,
    )  # fmt: skip


def survival_words(survival: float) -> str:
    return "none ever taken out" if survival >= 0.999 else f"{survival:.0%} of the old ones still there"


def container_words(evidence: Evidence, place: Place) -> str:
    kind = _member_type(evidence, place).removeprefix("builtins.")
    return f"one growing {kind}" if len(place.members) == 1 else f"{len(place.members):,} growing {kind}s of the same name"


def _most_common_type(names: tuple[str, ...], rows: Ints) -> str:
    return names[int(np.bincount(rows).argmax())]


def held_from_outside(evidence: Evidence) -> list[Verdict]:
    """Objects that no root and no object leads to, not garbage, and more of them all the time."""
    if len(evidence.deep) < 2:
        return []
    graph, found = evidence.graph, []
    taken = np.zeros(graph.count, dtype=bool)
    for place in evidence.places:
        taken[place.reached] = True
    callbacks_rate = theil_sen(evidence.seconds, evidence.ledger("atexit_callbacks"))
    for group in evidence.outside:
        if is_context_name(group.type) or evidence.group_survival(group) < GROUP_SURVIVAL_MIN:
            continue
        if len(weakly_held(graph, group.objects)) > COVERED * len(group.objects):
            continue  # weak references to the living, kept by C: what keeps those alive is elsewhere
        reached = reach(graph, group.objects, evidence.is_new)
        if len(reached) and taken[reached].mean() <= COVERED:
            taken[reached] = True
            found.append(_outside_verdict(evidence, group, reached, callbacks_rate))
    return found


def _outside_verdict(evidence: Evidence, group: Group, reached: Ints, callbacks_rate: float) -> Verdict:
    weight = float(evidence.graph.sizes[reached].sum())
    gained = f"{group.trend.gain:,.0f} more in {group.seconds[-1] - group.seconds[0]:.0f} s"
    if callbacks_rate > 0 and abs(callbacks_rate - group.trend.slope) <= ATEXIT_SLACK * callbacks_rate:
        type_name = telling_class(evidence.graph, group.objects, evidence.is_new) or group.type
        return Verdict(
            "python-leak", type_name, confidence(group.trend), f"{gained}, each registered with atexit and kept until the end",
            "Unregister with atexit.unregister when done, or register one callback that works on a WeakSet.",
            group.seconds, group.counts, group.trend, "atexit callback table", objects=reached, direct=group.objects, weight=weight,
        )  # fmt: skip
    return Verdict(
        "refcount-leak", group.type, confidence(group.trend, certainty=0.95),
        f"{gained}, alive with more references than the whole heap accounts for and out of reach of every root",
        "A C extension took a reference and never gave it back: look at the extension that makes or is handed these objects.",
        group.seconds, group.counts, group.trend, objects=reached, direct=group.objects, weight=weight,
    )  # fmt: skip


def waiting_garbage(evidence: Evidence) -> list[Verdict]:
    """Cycles that nobody collects: the collector is off, or so lazy that it never came by."""
    if len(evidence.deep) < 2 or not evidence.garbage:
        return []
    asleep = collector_words(evidence)
    if not asleep:
        return []
    graph = evidence.graph
    groups = [g for g in evidence.garbage if g.type not in ATOMS]
    concerned = finalizers.finalizable(graph, np.concatenate([g.objects for g in groups]))
    with_del = {graph.type_name(int(i)) for i in concerned}
    ranked = sorted(groups, key=lambda g: (g.type not in with_del, g.type in GLUE, -g.trend.gain))
    top, objects = ranked[0], np.concatenate([g.objects for g in ranked])
    effect = " and their __del__ has not run" if top.type in with_del else ""
    return [
        Verdict(
            "delayed-finalizer", top.type, confidence(top.trend),
            f"{top.trend.gain:,.0f} more in cycles that nothing refers to{effect}: {asleep}",
            "Let the collector run (gc.enable, or gc.collect at a quiet moment), or break the cycle (weakref for the way back).",
            top.seconds, top.counts, top.trend, objects=objects, direct=top.objects,
            weight=float(graph.sizes[objects].sum()),
        )  # fmt: skip
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


def growing_classes(evidence: Evidence) -> list[Verdict]:
    """Classes that grow and stay without a container that does: linked nodes, a Context, objects behind C types."""
    if len(evidence.deep) < 2:
        return []
    graph, lineage = evidence.graph, evidence.lineage
    covered = np.zeros(graph.count, dtype=bool)
    for place in evidence.places:
        covered[place.reached] = True
    for group in (*evidence.outside, *evidence.garbage):
        if not is_context_name(group.type):
            covered[reach(graph, group.objects, evidence.is_new)] = True
    lasting = lineage.class_survival(evidence.first + max(0, (len(lineage.graphs) - 1 - evidence.first) // 2))
    by_holder: dict[int, list[tuple[str, Ints]]] = {}
    for name, series in evidence.classes.items():
        if name in GLUE or name in ATOMS or name in WEAK or is_context_name(name) or not series.trend.is_growth or series.trend.gain < 8:
            continue
        before, stayed = lasting.get(name, (0, 0))
        fresh = _instances(evidence, name)
        if before == 0 or stayed < GROUP_SURVIVAL_MIN * before or not len(fresh) or covered[fresh].mean() > COVERED:
            continue
        holder = old_dominator(evidence, fresh)
        if holder >= 0:
            by_holder.setdefault(holder, []).append((name, fresh))
    return [v for holder, rows in by_holder.items() for v in _class_verdict(evidence, holder, rows)]


def _instances(evidence: Evidence, name: str) -> Ints:
    rows = [row for row, text in enumerate(evidence.graph.snapshot.type_names) if text == name]
    kept, _ = evidence.graph.kept_tree
    return np.flatnonzero(np.isin(evidence.graph.types, rows) & evidence.is_new & kept)


def old_dominator(evidence: Evidence, fresh: Ints) -> int:
    """The nearest old object that dominates most of `fresh` (the old-to-new frontier).

    A Context is known by its HAMT, whose nodes are made anew at every change: they all count as the topmost one.
    -1 when there is no such object.
    """
    idom, graph = evidence.dominators.idom, evidence.graph
    tally: Counter[int] = Counter()
    mapping = -1
    for index in fresh[:5000].tolist():
        below, above = index, int(idom[index])
        while 0 <= above < graph.count and evidence.is_new[above]:
            below, above = above, int(idom[above])
        if above == graph.count and is_context(graph, below):
            mapping = above = mapping if mapping >= 0 else below
        tally[above] += 1
    holder, number = tally.most_common(1)[0]
    return holder if 0 <= holder < graph.count and number >= 0.4 * min(len(fresh), 5000) else -1


def is_context(graph: HeapGraph, index: int) -> bool:
    """Whether the object is a `contextvars.Context` or a part of the mapping inside of one."""
    return is_context_name(graph.type_name(index))


def is_context_name(name: str) -> bool:
    return name in ("_contextvars.Context", "builtins.Context") or name.startswith("builtins.hamt")


def _class_verdict(evidence: Evidence, holder: int, rows: list[tuple[str, Ints]]) -> list[Verdict]:
    graph, names = evidence.graph, evidence.names
    rows.sort(key=lambda row: (row[0].startswith("builtins."), -_held_directly(evidence, holder, row[1]), -len(row[1])))
    name, fresh = rows[0]
    owners = names.owners(holder)
    owner = owners[0] if owners else graph.type_name(holder)
    advice = "Look at what this object links to and never lets go."
    if is_context(graph, holder):
        owner = "current contextvars.Context of a thread"
        advice = "A ContextVar made per request is never freed: make it once, at module level."
    if limit_of(graph, holder) is not None or known.is_harmless(owner):
        return []
    trend = evidence.classes[name].trend
    weight = float(sum(graph.sizes[objects].sum() for _, objects in rows))
    return [
        Verdict(
            "uncollectable" if owner == "gc.garbage" else "python-leak", name, confidence(trend, certainty=0.9),
            f"{trend.gain:,.0f} more and none freed, all of them reached through one older {graph.type_name(holder)}",
            advice, evidence.seconds, evidence.classes[name].counts, trend, owner, tuple(owners[1:]), holder,
            np.concatenate([objects for _, objects in rows]), fresh, weight,
        )  # fmt: skip
    ]


def _held_directly(evidence: Evidence, holder: int, objects: Ints) -> float:
    return round(float(np.mean(evidence.dominators.idom[objects] == holder)), 1)


RULES: tuple[Rule, ...] = (
    growing_holders, buffers.growing_buffers, held_from_outside, waiting_garbage, growing_classes, memory.native_growth, memory.fragmentation,
)  # fmt: skip


def judge(evidence: Evidence) -> list[Verdict]:
    """All verdicts on one process, the heaviest first; memory of no object only where objects do not explain it."""
    found: list[Verdict] = []
    for rule in RULES:
        if rule in (memory.native_growth, memory.fragmentation) and memory.is_explained(evidence, found):
            continue
        found.extend(rule(evidence))
    return sorted(found, key=lambda verdict: -verdict.weight)



