"""Retained bytes by path: the dominator tree of a heap, objects that are reached alike folded into one path."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from leakhunt.analysis.heap.dominators import kept_dominators
from leakhunt.analysis.heap.edges import edge_names
from leakhunt.analysis.heap.graph import HeapGraph, Indexes, Ints
from leakhunt.analysis.heap.naming import Names
from leakhunt.analysis.heap.owners import owners_of

DEPTH_MAX = 128  # references; what lies deeper counts for the object at this depth
SHARED = "(held from several roots)"
GARBAGE = "(waiting for the collector)"


@dataclass(frozen=True)
class Paths:
    """P paths, each one frame longer than the path `parents[p]` (-1: it is the first): `frames[p]`, a row of `texts`.

    `objects[p]` objects of `sizes[p]` shallow bytes are at its end; with all that begin with it, what it retains.
    `files` are where the classes of frames are defined, "" where that is not known.
    """

    parents: Ints
    frames: Ints
    objects: Ints
    sizes: Ints
    texts: tuple[str, ...]
    files: tuple[str, ...]


def paths(graph: HeapGraph) -> Paths:
    """All memory of a heap by what keeps it alive: from a root over dominators down.

    A frame reads `.attribute class` or `[*] class`. Frames of one text that follow each other are one, so that a linked
    list is not as many frames as it has links.
    """
    return _Folding(graph).paths()


class _Folding:
    def __init__(self, graph: HeapGraph) -> None:
        self.graph, self.names = graph, Names(graph)
        self.idom = kept_dominators(graph).idom
        self.row_by_text: dict[tuple[str, str], int] = {}
        self.path_parents: list[Ints] = []
        self.path_frames: list[Ints] = []
        self.count = 0

    def paths(self) -> Paths:
        path = np.full(self.graph.count, -1, dtype=np.int64)
        level = np.flatnonzero(self.idom == self.graph.count)
        path[level] = self._tops(level)
        garbage = np.flatnonzero(self.idom < 0)
        if len(garbage):
            path[garbage] = self._added(np.full(len(garbage), self._lone(GARBAGE)), self._frame_of_class[garbage])
        for _ in range(DEPTH_MAX):
            level = self._below(level)
            if not len(level):
                break
            above = self.idom[level]
            is_same = self._frames[level] == self._frames[above]
            path[level[is_same]] = path[above[is_same]]
            others = level[~is_same]
            path[others] = self._added(path[self.idom[others]], self._frames[others])
        path = path[self._nearest(path)]
        objects = np.bincount(path, minlength=self.count)
        sizes = np.bincount(path, self.graph.sizes, minlength=self.count).astype(np.int64)
        parents, frames = np.concatenate(self.path_parents), np.concatenate(self.path_frames)
        texts, files = zip(*self.row_by_text, strict=True)
        return Paths(parents, frames, objects, sizes, texts, files)

    def _row(self, text: str, file: str = "") -> int:
        return self.row_by_text.setdefault((text, file), len(self.row_by_text))

    def _added(self, parents: Ints, frames: Ints) -> Ints:
        """Numbers of the paths that end in `frames` after the paths `parents`, new ones made."""
        wide = len(self.row_by_text) + 1
        keys, number = np.unique((parents + 1) * wide + frames, return_inverse=True)
        self.path_parents.append(keys // wide - 1)
        self.path_frames.append(keys % wide)
        first, self.count = self.count, self.count + len(keys)
        return np.asarray(first + number, dtype=np.int64)

    def _lone(self, text: str) -> int:
        frame = self._row(text)
        return int(self._added(np.array([-1]), np.array([frame]))[0])

    def _tops(self, objects: Ints) -> Ints:
        """Paths of what no object dominates: roots by their own names, the others by the place that holds them."""
        owners, text_by_root = owners_of(self.graph, self.names), {}
        for root in reversed(self.graph.roots):
            text_by_root[root.index] = self.names.root_of(root.index)
        shared = self._lone(SHARED)
        rows, parents = [], []
        for index in objects.tolist():
            text = text_by_root.get(index)
            if text is None:
                held = int(owners.rows[index])
                place = owners.texts[held] if held >= 0 else ""
                text = f"{place} {self.graph.type_name(index)}".strip()
            rows.append(self._row(text, self._files[int(self.graph.types[index])]))
            parents.append(-1 if index in text_by_root else shared)
        return self._added(np.array(parents, dtype=np.int64), np.array(rows, dtype=np.int64))

    @functools.cached_property
    def _files(self) -> list[str]:
        strings = self.graph.snapshot.strings
        return [strings[row] for row in self.graph.snapshot.column("type.file").tolist()]

    @functools.cached_property
    def _frame_of_class(self) -> Ints:
        rows = [self._row(name, self._files[row]) for row, name in enumerate(self.graph.snapshot.type_names)]
        return np.array(rows, dtype=np.int64)[self.graph.types]

    @functools.cached_property
    def _frames(self) -> Ints:
        """Frame of each object: how its dominator refers to it, and its class; `…` where others are in between."""
        graph, names = self.graph, edge_names(self.graph)
        edges = np.flatnonzero(self.idom[graph.targets] == graph.sources)
        label = np.full(graph.count, -1, dtype=np.int64)
        for chosen in (edges[names.names[edges] == 0][::-1], edges[names.names[edges] > 0][::-1]):
            label[graph.targets[chosen]] = names.names[chosen]
        kinds = np.zeros(len(names.texts), dtype=np.int64)
        kinds[names.names] = names.kinds
        readings = {-1: "…", 0: "[*]"}
        types = len(graph.snapshot.type_names)
        keys, number = np.unique((label + 1) * types + graph.types, return_inverse=True)
        rows = []
        for key in keys.tolist():
            word, kind = key // types - 1, key % types
            text = readings.get(word) or _reading(names.texts[word], int(kinds[word]))
            rows.append(self._row(f"{text} {graph.snapshot.type_names[kind]}", self._files[kind]))
        return np.array(rows, dtype=np.int64)[number]

    @functools.cached_property
    def _children(self) -> tuple[Ints, Indexes]:
        """(starts, objects): what each object dominates immediately."""
        order = np.argsort(self.idom, kind="stable").astype(np.int32)
        kept = order[np.searchsorted(self.idom[order], 0) :]
        counts = np.bincount(self.idom[kept], minlength=self.graph.count + 1)
        return np.concatenate(([0], np.cumsum(counts))), kept

    def _below(self, objects: Ints) -> Ints:
        starts, children = self._children
        counts = starts[objects + 1] - starts[objects]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.asarray(children[np.repeat(starts[objects], counts) + within], dtype=np.int64)

    def _nearest(self, path: Ints) -> Ints:
        """For each object the nearest above it, itself included, that has a path."""
        found = np.where(path >= 0, np.arange(len(path)), self.idom).astype(np.int64)
        while True:
            further = found[found]
            if np.array_equal(further, found):
                return found
            found = further


def _reading(text: str, kind: int) -> str:
    return (f".{text}", f"<local {text}>", f"<variable {text}>", text)[max(0, kind - 2)]
