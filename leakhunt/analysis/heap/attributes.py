"""The dicts of objects that the collector is not shown, because the object has the values inside of itself (3.13+)."""

from __future__ import annotations

import numpy as np

from leakhunt.agent import schema

from .graph import HeapGraph

REFERRERS_MAX = 200


def is_of_object(graph: HeapGraph, index: int) -> bool:
    """Whether an instance refers to all that the dict has as values, as one does to its attributes.

    The instance is looked for behind the value that the fewest refer to.
    """
    values = np.unique(graph.referents(index)[: graph.lengths[index]])
    if not len(values):
        return False
    rarest = int(values[graph.in_degrees[values].argmin()])
    flags = graph.snapshot.column("type.flags")
    for edge in graph.referrer_edges(rarest)[:REFERRERS_MAX].tolist():
        source = int(graph.sources[edge])
        is_instance = bool(flags[graph.types[source]] & schema.TYPE_HEAP) and graph.lengths[source] < 0
        if source != index and is_instance and np.isin(values, graph.referents(source)).all():
            return True
    return False
