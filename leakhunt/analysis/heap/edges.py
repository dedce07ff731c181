"""What each reference of a heap is called, all of them at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leakhunt.agent import schema

from .graph import Bools, HeapGraph, Indexes, Ints

KINDS = ("item", "key", "attribute", "local", "closure", "internal")
ITEM, KEY, ATTRIBUTE, LOCAL, CLOSURE, INTERNAL = range(len(KINDS))
KIND_BY_MARK = {
    schema.LABEL_ATTRIBUTE: ATTRIBUTE, schema.LABEL_LOCAL: LOCAL,
    schema.LABEL_CLOSURE: CLOSURE, schema.LABEL_INTERNAL: INTERNAL,
}  # fmt: skip
CLASS = schema.LABEL_INTERNAL + "__class__"
SPAN_MIN = 8  # entries of a mapping at which its references tell it from a sequence with attributes


@dataclass(frozen=True)
class EdgeNames:
    """Of each of E references: `kinds[e]`, a row of KINDS, and `names[e]`, a row of `texts` (0: it has no name).

    A named item or key has no name of its own: it is the `positions`-th reference of its source.
    """

    kinds: NDArray[np.uint8]
    names: Indexes
    texts: tuple[str, ...]
    graph: HeapGraph

    def positions(self, begin: int, end: int) -> Ints:
        """Place of the references `begin` to `end` among those of their source."""
        return np.arange(begin, end) - self.graph.offsets[self.graph.sources[begin:end]]


def edge_names(graph: HeapGraph) -> EdgeNames:
    """Names of all references: those that the agent wrote down, and by analogy of objects of one class and shape.

    The agent names the attributes of a thousand objects of a class; the others refer in the same order.
    """
    labels = by_analogy(graph, graph.edge_labels)
    strings = [*graph.snapshot.strings, CLASS]
    labels[(labels == 0) & leads_to_class(graph)] = len(strings) - 1
    _name_cells(graph, labels, strings)
    used = np.unique(labels)
    kind_of, row_of, texts = np.zeros(len(strings), np.uint8), np.zeros(len(strings), np.int32), [""]
    for label in used[used > 0].tolist():
        kind_of[label] = KIND_BY_MARK.get(strings[label][:1], INTERNAL)
        row_of[label] = len(texts)
        texts.append("__defaults__" if strings[label].startswith(schema.LABEL_DEFAULTS) else strings[label][1:])
    kinds = kind_of[labels]
    kinds[(labels == 0) & is_key(graph)] = KEY
    return EdgeNames(kinds, row_of[labels], tuple(texts), graph)


def by_analogy(graph: HeapGraph, labels: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """`labels` with those of named objects given to unnamed ones of the same class and number of references.

    Only where all named ones of that shape agree: two classes' worth of attributes in another order stay nameless.
    """
    counts = np.diff(graph.offsets)
    is_named = np.zeros(graph.count, dtype=bool)
    is_named[graph.sources[labels > 0]] = True
    flags = graph.snapshot.column("type.flags")
    is_instance = (flags & schema.TYPE_HEAP > 0) & (flags & schema.TYPE_IS_CLASS == 0)
    is_open = ~is_named & is_instance[graph.types] & (graph.lengths < 0) & (counts > 0)
    found = labels.copy()
    shapes = graph.types.astype(np.int64) << 32 | counts
    for shape in np.intersect1d(shapes[is_open], shapes[is_named]).tolist():
        alike = np.flatnonzero(shapes == shape)
        named, others = alike[is_named[alike]], alike[is_open[alike]]
        width = np.arange(shape & 0xFFFFFFFF)
        rows = labels[graph.offsets[named][:, None] + width]
        highest = rows.max(axis=0)  # what is None in one of them has no label there
        if np.all((rows == 0) | (rows == highest)):
            found[graph.offsets[others][:, None] + width] = highest
    return found


def leads_to_class(graph: HeapGraph) -> Bools:
    """Whether each reference is that of an object to its own class."""
    classes = graph.index_of(graph.snapshot.column("type.address")).astype(np.int32)
    return np.asarray(graph.targets == np.repeat(classes[graph.types], np.diff(graph.offsets)), dtype=bool)


def _name_cells(graph: HeapGraph, labels: NDArray[np.uint32], strings: list[str]) -> None:
    """References to cells get the name of the closure's variable."""
    row_by_text: dict[str, int] = {}
    of_cell = np.zeros(graph.count, dtype=labels.dtype)
    for index, (name, _, _) in graph.names.items():
        if name.startswith(schema.LABEL_CLOSURE):
            if name not in row_by_text:
                row_by_text[name] = len(strings)
                strings.append(name)
            of_cell[index] = row_by_text[name]
    names = of_cell[graph.targets]
    np.copyto(labels, names, where=(labels == 0) & (names > 0))


def is_key(graph: HeapGraph) -> Bools:
    """Whether each reference is that of a mapping to a key: after as many values as it has items."""
    counts = np.diff(graph.offsets)
    is_mapping = mapping_types(graph)[graph.types]
    lengths = np.where(is_mapping & (counts >= 2 * graph.lengths), graph.lengths, 0)
    found = np.zeros(len(graph.targets) + 1, dtype=np.int8)
    has = lengths > 0
    np.add.at(found, (graph.offsets[:-1] + lengths)[has], 1)
    np.add.at(found, (graph.offsets[:-1] + 2 * lengths)[has], -1)
    return np.cumsum(found[:-1], dtype=np.int8).astype(bool)


def mapping_types(graph: HeapGraph) -> Bools:
    """Which classes list values and keys: dict, and those whose longer objects all have two references an item."""
    names = graph.snapshot.type_names
    counts = np.diff(graph.offsets)
    is_long = graph.lengths >= SPAN_MIN
    long, short = np.bincount(graph.types[is_long], minlength=len(names)), counts < 2 * graph.lengths
    found = (long > 0) & (np.bincount(graph.types[is_long & short], minlength=len(names)) == 0)
    is_dict = np.array([name == "builtins.dict" for name in names], dtype=bool)
    return np.asarray(is_dict | (found & ~graph.facts.are(schema.TYPE_BUFFER)))
