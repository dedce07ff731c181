"""Who holds each object of a heap, for all of them at once: `Names.owners` object by object would take minutes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leakhunt.agent import schema

from .edges import by_analogy
from .graph import Bools, HeapGraph, Indexes, Ints
from .naming import BARE, Names

# Ways that no label names: to the cell of a closure, to what an instance refers to, and a suspended function.
CELL = schema.LABEL_CLOSURE
ATTRIBUTE, LOCAL = schema.LABEL_ATTRIBUTE + "<attribute>", schema.LABEL_ATTRIBUTE + "<local>"
DICT = schema.LABEL_INTERNAL + "__dict__"


@dataclass(frozen=True)
class Called:
    """`rows[i]` is the row of `texts` of object i, -1 for none."""

    rows: Indexes
    texts: tuple[str, ...]


def tree_edges(graph: HeapGraph, parents: Indexes) -> Ints:
    """The reference by which its parent leads to each object, a labelled one if there is one.

    -1 where the object is a start of such a path, or nothing leads to it.
    """
    edges = np.flatnonzero(parents[graph.targets] == graph.sources)
    labelled = graph.edge_labels[edges] > 0
    found = np.full(graph.count, -1, dtype=np.int64)
    for chosen in (edges[~labelled][::-1], edges[labelled][::-1]):  # the last to be written stays
        found[graph.targets[chosen]] = chosen
    return found


def roots_of(graph: HeapGraph, names: Names) -> Called:
    """The root that the shortest path to each object begins at, as a chain says it."""
    kept, parents = graph.kept_tree[0], names.parents
    starts = _jumped(np.where(kept & (parents < graph.count), parents, np.arange(graph.count)))
    return _told(starts, kept, names.root_of)


def owners_of(graph: HeapGraph, names: Names) -> Called:
    """The place that holds each object, as `Names.owners` names it first: of an item, that of its container.

    Objects on whose way the nearest name is an attribute of the same class share it; keys of a namespace are in it.
    """
    return _Owners(graph, names).called()


class _Owners:
    """`anchors[i]`: the nearest object on the way up from i, itself included, whose reference has a name."""

    def __init__(self, graph: HeapGraph, names: Names) -> None:
        self.graph, self.names = graph, names
        self.kept, self.parents = graph.kept_tree[0], names.parents
        self._texts = (*graph.snapshot.strings, CELL, ATTRIBUTE, LOCAL)
        cell, attribute, local = range(len(self._texts) - 3, len(self._texts))
        edges = tree_edges(graph, self.parents)
        self.labels = np.where(edges >= 0, by_analogy(graph, graph.edge_labels)[edges], 0).astype(np.int64)
        self.labels[(self.labels == 0) & _is_class(graph, ("builtins.cell",))] = cell
        self.labels[(self.labels == 0) & self._has_parent(graph.are(schema.TYPE_SUSPENDED))] = local
        self.labels[(self.labels == 0) & self._has_parent(_is_instance(graph))] = attribute
        self.is_attribute = self._begins_with(schema.LABEL_ATTRIBUTE)
        self.is_dict = self._begins_with(DICT)

    def called(self) -> Called:
        itself = np.arange(self.graph.count)
        is_end = (self.labels > 0) | (self.parents < 0) | (self.parents >= self.graph.count)
        anchors = _jumped(np.where(is_end, itself, self.parents))
        # One of each group speaks for it.
        _, first, number = np.unique(self._groups()[anchors], return_index=True, return_inverse=True)
        return _told(anchors[first][number], self.kept, self._text)

    def _begins_with(self, mark: str) -> Bools:
        return np.array([text.startswith(mark) for text in self._texts], dtype=bool)[self.labels]

    def _has_parent(self, chosen: Bools) -> Bools:
        inside = (self.parents >= 0) & (self.parents < self.graph.count)
        return np.asarray(inside & chosen[np.where(inside, self.parents, 0)], dtype=bool)

    @functools.cached_property
    def carriers(self) -> Ints:
        """The object of which each one is an attribute, a `__dict__` in between passed over; -1 for none."""
        found = np.where(self.is_attribute | self.is_dict, self.parents, -1).astype(np.int64)
        through = self.is_attribute & (found >= 0) & self.is_dict[np.maximum(found, 0)]
        found[through] = self.parents[found[through]]
        found[found >= self.graph.count] = -1
        is_bare = self.is_dict | self.graph.are(BARE)
        found[(found >= 0) & is_bare[found]] = -1
        return found

    def _groups(self) -> Ints:
        """A number for each object: of attributes of instances that have no name of their own, by class and name."""
        is_named = np.zeros(self.graph.count, dtype=bool)
        is_named[list(self.graph.names)] = True
        found = np.arange(self.graph.count)
        alike = (self.carriers >= 0) & ~is_named[self.carriers]
        rows = self.graph.types[self.carriers[alike]].astype(np.int64)
        found[alike] = self.graph.count + rows * len(self._texts) + self.labels[alike]
        return found

    def _text(self, index: int) -> str:
        carrier = int(self.carriers[index])
        if carrier < 0:
            return next(iter(self.names.owners(index)), "")
        label = self._texts[int(self.labels[index])]
        return f"{self.names.class_of(carrier)}.{label[1:]}"


def _is_class(graph: HeapGraph, type_names: Collection[str]) -> Bools:
    return np.array([name in type_names for name in graph.snapshot.type_names], dtype=bool)[graph.types]


def _is_instance(graph: HeapGraph) -> Bools:
    """Objects of classes of Python or of extensions, no classes and no containers: they refer to attributes."""
    some = schema.TYPE_HEAP | schema.TYPE_EXTENSION
    other = schema.TYPE_IS_CLASS | schema.TYPE_INTERPRETER | schema.TYPE_PLUMBING
    return np.asarray(graph.are(some) & ~graph.are(other) & (graph.lengths < 0), dtype=bool)


def _jumped(up: NDArray[np.integer]) -> Ints:
    """Where each object comes to by following `up` to its end."""
    found = up.astype(np.int64)
    while True:
        further = found[found]
        if np.array_equal(further, found):
            return found
        found = further


def _told(objects: Ints, kept: Bools, tell: Callable[[int], str]) -> Called:
    spoken, number = np.unique(objects, return_inverse=True)
    is_kept = kept[spoken]
    row_by_text: dict[str, int] = {}
    rows = np.full(len(spoken), -1, dtype=np.int32)
    for place, (index, alive) in enumerate(zip(spoken.tolist(), is_kept.tolist(), strict=True)):
        text = tell(index) if alive else ""
        if text:
            rows[place] = row_by_text.setdefault(text, len(row_by_text))
    return Called(rows[number], tuple(row_by_text))
