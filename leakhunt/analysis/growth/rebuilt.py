"""Containers that a program makes anew at every change, and those that it made late: followed by owner and name.

`self.handlers = (*self.handlers, handler)`: the tuple is another object each time. What stays is the object that has it
as an attribute, and the name; by these it is found in earlier graphs.
"""

from __future__ import annotations

import numpy as np

from leakhunt.agent import schema
from leakhunt.analysis.heap.graph import HeapGraph, Ints
from leakhunt.analysis.heap.lineage import Lineage
from leakhunt.analysis.heap.naming import Names

NOT_YET = -1  # the name was not there yet
CANDIDATES_MAX = 1000
NAMED = (schema.LABEL_ATTRIBUTE, schema.LABEL_LOCAL, schema.LABEL_CLOSURE, schema.LABEL_INTERNAL)


def rebuilt(lineage: Lineage, names: Names, first: int, least: float) -> dict[int, Ints]:
    """Rows of containers in each graph, by their index in the last one, where they are not of graph `first`.

    Only those of `least` items or more that an object of graph `first` leads to by names alone. A row is NOT_YET in
    graphs before the first that has the name.
    """
    last = lineage.last
    # The nodes of a Context are its own affair (rules/frontier.py).
    fit = (last.extents >= least) & (last.lengths >= 0) & ~last.are(schema.TYPE_CONTEXT | schema.TYPE_ATOM)
    chosen = np.flatnonzero((lineage.present[first] < 0) & fit)
    chosen = chosen[np.argsort(-last.extents[chosen], kind="stable")][:CANDIDATES_MAX]
    found = {}
    for index in chosen.tolist():
        way = _way(lineage, names, first, index)
        rows = _followed(lineage, first, index, *way) if way is not None else None
        if rows is not None:
            found[index] = rows
    return found


def _way(lineage: Lineage, names: Names, first: int, index: int) -> tuple[int, list[str]] | None:
    """(the nearest object of graph `first` above a container, the labels from it down); None where one has no name."""
    labels: list[str] = []
    graph = lineage.last
    while lineage.present[first, index] < 0:
        above = int(names.parents[index])
        if not 0 <= above < graph.count:
            return None
        edge = graph.edge_between(above, index)
        label = graph.label(edge) if edge >= 0 else ""
        if not label.startswith(NAMED):
            return None
        labels.append(label)
        index = above
    return (index, labels[::-1]) if labels else None


def _followed(lineage: Lineage, first: int, index: int, source: int, labels: list[str]) -> Ints | None:
    kind = lineage.last.type_name(index)
    rows: Ints = np.full(len(lineage.graphs), NOT_YET, dtype=np.int64)
    for k in range(first, len(lineage.graphs)):
        graph, row = lineage.graphs[k], int(lineage.present[k, source])
        for label in labels:
            row = _named(graph, row, label) if row >= 0 else NOT_YET
        if row >= 0 and graph.type_name(row) == kind:
            rows[k] = row
        elif row >= 0 or (rows[:k] >= 0).any():
            return None  # something else went by that name, or it was taken away meanwhile
    rows[-1] = index
    return rows


def _named(graph: HeapGraph, source: int, label: str) -> int:
    """What `source` refers to by a label; -1 for nothing."""
    number = graph.string_number(label)
    start, end = int(graph.offsets[source]), int(graph.offsets[source + 1])
    edges = np.flatnonzero(graph.edge_labels[start:end] == number) if number > 0 else np.empty(0, dtype=np.int64)
    return int(graph.targets[start + int(edges[0])]) if len(edges) else NOT_YET
