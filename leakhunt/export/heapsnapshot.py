"""V8's `.heapsnapshot`: for the Memory panel of Chrome's DevTools, and for memlab.

One JSON object with flat arrays of whole numbers below 2**32. Nodes are in this order: the root, groups of GC roots
below it, the objects in the order of the snapshot, and parts of objects too large for such a number.
"""

from __future__ import annotations

import functools
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from leakhunt.agent import schema
from leakhunt.analysis.heap import edges
from leakhunt.analysis.heap.edges import EdgeNames, edge_names
from leakhunt.analysis.heap.facts import buffer_names
from leakhunt.analysis.heap.graph import HeapGraph, Ints

NODE_FIELDS = ("type", "name", "id", "self_size", "edge_count", "trace_node_id", "detachedness")
NODE_TYPES = (
    "hidden", "array", "string", "object", "code", "closure", "regexp", "number", "native", "synthetic",
    "concatenated string", "sliced string", "symbol", "bigint", "object shape",
)  # fmt: skip
EDGE_FIELDS = ("type", "name_or_index", "to_node")
EDGE_TYPES = ("context", "element", "property", "internal", "hidden", "shortcut", "weak")
EDGE_TYPE_BY_KIND = {
    "item": "element", "key": "internal", "attribute": "property", "local": "context", "closure": "context",
    "internal": "internal",
}  # fmt: skip
NODE_TYPE_BY_CLASS = {
    "builtins.str": "string", "builtins.code": "code", "re.Pattern": "regexp",
    **{f"builtins.{name}": "number" for name in ("int", "float", "complex")},
    **{f"builtins.{name}": "closure" for name in ("function", "method", "builtin_function_or_method")},
    **dict.fromkeys(buffer_names() - {"builtins.str"}, "native"),
}  # fmt: skip
SIZE_MAX = 0xFFFFFFFF  # readers keep every number in 32 bits
ROOT_ID = 1
ROWS_AT_ONCE = 100_000
GROUPS = {
    "module": "(modules)", "frame": "(running functions)", "gc.garbage": "(gc.garbage)",
    "interpreter": "(interpreter)", "outside": "(held from outside the heap)",
    "garbage": "(waiting for the collector)",
}  # fmt: skip


@dataclass
class Strings:
    """The texts of the file, each once."""

    row_by_text: dict[str, int] = field(default_factory=dict)

    def row(self, text: str) -> int:
        return self.row_by_text.setdefault(text, len(self.row_by_text))


@dataclass(frozen=True)
class Extra:
    """References that no object of the heap has, in the order of their sources: `target` by number of node."""

    source: Ints
    kind: Ints
    name: Ints
    target: Ints


def write(graph: HeapGraph, file: IO[bytes]) -> None:
    """Write the heap, in pieces of ROWS_AT_ONCE objects.

    What no root reaches hangs below two groups of their own: what is held from outside the heap, and what waits for the
    collector. What waits keeps nothing else alive: its references to living objects are weak ones in the file, as
    are those of weak references. So retained sizes are those of `kept_dominators`.
    """
    _Writer(graph).write(file)


def node_ids(graph: HeapGraph) -> Ints:
    """The id of each object: odd, below 2**32, and in another snapshot of the process the same.

    Readers compare snapshots by id. It is made of address and class name; of two that meet, one goes to the next.
    """
    salts = np.array([zlib.crc32(name.encode("utf-8", "replace")) for name in graph.snapshot.type_names], np.uint64)
    mixed = (graph.addresses >> np.uint64(4)) * np.uint64(0x9E3779B97F4A7C15) + salts[graph.types]
    places = (mixed >> np.uint64(33)).astype(np.int64) & ~1
    order = np.lexsort((graph.addresses, places))
    # Each at its own place, or right behind the one before it.
    steps = np.arange(graph.count)
    found = np.empty(graph.count, dtype=np.int64)
    found[order] = np.maximum.accumulate(places[order] // 2 - steps) + steps
    return 2 * found + 101


class _Writer:
    def __init__(self, graph: HeapGraph) -> None:
        self.graph, self.strings = graph, Strings()
        self.strings.row("")
        self.groups = _groups(graph)
        self.first = 1 + len(self.groups)  # number of the node of object 0
        self.parts = np.flatnonzero(graph.sizes > SIZE_MAX)
        self.kept, _ = graph.kept_tree

    @functools.cached_property
    def names(self) -> EdgeNames:
        return edge_names(self.graph)

    @functools.cached_property
    def extra(self) -> Extra:
        """Weak references, and the parts of very large objects."""
        snapshot, graph = self.graph.snapshot, self.graph
        source, target = snapshot.column("weak.source").astype(np.int64), graph.index_of(snapshot.column("weak.target"))
        source, target = source[target >= 0], target[target >= 0] + self.first
        of_part = np.repeat(self.parts, self._numbers_of_parts)
        parts = self.first + graph.count + np.arange(len(of_part))
        order = np.argsort(np.concatenate((source, of_part)), kind="stable")
        kinds = np.repeat([EDGE_TYPES.index("weak"), EDGE_TYPES.index("internal")], (len(source), len(of_part)))
        names = np.repeat([self.strings.row("referent"), self.strings.row("more of it")], (len(source), len(of_part)))
        columns = (np.concatenate((source, of_part)), kinds, names, np.concatenate((target, parts)))
        return Extra(*(column[order].astype(np.int64) for column in columns))

    @property
    def _numbers_of_parts(self) -> Ints:
        return (self.graph.sizes[self.parts] - 1) // SIZE_MAX

    def write(self, file: IO[bytes]) -> None:
        graph, inner = self.graph, sum(len(members) for _, members, _ in self.groups)
        parts = int(self._numbers_of_parts.sum())
        meta = {
            "node_fields": NODE_FIELDS,
            "node_types": [NODE_TYPES, "string", "number", "number", "number", "number", "number"],
            "edge_fields": EDGE_FIELDS,
            "edge_types": [EDGE_TYPES, "string_or_number", "node"],
            "trace_function_info_fields": [], "trace_node_fields": [], "sample_fields": [], "location_fields": [],
        }  # fmt: skip
        head = {
            "meta": meta,
            "node_count": self.first + graph.count + parts,
            "edge_count": len(self.groups) + inner + len(graph.targets) + len(self.extra.source),
            "trace_function_count": 0,
        }
        file.write(b'{"snapshot":' + json.dumps(head).encode() + b',\n"nodes":[')
        _numbers(file, self._nodes())
        file.write(b'],\n"edges":[')
        _numbers(file, self._edges())
        file.write(b'],\n"trace_function_infos":[],"trace_tree":[],"samples":[],"locations":[],\n"strings":')
        file.write(json.dumps(list(self.strings.row_by_text), separators=(",", ":\n")).encode())
        file.write(b"}\n")

    def _nodes(self) -> Iterator[NDArray[np.int64]]:
        synthetic, graph = NODE_TYPES.index("synthetic"), self.graph
        head = [(synthetic, self.strings.row("(GC roots)"), ROOT_ID, 0, len(self.groups), 0, 0)]
        for number, (name, members, _) in enumerate(self.groups, 1):
            head.append((synthetic, self.strings.row(name), ROOT_ID + 2 * number, 0, len(members), 0, 0))
        yield np.array(head, dtype=np.int64)
        kinds, names, ids = self._kinds(), self._node_names(), node_ids(graph)
        edges_more = np.bincount(self.extra.source, minlength=graph.count)
        counts = np.diff(graph.offsets) + edges_more
        for begin in range(0, graph.count, ROWS_AT_ONCE):
            rows = slice(begin, begin + ROWS_AT_ONCE)
            sizes, nothing = np.minimum(graph.sizes[rows], SIZE_MAX), np.zeros(len(ids[rows]), dtype=np.int64)
            yield np.column_stack((kinds[rows], names[rows], ids[rows], sizes, counts[rows], nothing, nothing))
        yield self._part_nodes(int(ids.max(initial=ROOT_ID)))

    def _part_nodes(self, last_id: int) -> NDArray[np.int64]:
        kind, name, rows = NODE_TYPES.index("native"), self.strings.row("more of a large object"), []
        for size, number in zip(self.graph.sizes[self.parts].tolist(), self._numbers_of_parts.tolist(), strict=True):
            for part in range(1, number + 1):
                last_id += 2
                rows.append((kind, name, last_id, min(SIZE_MAX, size - part * SIZE_MAX), 0, 0, 0))
        return np.array(rows, dtype=np.int64).reshape(-1, len(NODE_FIELDS))

    def _kinds(self) -> Ints:
        of_class = [NODE_TYPE_BY_CLASS.get(name, "object") for name in self.graph.snapshot.type_names]
        numbers = np.array([NODE_TYPES.index(kind) for kind in of_class], dtype=np.int64)
        flags = self.graph.snapshot.column("type.flags")
        numbers[flags & schema.TYPE_IS_CLASS > 0] = NODE_TYPES.index("closure")
        return numbers[self.graph.types]

    def _node_names(self) -> Ints:
        """By class; functions and classes by their own names, and texts by their values where those were stored."""
        graph, row = self.graph, self.strings.row
        found = np.array([row(name) for name in graph.snapshot.type_names], dtype=np.int64)[graph.types]
        kinds, closure = self._kinds(), NODE_TYPES.index("closure")
        for index, (name, _, _) in graph.names.items():
            if kinds[index] == closure:
                found[index] = row(name)
        for index, text in graph.values.items():
            found[index] = row(text)
        return found

    def _edges(self) -> Iterator[NDArray[np.int64]]:
        graph, wide = self.graph, len(NODE_FIELDS)
        named = EDGE_TYPES.index("property")
        yield _rows(named, [self.strings.row(name) for name, _, _ in self.groups], wide * np.arange(1, self.first))
        for _, members, labels in self.groups:
            yield _rows(named, [self.strings.row(label) for label in labels], wide * (self.first + members))
        kind_numbers = np.array([EDGE_TYPES.index(EDGE_TYPE_BY_KIND[kind]) for kind in edges.KINDS])
        texts = np.array([self.strings.row(text) for text in self.names.texts])
        key, item, weak = self.strings.row("key"), EDGE_TYPES.index("element"), EDGE_TYPES.index("weak")
        for begin in range(0, graph.count, ROWS_AT_ONCE):
            end = min(begin + ROWS_AT_ONCE, graph.count)
            first, last = int(graph.offsets[begin]), int(graph.offsets[end])
            sources, targets = graph.sources[first:last], graph.targets[first:last].astype(np.int64)
            of_kind = self.names.kinds[first:last]
            kinds, names = kind_numbers[of_kind], texts[self.names.names[first:last]]
            names[of_kind == edges.KEY] = key
            names = np.where(kinds == item, self.names.positions(first, last), names)
            is_dead = ~self.kept[sources] & self.kept[targets]
            names[is_dead & (kinds == item)] = self.strings.row("[*]")
            kinds[is_dead] = weak
            block = np.column_stack((kinds, names, wide * (self.first + targets)))
            more = slice(*np.searchsorted(self.extra.source, (begin, end)))
            if more.stop > more.start:
                others = (self.extra.kind[more], self.extra.name[more], wide * self.extra.target[more])
                places = graph.offsets[self.extra.source[more] + 1] - first
                block = np.insert(block, places, np.column_stack(others), axis=0)
            yield block


def _rows(kind: int, names: list[int], targets: Ints) -> NDArray[np.int64]:
    return np.column_stack((np.full(len(names), kind), names, targets)).astype(np.int64).reshape(-1, len(EDGE_FIELDS))


def _numbers(file: IO[bytes], blocks: Iterator[NDArray[np.int64]]) -> None:
    """Numbers with commas between them, and no list of all of them at any time."""
    separator = b""
    for block in blocks:
        if block.size:
            file.write(separator + ",".join(map(str, block.ravel().tolist())).encode())
            separator = b",\n"


def _groups(graph: HeapGraph) -> list[tuple[str, Ints, list[str]]]:
    """(name, objects, what each is called) of each group of roots that has any."""
    by_kind: dict[str, dict[tuple[int, str], None]] = {kind: {} for kind in GROUPS}
    for root in graph.roots:
        by_kind.get(root.kind, by_kind["interpreter"])[root.index, root.label] = None
    kept, parents = graph.kept_tree
    is_root = np.zeros(graph.count, dtype=bool)
    is_root[[root.index for root in graph.roots]] = True
    for kind, objects in (("outside", kept & (parents == graph.count) & ~is_root), ("garbage", garbage_starts(graph))):
        by_kind[kind] = {(index, graph.type_name(index)): None for index in np.flatnonzero(objects).tolist()}
    return [
        (GROUPS[kind], np.array([index for index, _ in members], dtype=np.int64), [label for _, label in members])
        for kind, members in by_kind.items()
        if members
    ]


def garbage_starts(graph: HeapGraph) -> NDArray[np.bool_]:
    """One object of each cycle that waits for the collector and that no other one leads to; they reach all the rest."""
    kept, _ = graph.kept_tree
    dead = np.flatnonzero(~kept)
    found = np.zeros(graph.count, dtype=bool)
    if not len(dead):
        return found
    number = np.full(graph.count, -1, dtype=np.int64)
    number[dead] = np.arange(len(dead))
    inside = ~kept[graph.sources] & ~kept[graph.targets]
    sources, targets = number[graph.sources[inside]], number[graph.targets[inside]]
    matrix = csr_array((np.ones(len(sources), dtype=np.int8), (sources, targets)), shape=(len(dead), len(dead)))
    count, of_object = connected_components(matrix, directed=True, connection="strong")
    is_led_to = np.zeros(count, dtype=bool)
    between = of_object[sources] != of_object[targets]
    is_led_to[of_object[targets[between]]] = True
    _, firsts = np.unique(of_object, return_index=True)
    found[dead[firsts[~is_led_to]]] = True
    return found
