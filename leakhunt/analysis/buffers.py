"""One string, buffer or array that only gets larger: no container grows, and the object may be another each time."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from leakhunt.agent import schema

from . import growth
from .evidence import Evidence
from .graph import HeapGraph
from .naming import Names
from .verdicts import Verdict, confidence

Buffers = dict[tuple[str, str], tuple[int, int]]

LARGE_BYTES = 16_384
GAIN_MIN_BYTES = 65_536
LARGEST = 200


def growing_buffers(evidence: Evidence) -> list[Verdict]:
    """Places, by name, whose one large buffer has grown from each deep snapshot to the next."""
    if len(evidence.deep) < growth.POINTS_MIN:
        return []
    moments = [large_buffers(graph) for graph in evidence.lineage.graphs[evidence.first :]]
    seconds = evidence.lineage.seconds[evidence.first :]
    found = []
    for seen_last, (_, index) in moments[-1].items():
        place = _named(seen_last, moments)
        owner, type_name = place
        either = [moment.get(place) or moment.get(_unnamed(place), (0, -1)) for moment in moments]
        values = np.array([size for size, _ in either], dtype=float)
        trend = growth.trend(seconds, values)
        is_growth = trend.is_growth and trend.gain >= GAIN_MIN_BYTES and trend.steady >= 1.0
        if not is_growth or evidence.known.is_harmless(owner):
            continue
        found.append(
            Verdict(
                "python-leak",
                type_name,
                confidence(trend),
                f"one {type_name.removeprefix('builtins.')} that grew by {trend.gain / 1e6:.1f} MB "
                f"in {seconds[-1] - seconds[0]:.0f} s and never got smaller",
                "Write it out and begin anew at a limit, or keep only its end.",
                seconds,
                values,
                trend,
                owner,
                tuple(evidence.names.owners(index)[1:]),
                index,
                weight=trend.gain,
                is_in_bytes=True,
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


def large_buffers(graph: HeapGraph) -> Buffers:
    """(size, index) by (owner's name, class) of the largest buffers, where the name has one of the class only."""
    names = Names(graph)
    is_buffer = graph.are(schema.TYPE_BUFFER)
    kept, _ = graph.kept_tree
    large = np.flatnonzero(is_buffer & kept & (graph.sizes >= LARGE_BYTES))
    large = large[np.argsort(-graph.sizes[large])][:LARGEST]
    by_place: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index in large.tolist():
        owners = names.owners(index)
        if owners:
            by_place[owners[0], graph.type_name(index)].append(index)
    return {place: (int(graph.sizes[rows[0]]), rows[0]) for place, rows in by_place.items() if len(rows) == 1}
