"""What one box of a reference graph stands for: the objects folded into it, by how large they are."""

from __future__ import annotations

import numpy as np

from leakhunt.analysis.heap.graph import HeapGraph, Ints
from leakhunt.analysis.heap.naming import Names
from leakhunt.findings import Node

SHOWN = 8


def folded(graph: HeapGraph, names: Names, objects: Ints, retained_sizes: Ints | None) -> tuple[Node, ...]:
    """Objects of one class, those that are alike in one node each, the largest first and the rest last.

    Alike are objects of the same size that keep the same number of bytes alive and have as many items.

    Args:
        retained_sizes: as of `Dominators`; None where they would take too long.
    """
    if len(objects) < 2:
        return ()
    retained = np.zeros_like(objects) if retained_sizes is None else retained_sizes[objects]
    kinds, firsts, counts = _kinds(np.stack((retained, graph.sizes[objects], graph.lengths[objects])))
    rows = [
        _alike(graph, names, int(objects[first]), int(count), kind.tolist())
        for kind, first, count in zip(kinds[:SHOWN], firsts[:SHOWN], counts[:SHOWN], strict=True)
    ]
    if len(kinds) > SHOWN:
        retained_bytes, size_bytes, _ = (counts[SHOWN:, None] * kinds[SHOWN:]).sum(axis=0).tolist()
        number = int(counts[SHOWN:].sum())
        rows.append(Node(-1, rows[0].type, number, size_bytes, retained_bytes=retained_bytes))
    return tuple(rows)


def _kinds(measures: Ints) -> tuple[Ints, Ints, Ints]:
    """The different columns, the largest first, where each is first met, and how often: `np.unique`, faster."""
    order = np.lexsort(measures[::-1])[::-1]
    ordered = measures[:, order]
    begins = np.flatnonzero(np.append(True, (np.diff(ordered) != 0).any(axis=0)))
    return ordered[:, begins].T, order[begins], np.diff(np.append(begins, len(order)))


def _alike(graph: HeapGraph, names: Names, first: int, count: int, kind: list[int]) -> Node:
    retained, size, length = kind
    items = f"{length:,} items" if length >= 0 else ""
    detail = f"{items} each" if items and count > 1 else items
    if count == 1:
        label = names.chain(first).links[-1].label
        detail = ", ".join(filter(None, (label if label != "[*]" else "", detail)))
    return Node(-1, graph.type_name(first), count, size * count, detail=detail, retained_bytes=retained * count)
