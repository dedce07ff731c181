"""From a verdict to a finding: what a person is told, in the words of `leakhunt.findings`."""

from __future__ import annotations

from collections import Counter

import numpy as np

from leakhunt.agent import schema
from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.heap import finalizers
from leakhunt.analysis.heap.dominators import is_affordable
from leakhunt.analysis.heap.unit import table, unit
from leakhunt.analysis.rules.verdicts import Verdict
from leakhunt.findings import Chain, Finding, Growth, Holder, UnitRow

from . import origins, reference_graph
from .fingerprint import fingerprint

ALSO_MAX = 8


def finding(evidence: Evidence, verdict: Verdict, pid: int) -> Finding:
    """The finding for one verdict on one process; its rank, file and line are filled in later."""
    holder = _holder(evidence, verdict)
    objects = verdict.objects
    on_chain = _chain(evidence, verdict)
    made, why_not_made = origins.made_at(evidence, verdict)
    added, why_not_added = origins.added_at(evidence, verdict)
    return Finding(
        kind=verdict.kind,
        type=verdict.type,
        also_growing=_also_growing(evidence, verdict),
        confidence=verdict.confidence,
        reason=verdict.reason,
        holder=holder,
        growth=_growth(evidence, verdict),
        retained_size_bytes=retained_bytes(evidence, verdict),
        finalizers=finalizers.finalizers(evidence.graph, objects) if len(objects) else (),
        fingerprint=fingerprint(verdict.kind, verdict.type, _names(holder), _modules(evidence)),
        advice=verdict.advice,
        chain=on_chain,
        graph=reference_graph.of_verdict(evidence, verdict) if len(objects) else None,
        pids=(pid,),
        unit=_unit(evidence, verdict),
        allocated_at=made,
        added_at=added,
        unseen=tuple(
            f"{what}: {why}" for what, why in (("made at", why_not_made), ("put in at", why_not_added)) if why
        ),
    )


def _names(holder: Holder | None) -> tuple[str, ...]:
    return (holder.owner, *holder.aliases) if holder is not None else ()


def _modules(evidence: Evidence) -> set[str]:
    return {root.label for root in evidence.graph.roots if root.kind == "module"}


def _holder(evidence: Evidence, verdict: Verdict) -> Holder | None:
    if verdict.owner is None:
        return None
    if verdict.holder < 0:
        return Holder(owner=verdict.owner)
    names = evidence.names
    aliases = [name for name in (*names.owners(verdict.holder), *verdict.also_owned_by) if name != verdict.owner]
    return Holder(
        owner=verdict.owner,
        aliases=tuple(dict.fromkeys(aliases)),
        path=names.path(verdict.holder),
        type=names.class_name(verdict.holder),
    )


def _chain(evidence: Evidence, verdict: Verdict) -> Chain | None:
    if verdict.holder >= 0:
        itself = evidence.graph.type_name(verdict.holder) == verdict.type and verdict.is_in_bytes
        return evidence.names.chain(verdict.holder, "" if itself else verdict.type)
    if verdict.kind == "delayed-finalizer":
        return None  # garbage: that nothing leads to it is the point
    return evidence.names.chain(int(verdict.direct[0])) if len(verdict.direct) else None


def _growth(evidence: Evidence, verdict: Verdict) -> Growth:
    """The class's own series where the collector lists it and it grows; else that of the place."""
    if verdict.is_in_bytes:
        rounded = tuple(np.asarray(verdict.counts).astype(int).tolist())
        return Growth(0.0, round(verdict.trend.slope * 60, 1), _rounded(verdict.seconds), (), rounded)
    series = evidence.classes.get(verdict.type)
    per_minute = verdict.trend.slope * 60
    is_atom = evidence.graph.facts.is_named(verdict.type, schema.TYPE_ATOM)
    if series is not None and not is_atom and series.trend.gain > 0:
        grown = series.bytes[-1] - series.bytes[0]
        span = max(series.seconds[-1] - series.seconds[0], 1e-9)
        return Growth(
            round(per_minute, 1), round(max(_weight_rate(verdict), grown / span * 60), 1), _rounded(series.seconds),
            tuple(series.counts.astype(int).tolist()), tuple(series.bytes.astype(int).tolist()),
        )  # fmt: skip
    counts = tuple(np.asarray(verdict.counts).astype(int).tolist())
    return Growth(round(per_minute, 1), round(_weight_rate(verdict), 1), _rounded(verdict.seconds), counts)


def _weight_rate(verdict: Verdict) -> float:
    span = float(verdict.seconds[-1] - verdict.seconds[0]) if len(verdict.seconds) > 1 else 0.0
    return verdict.weight / span * 60 if span else 0.0


def _rounded(seconds: np.ndarray) -> tuple[float, ...]:
    return tuple(np.round(seconds, 3).tolist())


def _unit(evidence: Evidence, verdict: Verdict) -> tuple[UnitRow, ...]:
    """What each entry keeps alive, as a table."""
    if not len(verdict.direct):
        return ()
    entries = verdict.place.entries if verdict.place is not None else 0.0
    return table(evidence.graph, unit(evidence.graph, verdict.direct, evidence.is_new, entries), verdict.type)


def retained_bytes(evidence: Evidence, verdict: Verdict) -> int:
    """Bytes that go when the holder lets go: what the leaked objects dominate, at least all that is new below them.

    Memory of C code that is theirs is among it.
    """
    graph, direct = evidence.graph, verdict.direct
    if not len(verdict.objects):
        return int(verdict.weight)
    if verdict.holder < 0 or not is_affordable(graph):
        return int(graph.sizes[verdict.objects].sum() + verdict.native_bytes)
    found = evidence.dominators
    members = verdict.place.members if verdict.place is not None else (verdict.holder,)
    held = direct[np.isin(found.idom[direct], members)]
    return int(max(found.retained_sizes[held].sum(), graph.sizes[verdict.objects].sum()) + verdict.native_bytes)


def _also_growing(evidence: Evidence, verdict: Verdict) -> tuple[str, ...]:
    """Other classes among the leaked objects, the most numerous first."""
    rows = Counter(evidence.graph.types[verdict.objects].tolist())
    names = (evidence.graph.snapshot.type_names[row] for row, _ in rows.most_common(ALSO_MAX + 1))
    return tuple(name for name in names if name != verdict.type)[:ALSO_MAX]


def place_of(evidence: Evidence, owner: str) -> tuple[str, str, str | None, int | None]:
    """(scope, attribute, file, line) of a place in source: its class, module or function, and where that is defined."""
    by_name = {name: (file, line) for name, file, line in evidence.graph.names.values() if file}
    parts = owner.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        scope = ".".join(parts[:cut])
        if scope in by_name:
            file, line = by_name[scope]
            return scope, parts[cut], file, line or None
        class_file = _class_file(evidence, scope)  # a class without methods of its own has no line
        if class_file is not None:
            return scope, parts[cut], class_file, None
    if owner in by_name:
        file, line = by_name[owner]
        return owner, "", file, line or None
    return owner.rpartition(".")[0], parts[-1], None, None


def _class_file(evidence: Evidence, class_name: str) -> str | None:
    snapshot = evidence.graph.snapshot
    for row, name in enumerate(snapshot.type_names):
        if name == class_name:
            return snapshot.strings[int(snapshot.column("type.file")[row])] or None
    return None
