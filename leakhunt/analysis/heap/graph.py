"""The heap as a graph: object indexes, references both ways, roots, and what no root reaches."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order

from leakhunt.agent import schema
from leakhunt.snapshot import Snapshot

from .facts import Facts

try:
    from leakhunt.analysis import _kernels
except ImportError:
    _kernels = None  # type: ignore[assignment]

Ints = NDArray[np.int64]
Indexes = NDArray[np.int32]
Bools = NDArray[np.bool_]
READABLE = frozenset(("builtins.str", "builtins.bytes", "builtins.int", "builtins.float"))


def concat_ranges(begins: Ints, counts: Ints) -> Ints:
    """`begins[i]`, `begins[i] + 1`, … of `counts[i]` each, one after the other."""
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.asarray(np.repeat(begins, counts) + within, dtype=np.int64)


def _breadth_first(count: int, offsets: Ints, targets: Indexes, starts: Ints) -> tuple[Bools, Indexes]:
    """(reached bool[N], parent int32[N]) of a breadth-first walk; parent is N for a start, -1 where unreached."""
    if _kernels is not None and count > 0:
        parent = np.empty(count, dtype=np.int32)
        _kernels.breadth_first(count, offsets, targets, starts.astype(np.int32), parent)
        return parent >= 0, parent
    return _breadth_first_by_scipy(count, offsets, targets, starts)


def _breadth_first_by_scipy(count: int, offsets: Ints, targets: Indexes, starts: Ints) -> tuple[Bools, Indexes]:
    starts = starts[np.sort(np.unique(starts, return_index=True)[1])]
    offsets = np.concatenate((offsets, [offsets[-1] + len(starts)]))
    targets = np.concatenate((targets, starts.astype(np.int32)))
    matrix = csr_array(
        # Of another dtype than float64 csgraph makes a copy with sorted edges: the order of the roots is lost.
        (np.ones(len(targets)), targets, offsets.astype(np.int64)),
        shape=(count + 1, count + 1),
    )
    order, parent = breadth_first_order(matrix, count)
    reached = np.zeros(count + 1, dtype=bool)
    reached[order] = True
    return reached[:count], np.where(reached, parent, -1)[:count].astype(np.int32)


@dataclass(frozen=True)
class Root:
    """A GC root: the object `index`, and how the interpreter holds it."""

    index: int
    kind: str
    label: str


class HeapGraph:
    """One deep snapshot by object index: N objects, E references between them; index N is the virtual root.

    `offsets` int64[N+1], `targets` int32[E] list the references of each object in the order the walker found them;
    references to objects that were gone when the walker came to them are left out.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        addresses = snapshot.column("object.address")
        self.addresses = addresses
        self.count = len(addresses)
        self.types = snapshot.column("object.type").view(np.int32)
        self.sizes = snapshot.column("object.size").astype(np.int64)
        self.lengths = snapshot.column("object.length").astype(np.int64)
        self.lengths[self.lengths == schema.NO_LENGTH] = -1
        self.offsets, self.targets, self._left_out = self._references()

    def _references(self) -> tuple[Ints, Indexes, Bools | None]:
        """(offsets, targets, left_out): which of the walker's references lead to no object here, None for none."""
        counts = self.snapshot.column("reference.count")
        offsets = np.zeros(len(counts) + 1, dtype=np.int64)
        np.cumsum(counts, out=offsets[1:])
        indexes = self._indexes()
        left_out = indexes < 0
        if not left_out.any():
            return offsets, indexes, None
        before = np.zeros(len(indexes) + 1, dtype=np.int64)
        np.cumsum(left_out, out=before[1:])
        return offsets - before[offsets], indexes[~left_out], left_out

    def _indexes(self) -> Indexes:
        """Object index of each of the walker's references, -1 where the object is not in the snapshot."""
        if self.snapshot.has("reference.index"):
            return self.snapshot.column("reference.index").view(np.int32)  # as it is mapped: GONE is -1
        return self.index_of(self.snapshot.column("reference.target")).astype(np.int32)

    @functools.cached_property
    def facts(self) -> Facts:
        return Facts(self.snapshot)

    def are(self, bits: int) -> Bools:
        """Objects whose class has one of the TYPE_* `bits`, bool[N]."""
        return np.asarray(self.facts.are(bits)[self.types])

    def is_a(self, index: int, bits: int) -> bool:
        """Whether the object's class has one of the TYPE_* `bits`."""
        return bool(int(self.facts.flags[self.types[index]]) & bits)

    @functools.cached_property
    def extents(self) -> Ints:
        """Items of each container; the references of what has no length, and of buffers, whose length is bytes."""
        is_buffer = self.are(schema.TYPE_BUFFER)
        return np.where((self.lengths >= 0) & ~is_buffer, self.lengths, np.diff(self.offsets))

    @functools.cached_property
    def _order(self) -> Ints:
        return np.argsort(self.addresses, kind="stable")

    def index_of(self, addresses: NDArray[np.uint64]) -> Ints:
        """Object indexes of addresses, -1 where nothing of that address is in the snapshot."""
        if self.count == 0:
            return np.full(len(addresses), -1, dtype=np.int64)
        ordered = self.addresses[self._order]
        place = np.minimum(np.searchsorted(ordered, addresses), self.count - 1)
        return np.where(ordered[place] == addresses, self._order[place], -1)

    @functools.cached_property
    def sources(self) -> Indexes:
        """Source object of each edge."""
        return np.repeat(np.arange(self.count, dtype=np.int32), np.diff(self.offsets))

    @functools.cached_property
    def incoming(self) -> tuple[Ints, Indexes]:
        """(offsets int64[N+1], edges): the edges that lead to each object."""
        if _kernels is not None:
            offsets, edges = np.empty(self.count + 1, np.int64), np.empty(len(self.targets), np.int32)
            _kernels.incoming(self.count, self.targets, offsets, edges)
            return offsets, edges
        edges = np.argsort(self.targets, kind="stable").astype(np.int32)
        return np.concatenate(([0], np.cumsum(np.bincount(self.targets, minlength=self.count)))), edges

    @functools.cached_property
    def edge_labels(self) -> NDArray[np.uint32]:
        """String id of each edge's label, 0 for none."""
        labels = np.zeros(self.snapshot.column("reference.count").sum(dtype=np.int64), dtype=np.uint32)
        labels[self.snapshot.column("label.position").astype(np.int64)] = self.snapshot.column("label.name")
        return labels if self._left_out is None else labels[~self._left_out]

    def referents(self, index: int) -> Indexes:
        return self.targets[self.offsets[index] : self.offsets[index + 1]]

    def referrer_edges(self, index: int) -> Indexes:
        offsets, edges = self.incoming
        return edges[offsets[index] : offsets[index + 1]]

    @functools.cached_property
    def roots(self) -> tuple[Root, ...]:
        """GC roots that are in the snapshot, modules first: names by module are the steadier ones."""
        strings = self.snapshot.strings
        indexes = self.index_of(self.snapshot.column("root.address")).tolist()
        kinds, labels = (self.snapshot.column(f"root.{n}").tolist() for n in ("kind", "label"))
        found = [Root(i, strings[k], strings[t]) for i, k, t in zip(indexes, kinds, labels, strict=True) if i >= 0]
        order = {"module": 0, "gc.garbage": 1, "frame": 2}
        return tuple(sorted(found, key=lambda root: order.get(root.kind, 3)))

    @functools.cached_property
    def in_degrees(self) -> Ints:
        return np.bincount(self.targets, minlength=self.count)

    @functools.cached_property
    def surplus(self) -> Ints:
        """References to each object that no object here accounts for; 0 where the count is not known."""
        refcounts = self.snapshot.column("object.refcount").astype(np.int64)
        known = (refcounts < (1 << 28)) & (self.snapshot.column("object.flags") & schema.OBJECT_TRACKED > 0)
        return np.where(known, refcounts - self.in_degrees - self._unseen_from_instances, 0)

    @property
    def _unseen_from_instances(self) -> Ints:
        """Of each class made at run time, how many of its instances do not show their reference to it.

        Before 3.9 none of them does.
        """
        flags = self.snapshot.column("type.flags")
        rows = np.flatnonzero(flags & schema.TYPE_HEAP)
        classes = np.full(len(flags), -1, dtype=np.int64)
        classes[rows] = self.index_of(self.snapshot.column("type.address")[rows].astype(np.uint64))
        of_class = classes[self.types]
        shown = np.zeros(self.count, dtype=bool)
        shown[self.sources[self.targets == of_class[self.sources]]] = True
        unseen = of_class[(of_class >= 0) & ~shown]
        return np.bincount(unseen, minlength=self.count)

    @functools.cached_property
    def tree(self) -> tuple[Bools, Indexes]:
        """(reached, parent): what the roots reach, and each object's parent on a shortest path, N for the roots."""
        return self.walk(np.array([root.index for root in self.roots], dtype=np.int64))

    def walk(self, starts: Ints) -> tuple[Bools, Indexes]:
        """(reached bool[N], parent int32[N]) of a breadth-first walk; parent is N for a start, -1 where unreached."""
        return _breadth_first(self.count, self.offsets, self.targets, starts)

    def reached_without(self, starts: Ints, closed: Bools) -> Bools:
        """What a walk from `starts` comes to that does not pass through any of `closed` bool[N]."""
        is_open = ~closed[self.targets]
        before = np.concatenate(([0], np.cumsum(is_open)))
        return _breadth_first(
            self.count, before[self.offsets].astype(np.int64), self.targets[is_open], starts[~closed[starts]]
        )[0]

    @functools.cached_property
    def held_outside(self) -> Bools:
        """Objects that no root reaches and something outside the heap refers to: C, or a running frame's stack."""
        reached, _ = self.tree
        return ~reached & (self.surplus > 0)

    @functools.cached_property
    def is_old(self) -> Bools:
        """Objects of a frontier graph that are older than its line; none of a whole graph."""
        return self.snapshot.column("object.flags") & schema.OBJECT_OLD > 0

    @functools.cached_property
    def class_tables(self) -> Bools:
        """Dicts held from outside in which classes of C have their attributes, or any class its subclasses.

        The interpreter does not tell the collector who holds them; they come with modules that are imported.
        """
        found = np.zeros(self.count, dtype=bool)
        is_dict = np.array([name == "builtins.dict" for name in self.snapshot.type_names], dtype=bool)[self.types]
        describes, weak = self.are(schema.TYPE_DESCRIPTOR), self.are(schema.TYPE_WEAK)
        for index in np.flatnonzero(self.held_outside & is_dict).tolist():
            values = self.referents(index)[: self.lengths[index]]
            described = int(describes[values].sum())
            found[index] = len(values) > 0 and (bool(weak[values].all()) or 2 * described >= len(values))
        return found

    @functools.cached_property
    def kept_tree(self) -> tuple[Bools, Indexes]:
        """As `tree`, with what is held from outside the heap as roots of the second rank: all but garbage.

        A coroutine that ran while a walk in slices passed it shows none of its locals; they are found here.
        """
        kept, parent = self.tree
        held = self.held_outside
        # What has no referrer first: it leads to the others. What holds an old one may have been left out.
        for starts in (held & (self.in_degrees == 0), held, self.is_old):
            more, second = self.walk(np.flatnonzero(starts & ~kept))
            parent = np.where(kept, parent, np.where(more, second, -1))
            kept = kept | more
        return kept, parent

    @functools.cached_property
    def garbage(self) -> Bools:
        """Tracked objects that nothing keeps alive but themselves: cycles that wait for the collector."""
        kept, _ = self.kept_tree
        tracked = self.snapshot.column("object.flags") & schema.OBJECT_TRACKED > 0
        return ~kept & tracked

    @functools.cached_property
    def names(self) -> dict[int, tuple[str, str, int]]:
        """(name, file, line) by object index, for classes, functions, modules, coroutines and closure cells."""
        strings = self.snapshot.strings
        columns = (self.snapshot.column(f"name.{n}") for n in ("address", "text", "file", "line"))
        addresses, texts, files, lines = columns
        indexes = self.index_of(addresses).tolist()
        rows = zip(indexes, texts.tolist(), files.tolist(), lines.tolist(), strict=True)
        return {i: (strings[t], strings[f], n) for i, t, f, n in rows if i >= 0}

    @functools.cached_property
    def bounds(self) -> dict[int, int]:
        """Declared limit by object index: `maxlen`, `maxsize` and the like, of the container or of its owner."""
        rows = self.snapshot.column("bound.object").tolist()
        return dict(zip(rows, self.snapshot.column("bound.value").tolist(), strict=True))

    @functools.cached_property
    def values(self) -> dict[int, str]:
        """Text of strings, bytes and numbers by object index; empty unless the program ran with `--values`."""
        if not self.snapshot.has("value.address"):
            return {}
        strings, indexes = self.snapshot.strings, self.index_of(self.snapshot.column("value.address")).tolist()
        texts = self.snapshot.column("value.text").tolist()
        return {i: strings[t] for i, t in zip(indexes, texts, strict=True) if i >= 0 and self.type_name(i) in READABLE}

    def key_text(self, source: int, edge: int) -> str:
        """Text of the key under which a mapping holds the entry `edge`, "" where it is not known."""
        length = int(self.lengths[source])
        start, end = int(self.offsets[source]), int(self.offsets[source + 1])
        if edge >= start + length or end - start < 2 * length:
            return ""
        return self.values.get(int(self.targets[edge + length]), "")

    def type_name(self, index: int) -> str:
        return self.snapshot.type_names[int(self.types[index])]

    def count_of(self, type_name: str) -> int:
        """Number of objects of the classes of that name."""
        rows = [row for row, name in enumerate(self.snapshot.type_names) if name == type_name]
        return int(np.isin(self.types, rows).sum())

    @functools.cached_property
    def _number_by_string(self) -> dict[str, int]:
        return {text: number for number, text in enumerate(self.snapshot.strings)}

    def string_number(self, text: str) -> int:
        """Number of a text in the snapshot's table of strings; -1 where it is none."""
        return self._number_by_string.get(text, -1)

    def label(self, edge: int) -> str:
        """An edge's label with its kind as first character (see `leakhunt.agent.schema`), "" for none."""
        return self.snapshot.strings[int(self.edge_labels[edge])]

    def edge_between(self, source: int, target: int) -> int:
        """The edge from `source` to `target`, a labelled one if there is one; -1 when there is none."""
        start, end = self.offsets[source], self.offsets[source + 1]
        edges = start + np.flatnonzero(self.targets[start:end] == target)
        labelled = edges[self.edge_labels[edges] > 0]
        return int(labelled[0] if len(labelled) else edges[0] if len(edges) else -1)
