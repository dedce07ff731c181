"""What objects lead to, within a part of the heap."""

from __future__ import annotations

import numpy as np

from .graph import Bools, HeapGraph, Ints, concat_ranges


def reach(graph: HeapGraph, starts: Ints, within: Bools) -> Ints:
    """All objects of `within` that `starts` lead to without leaving it, the starts that are in it included."""
    seen = np.zeros(graph.count, dtype=bool)
    layer = starts[within[starts]]
    while len(layer):
        seen[layer] = True
        following = np.concatenate([graph.referents(int(i)) for i in layer]) if len(layer) < 64 else _all(graph, layer)
        following = np.unique(following)
        layer = following[within[following] & ~seen[following]].astype(np.int64)
    return np.flatnonzero(seen)


def _all(graph: HeapGraph, layer: Ints) -> Ints:
    """Referents of many objects at once."""
    starts, counts = graph.offsets[layer], graph.offsets[layer + 1] - graph.offsets[layer]
    return np.asarray(graph.targets[concat_ranges(starts, counts)], dtype=np.int64)
