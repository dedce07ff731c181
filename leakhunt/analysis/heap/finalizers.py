"""What `__del__` does to the objects of a finding, said truthfully (PEP 442)."""

from __future__ import annotations

import functools

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from leakhunt.agent import schema
from leakhunt.findings import Finalizer

from .graph import Bools, HeapGraph, Ints

ADVICE = (
    "Release it in the open (with, contextlib.closing; async with for what is asynchronous) or by weakref.finalize."
)


@functools.lru_cache(maxsize=4)
def in_cycles(graph: HeapGraph) -> Bools:
    """Objects that lie on a reference cycle."""
    matrix = csr_array(
        (np.ones(len(graph.targets), dtype=np.int8), graph.targets, graph.offsets), shape=(graph.count, graph.count)
    )
    _, component = connected_components(matrix, directed=True, connection="strong")
    found: Bools = np.bincount(component)[component] > 1
    found[graph.sources[graph.sources == graph.targets]] = True  # what refers to itself
    return found


def finalizable(graph: HeapGraph, objects: Ints) -> Ints:
    """Those of `objects` whose class defines `__del__` in Python."""
    return objects[graph.snapshot.column("type.flags")[graph.types[objects]] & schema.TYPE_HAS_DEL > 0]


def finalized(graph: HeapGraph, objects: Ints) -> Bools:
    """Whether each of `objects` is alive although its finalizer has run."""
    return graph.snapshot.column("object.flags")[objects] & schema.OBJECT_FINALIZED > 0


def finalizers(graph: HeapGraph, objects: Ints) -> tuple[Finalizer, ...]:
    """One row for each class among `objects` that defines `__del__`, with what it means there."""
    found = []
    concerned = finalizable(graph, objects)
    for row in np.unique(graph.types[concerned]).tolist():
        members = concerned[graph.types[concerned] == row]
        in_cycle = bool(in_cycles(graph)[members].any())
        resurrects = bool(finalized(graph, members).mean() > 0.5)
        strings = graph.snapshot.strings
        found.append(
            Finalizer(
                type=graph.snapshot.type_names[row],
                file=strings[int(graph.snapshot.column("type.del_file")[row])] or None,
                line=int(graph.snapshot.column("type.del_line")[row]) or None,
                in_cycle=in_cycle,
                pins_bytes=int(graph.sizes[objects].sum()),
                resurrects=resurrects,
                says=says(in_cycle, resurrects),
            )
        )
    return tuple(found)


def says(in_cycle: bool, resurrects: bool) -> str:
    """The effect in one sentence, and what to do instead."""
    if resurrects:
        return "its __del__ has run and put the object back into reach; it will not run again. " + ADVICE
    if in_cycle:
        return (
            "it is in a reference cycle: freed only when the collector comes by, and its __del__ runs then, "
            "once, before the cycle is taken apart. " + ADVICE
        )
    return "its __del__ runs when the last reference goes, so as long as the holder above keeps it, it never does."
