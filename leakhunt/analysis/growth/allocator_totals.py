"""The books of a process: what its allocators say they gave out, beside the bytes of all objects."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leakhunt.agent import schema
from leakhunt.analysis.heap.graph import HeapGraph, Ints

from .trends import Floats

if TYPE_CHECKING:
    from .evidence import Evidence

SMALL_BYTES = 512  # what Python's own allocator serves; larger blocks are malloc's
ALIGNMENT = 16
MALLOC_HEADER = 8
# Containers of these classes keep their items in a block of its own, beside the object itself.
BASE_BYTES = {"builtins.list": 56, "builtins.dict": 64, "builtins.set": 216, "builtins.bytearray": 56}
ATTRIBUTES_APART = ("3.11.", "3.12.")  # attribute values are in a block of their own that `sys.getsizeof` leaves out


@dataclass(frozen=True)
class Blocks:
    """Bytes that each object of a graph takes from Python's allocator (`small`) and from malloc (`large`)."""

    small: Floats
    large: Floats


def blocks_of(graph: HeapGraph) -> Blocks:
    """What the objects take from both allocators: blocks are multiples of ALIGNMENT, malloc's with a header."""
    names = graph.snapshot.type_names
    base = np.array([BASE_BYTES.get(name, 0) for name in names], dtype=np.int64)[graph.types]
    sizes = graph.sizes
    apart = np.where((base > 0) & (sizes > base), sizes - base, 0)
    small, large = np.zeros(graph.count), np.zeros(graph.count)
    for part in (sizes - apart, apart, _attribute_bytes(graph)):
        is_small = part <= SMALL_BYTES
        small += np.where(is_small, _rounded(part), 0)
        large += np.where(is_small, 0, _rounded(part + MALLOC_HEADER))
    return Blocks(small, large)


def _rounded(sizes: Ints) -> Ints:
    return -(-sizes // ALIGNMENT) * ALIGNMENT


def _attribute_bytes(graph: HeapGraph) -> Ints:
    """Size of the block that an instance's attribute values are in, where that is no part of its own size."""
    if not graph.snapshot.meta.get("python", "").startswith(ATTRIBUTES_APART):
        return np.zeros(graph.count, dtype=np.int64)
    flags = graph.snapshot.column("type.flags").tolist()
    # Instances of classes made in Python: C's, and classes themselves, have theirs elsewhere.
    of_python = [
        bool(flag & schema.TYPE_HEAP) and not flag & (schema.TYPE_IS_CLASS | schema.TYPE_EXTENSION) for flag in flags
    ]
    has_them = np.array(of_python, dtype=bool)
    values = np.maximum(np.diff(graph.offsets) - 1, 0)  # one of the references is to the class
    # As many places as attributes and one more, after a prefix of a byte for each (Objects/dictobject.c, new_values).
    room = 8 * (values + 1) + -(-(values + 3) // 8) * 8
    return np.where(has_them[graph.types] & (values > 0), room, 0)


class AllocatorTotals:
    """The figures of one process at its graphs after the warm-up, what the agent itself added taken off."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        deep = {id(s) for s in evidence.deep[evidence.first :]}
        self.at = np.array([k for k, s in enumerate(evidence.censuses) if id(s) in deep], dtype=np.int64)
        self.graphs: Sequence[HeapGraph] = evidence.lineage.graphs[evidence.first :]

    def figure(self, key: str) -> Floats:
        return self.evidence.ledger(key)

    @functools.cached_property
    def resident(self) -> Floats:
        return resident(self.evidence)

    @functools.cached_property
    def python_in_use(self) -> Floats:
        """Bytes in blocks of Python's allocator; by their number and usual size where it does not tell."""
        told = self.figure("pymalloc_in_use_bytes")
        if told.any():
            return told
        small, number = blocks_of(self.graphs[-1]).small.sum(), self.graphs[-1].snapshot.number("allocated_blocks")
        return self.figure("allocated_blocks") * (float(small) / number if number else 0.0)

    @property
    def arenas(self) -> Floats:
        told = self.figure("pymalloc_arena_bytes")
        return told if told.any() else self.python_in_use

    @functools.cached_property
    def in_use(self) -> Floats:
        """Bytes that both allocators have given out."""
        return self.python_in_use + self.figure("malloc_in_use_bytes")

    @functools.cached_property
    def free(self) -> Floats:
        """Bytes that lie free in both allocators."""
        return self.arenas - self.python_in_use + self.figure("malloc_free_bytes")

    @property
    def mappings(self) -> Floats:
        """Virtual bytes that are neither allocator's."""
        return self.figure("virtual_bytes") - self.in_use - self.free

    def since_first(self, values: Floats) -> Floats:
        """The values at the graphs, above the one at the first."""
        kept = values[self.at]
        return np.asarray(kept - kept[0], dtype=float)

    @functools.cached_property
    def _objects(self) -> Floats:
        """Bytes at each graph, as columns: reached by a root, held from outside, waiting; small, large."""
        rows = []
        for graph in self.graphs:
            blocks, (reached, _), (kept, _) = blocks_of(graph), graph.tree, graph.kept_tree
            both = blocks.small + blocks.large
            shares = [float(both[chosen].sum()) for chosen in (reached, kept & ~reached, ~kept)]
            rows.append([*shares, float(blocks.small.sum()), float(blocks.large.sum())])
        return np.array(rows).T

    @property
    def reached(self) -> Floats:
        """Bytes of objects that the roots reach, above those at the first graph; so with the following."""
        return self._gained(0)

    @property
    def outside(self) -> Floats:
        return self._gained(1)

    @property
    def waiting(self) -> Floats:
        return self._gained(2)

    @property
    def small(self) -> Floats:
        """Bytes that all objects take from Python's allocator."""
        return self._gained(3)

    @property
    def large(self) -> Floats:
        """Bytes that all objects take from malloc."""
        return self._gained(4)

    def _gained(self, row: int) -> Floats:
        return np.asarray(self._objects[row] - self._objects[row][0], dtype=float)


def resident(evidence: Evidence) -> Floats:
    """Anonymous bytes at every census, resident or swapped out, what the agent's own work added taken off.

    All resident bytes where the system does not tell them apart.
    """
    anonymous = evidence.ledger("rss_anonymous_bytes")
    swapped = evidence.ledger("swap_bytes")
    return (anonymous if anonymous.any() else evidence.ledger("rss_bytes")) + swapped - agents_own(evidence)


def agents_own(evidence: Evidence) -> Floats:
    """Resident bytes that the agent added, by what the process grew by while snapshots were taken.

    The program runs meanwhile: what it grew by at its usual rate is taken off, and a burst that ended then does not
    make the agent's part negative.
    """
    during = np.diff(evidence.ledger("agent_rss_anonymous_bytes"), prepend=0.0)  # of the snapshot before
    lasted = np.concatenate(([0.0], evidence.ledger("cost_ms")[:-1] / 1e3))
    programs = _usual_rate(evidence, during, lasted) * lasted
    own, found = 0.0, []
    for change in (during - programs).tolist():
        own = max(0.0, own + change)
        found.append(own)
    return np.array(found)


def _usual_rate(evidence: Evidence, during: Floats, lasted: Floats) -> float:
    """Bytes per second that the process grows by between snapshots, in the median; 0.0 where it does not."""
    between = np.diff(evidence.ledger("rss_anonymous_bytes")) - during[1:]
    pauses = np.diff(evidence.seconds) - lasted[1:]
    rates = between[pauses > 0] / pauses[pauses > 0]
    return max(0.0, float(np.median(rates))) if len(rates) else 0.0
