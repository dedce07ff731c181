"""One string, buffer or array that only gets larger: no container grows, and the object may be another each time."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from leakhunt.agent import schema
from leakhunt.analysis.growth import trends
from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.heap.facts import SAYS_LITTLE, SAYS_NOTHING
from leakhunt.analysis.heap.graph import Bools, HeapGraph
from leakhunt.analysis.heap.naming import Names
from leakhunt.analysis.policy import POLICY

from .verdicts import Verdict

Buffers = dict[tuple[str, str], tuple[int, int]]

LARGEST = 200


def growing_buffers(evidence: Evidence) -> list[Verdict]:
    """Places, by name, whose one large buffer is larger than it was."""
    if len(evidence.deep) < trends.POINTS_MIN:
        return []
    least = evidence.policy.buffer_bytes
    moments = [large_buffers(graph, least) for graph in evidence.lineage.graphs[evidence.first :]]
    seconds = evidence.lineage.seconds[evidence.first :]
    found = []
    for seen_last, (_, index) in moments[-1].items():
        place = _named(seen_last, moments)
        owner, type_name = place
        either = [moment.get(place) or moment.get(_unnamed(place), (0, -1)) for moment in moments]
        values = np.array([size for size, _ in either], dtype=float)
        trend = trends.trend(seconds, values)
        if trend.gain <= 0:
            continue
        door, owners = _door(evidence, index), evidence.names.owners(index)
        if door >= 0 and door != index:
            owners = [*evidence.names.owners(door), *owners]
            owner, kind = owners[0], evidence.graph.type_name(door)
            type_name = type_name if evidence.graph.facts.is_named(kind, SAYS_NOTHING | SAYS_LITTLE) else kind
        found.append(
            Verdict(
                "python-leak",
                type_name,
                evidence.policy.certainty,
                f"one {type_name.removeprefix('builtins.')} that grew by {trend.gain / 1e6:.1f} MB "
                f"in {seconds[-1] - seconds[0]:.0f} s and never got smaller",
                "Write it out and begin anew at a limit, or keep only its end.",
                seconds,
                values,
                trend,
                owner,
                tuple(owners[1:]),
                index,
                weight=trend.gain,
                is_in_bytes=True,
                detector="buffer",
            )
        )
    return found


def _unnamed(place: tuple[str, str]) -> tuple[str, str]:
    """The place as it is called where the attribute was given another buffer before the snapshot could name it."""
    return f"{place[0].rpartition('.')[0]}.<attribute>", place[1]


def _named(place: tuple[str, str], moments: list[Buffers]) -> tuple[str, str]:
    """The one attribute that an unnamed one was at other moments, if it is one."""
    if place != _unnamed(place):
        return place
    names = {other for moment in moments for other in moment if _unnamed(other) == place} - {place}
    return names.pop() if len(names) == 1 else place


def large_buffers(graph: HeapGraph, least_bytes: float = POLICY.buffer_bytes) -> Buffers:
    """(size, index) by (owner's name, class) of the largest buffers, where the name has one of the class only."""
    names = Names(graph)
    is_buffer = graph.are(schema.TYPE_BUFFER)
    kept, _ = graph.kept_tree
    sizes = np.maximum(graph.sizes, np.where(is_buffer & ~_views(graph, is_buffer), graph.lengths, 0))
    large = np.flatnonzero(is_buffer & kept & (sizes >= least_bytes))
    large = large[np.argsort(-sizes[large])][:LARGEST]
    by_place: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index in large.tolist():
        owners = names.owners(index)
        if owners:
            by_place[owners[0], graph.type_name(index)].append(index)
    return {place: (filled_bytes(graph, rows[0]), rows[0]) for place, rows in by_place.items() if len(rows) == 1}


def _views(graph: HeapGraph, is_buffer: Bools) -> Bools:
    """Buffers that show the memory of another one, bool[N]."""
    found = np.zeros(graph.count, dtype=bool)
    edges = np.flatnonzero(is_buffer[graph.targets] & is_buffer[graph.sources])
    sources, targets = graph.sources[edges], graph.targets[edges]
    found[sources[graph.sizes[targets] >= graph.lengths[sources]]] = True  # a StringIO has a text for its newline
    return found


def _door(evidence: Evidence, index: int) -> int:
    """The nearest new object above a buffer, itself included, that an old one has as an attribute; -1 for none.

    The program makes it anew with every buffer: a data frame, a document.
    """
    names, then = evidence.names, evidence.lineage.present[evidence.first]
    while then[index] < 0:
        above = int(names.parents[index])
        if not 0 <= above < evidence.graph.count:
            return -1
        if then[above] >= 0:
            edge = evidence.graph.edge_between(above, index)
            return index if edge >= 0 and evidence.graph.label(edge) else -1
        index = above
    return -1


def filled_bytes(graph: HeapGraph, index: int) -> int:
    """Bytes that a buffer holds: what it has allocated grows by an eighth at a time, and stands still in between."""
    length = int(graph.lengths[index])
    return length if length >= 0 else int(graph.sizes[index])
