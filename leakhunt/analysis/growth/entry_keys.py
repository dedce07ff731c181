"""Under which keys places file their entries, and whose keys these are.

`sockets[socket.sid] = socket`: an entry that has the very object as an attribute that it is filed under is what the key
stands for. Another mapping from the same key objects (`environ[sid] = {…}`) is filled on account of that entry.
"""

from __future__ import annotations

import numpy as np

from leakhunt.agent import schema
from leakhunt.analysis.heap.facts import SAYS_NOTHING
from leakhunt.analysis.heap.graph import Bools, HeapGraph, Ints

from .holders import Place

SAMPLE = 200
NAMESPACE = schema.LABEL_INTERNAL + "__dict__"


def new_entries(graph: HeapGraph, place: Place, is_new: Bools) -> tuple[Ints, Ints]:
    """(keys, values) of the new entries of that mapping of the place that grew most; of numbers and texts as keys."""
    index = place.members[0]
    length, referents = int(graph.lengths[index]), graph.referents(index).astype(np.int64)
    if not graph.is_a(index, schema.TYPE_MAPPING) or length <= 0 or len(referents) < 2 * length:
        return referents[:0], referents[:0]
    values, keys = referents[:length], referents[length : 2 * length]
    chosen = is_new[keys] & graph.are(schema.TYPE_ATOM)[keys]
    return keys[chosen], values[chosen]


def know_their_key(graph: HeapGraph, keys: Ints, values: Ints) -> float:
    """Of the values whose attributes have names, the share that has its own key as one: 0.0 where none has names."""
    picked = np.linspace(0, len(keys) - 1, min(SAMPLE, len(keys))).astype(int)
    told = [
        key in attributes
        for key, value in zip(keys[picked].tolist(), values[picked].tolist(), strict=True)
        if not graph.is_a(value, SAYS_NOTHING) and (attributes := _attributes(graph, value))
    ]
    return float(np.mean(told)) if told else 0.0


def _attributes(graph: HeapGraph, index: int) -> set[int]:
    """What the named attributes of an object refer to, in itself or in its `__dict__`."""
    found: set[int] = set()
    for edge in range(int(graph.offsets[index]), int(graph.offsets[index + 1])):
        label, target = graph.label(edge), int(graph.targets[edge])
        if label.startswith(schema.LABEL_ATTRIBUTE):
            found.add(target)
        elif label == NAMESPACE:
            found.update(graph.referents(target)[: max(0, int(graph.lengths[target]))].tolist())
    return found
