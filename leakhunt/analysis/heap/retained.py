"""Where the memory is: the dominator tree of one heap, folded until a person can read it."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from leakhunt.agent import schema
from leakhunt.findings import Retained

from .dominators import Dominators
from .graph import Bools, HeapGraph, Ints
from .naming import Names

SHARE_MIN = 0.01  # of all that is retained; what keeps less alive is joined with its like
REST_MIN = 0.001  # of all: less than this is not worth a box of what is too small
BOXES_MAX = 24  # in one box
DEPTH_MAX = 7
NAMESPACES = "namespaces of modules and classes"


def retained_tree(graph: HeapGraph, names: Names, found: Dominators) -> Retained:
    """All that the roots keep alive, each box inside the one that keeps it.

    An object that retains a hundredth of everything has a box of its own. Smaller ones are joined by class, and what
    is still too small becomes one box without a class. O(N log N) for the order of the tree, and then little.
    """
    return _Folding(graph, names, found).tree()


class _Folding:
    """`_children[_starts[i]:_starts[i + 1]]` are the objects whose immediate dominator is i; N stands for the roots."""

    def __init__(self, graph: HeapGraph, names: Names, found: Dominators) -> None:
        self._graph, self._names, self._sizes = graph, names, found.retained_sizes
        self._idom = found.idom
        unreached = int((found.idom < 0).sum())
        self._children = np.argsort(found.idom, kind="stable")[unreached:]
        numbers = np.bincount(found.idom[self._children], minlength=graph.count + 1)
        self._starts = np.concatenate(([0], np.cumsum(numbers)))
        self._whole = int(self._sizes[graph.count])
        self._least = max(1.0, SHARE_MIN * self._whole)

    def tree(self) -> Retained:
        root = np.array([self._graph.count])
        return Retained("", "", self._whole, len(self._children), inside=self._inside(root, "", 1))

    def _inside(self, members: Ints, place: str, depth: int) -> tuple[Retained, ...]:
        """The boxes in the box of `members`, largest first, and last the one of all that are too small."""
        if depth > DEPTH_MAX:
            return ()
        groups = sorted(((self._size(group), group) for group in self._groups(members)), key=lambda pair: -pair[0])
        shown = [group for size, group in groups if size >= self._least][:BOXES_MAX]
        boxes = [self._box(group, place, depth) for group in shown]
        rest = sum(size for size, _ in groups[len(shown) :])
        if boxes and rest >= REST_MIN * self._whole:
            boxes.append(Retained("", "", rest, sum(len(group) for _, group in groups[len(shown) :])))
        return tuple(boxes)

    def _box(self, group: Ints, place: str, depth: int) -> Retained:
        first, size = int(group[0]), self._size(group)
        name, is_shared = self._name(first) if len(group) == 1 else self._name_of_many(first)
        inside = self._inside(group, name, depth + 1) if size >= 2 * self._least else ()
        told = name if name != place else ""
        return Retained(told, self._graph.type_name(first), size, len(group), is_shared, inside)

    def _groups(self, members: Ints) -> Iterator[Ints]:
        """What `members` dominate immediately: large objects by themselves, others by class.

        The `__dict__` of one of them is left out: what is in it stands in its place.
        """
        children = self._below(members)
        is_inner = self._is_namespace[children] & (self._idom[children] < self._graph.count)
        children = np.concatenate((children[~is_inner], self._below(children[is_inner])))
        is_large = self._sizes[children] >= self._least
        yield from (np.array([index]) for index in children[is_large].tolist())
        yield from self._by_class(children[~is_large])

    def _below(self, members: Ints) -> Ints:
        starts, counts = self._starts[members], self._starts[members + 1] - self._starts[members]
        ends = np.cumsum(counts)
        places = np.arange(counts.sum()) + np.repeat(starts - ends + counts, counts)
        return np.asarray(self._children[places], dtype=np.int64)

    def _by_class(self, objects: Ints) -> list[Ints]:
        rows = 2 * self._graph.types[objects] + self._is_namespace[objects]
        order = np.argsort(rows, kind="stable")
        return [part for part in np.split(objects[order], np.flatnonzero(np.diff(rows[order])) + 1) if len(part)]

    @functools.cached_property
    def _is_namespace(self) -> Bools:
        """Whether each object is the `__dict__` of another."""
        graph = self._graph
        is_internal = np.array([text.startswith(schema.LABEL_INTERNAL) for text in graph.snapshot.strings], dtype=bool)
        found = np.zeros(graph.count, dtype=bool)
        found[graph.targets[is_internal[graph.edge_labels]]] = True
        return found

    def _name(self, index: int) -> tuple[str, bool]:
        """What a class, function, module or coroutine is called, of others a place that holds them; and others too?"""
        called = self._names.class_of(index)
        if called != self._graph.type_name(index):
            return called, False
        place = next(iter(self._names.owners(index)), "").removesuffix(".__dict__")
        is_shared = not self._is_namespace[index] and self._graph.kept_tree[1][index] != self._idom[index]
        return place, bool(place and is_shared)

    def _name_of_many(self, first: int) -> tuple[str, bool]:
        return NAMESPACES if self._is_namespace[first] else "", False

    def _size(self, group: Ints) -> int:
        return int(self._sizes[group].sum())
