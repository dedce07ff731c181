"""Growth accounted for: what the process grew by, split into parts that add up to it.

Both allocators say what is in use, to the byte; the rest of what is resident is free inside of them or mapped by others.
What is in use, the objects of each graph account for, by the size of the blocks that they take.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leakhunt import findings

from . import growth
from .graph import HeapGraph, Ints
from .growth import Floats

if TYPE_CHECKING:
    from .evidence import Evidence
    from .verdicts import Verdict

PLACES, OTHERS, WAITING, OUTSIDE = "places", "other objects", "waiting garbage", "held from outside"
UNSEEN, NATIVE, FREE, UNEXPLAINED = "objects unseen", "native", "fragmentation", "unexplained"
PARTS = (PLACES, OTHERS, WAITING, OUTSIDE, UNSEEN, NATIVE, FREE, UNEXPLAINED)

SMALL_BYTES = 512  # what Python's own allocator serves; larger blocks are malloc's
ALIGNMENT = 16
MALLOC_HEADER = 8
# Containers of these classes keep their items in a block of its own, beside the object itself.
BASE_BYTES = {"builtins.list": 56, "builtins.dict": 64, "builtins.set": 216, "builtins.bytearray": 56}
ATTRIBUTES_APART = ("3.11.", "3.12.")  # attribute values are in a block of their own that `sys.getsizeof` leaves out
SIGNIFICANT_BYTES = 1_500_000  # less may be one arena of each allocator, and a page of every pool
SIGNIFICANT_SHARE = 0.06
UNEXPLAINED_MAX = 0.1
# What a part that grows is called where no finding is about it.
OPEN_WORDS = {
    PLACES: "in places that grow",
    OTHERS: "in objects that no growing place holds",
    WAITING: "in garbage that waits for the collector",
    OUTSIDE: "in objects that are held from outside the Python heap",
    UNSEEN: "in blocks of Python's allocator that no object has",
    NATIVE: "in memory that C code took",
    FREE: "free inside the allocators",
}


@dataclass(frozen=True)
class Blocks:
    """Bytes that each object of a graph takes from Python's allocator (`small`) and from malloc (`large`)."""

    small: Floats
    large: Floats

@dataclass(frozen=True)
class Ledger:
    """One process between the first graph after its warm-up and the last.

    `grown` and each of `parts` are bytes at each graph above those at the first; the parts add up to `grown`.
    `graphs_bytes` is what was resident at the last.
    """

    seconds: Floats
    grown: Floats
    parts: dict[str, Floats]
    resident_bytes: float

    @property
    def grown_bytes(self) -> float:
        return float(self.grown[-1])

    def gain(self, part: str) -> float:
        return float(self.parts[part][-1])

    @property
    def explained(self) -> float:
        """Share of the growth that is accounted for, 0.0 to 1.0; 1.0 where nothing grew."""
        if self.grown_bytes <= 0:
            return 1.0
        return max(0.0, 1.0 - abs(self.gain(UNEXPLAINED)) / self.grown_bytes)

    @property
    def enough(self) -> float:
        """Bytes from which on growth is more than an allocator's granularity and a program's small change."""
        return max(SIGNIFICANT_BYTES, SIGNIFICANT_SHARE * (self.resident_bytes - self.grown_bytes))


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
    flags = graph.snapshot.column("type.flags")
    names = graph.snapshot.type_names
    has_them = np.array(
        [bool(flag & 2) and not flag & 12 and not name.startswith("builtins.") for flag, name in zip(flags.tolist(), names, strict=True)],
        dtype=bool,
    )
    values = np.maximum(np.diff(graph.offsets) - 1, 0)  # one of the references is to the class
    # As many places as attributes and one more, after a prefix of a byte for each (Objects/dictobject.c, new_values).
    room = 8 * (values + 1) + -(-(values + 3) // 8) * 8
    return np.where(has_them[graph.types] & (values > 0), room, 0)


class Books:
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


def ledger(evidence: Evidence, verdicts: Sequence[Verdict] = ()) -> Ledger | None:
    """The ledger of one process; None where there are fewer than two graphs after the warm-up."""
    if len(evidence.deep) < 2:
        return None
    books, since_first = evidence.books, evidence.books.since_first
    in_python, in_malloc = since_first(books.python_in_use), since_first(books.figure("malloc_in_use_bytes"))
    # Resident and not in use. What fills room that was there already, or that the agent left, shows below 0.
    beside = since_first(books.resident - books.in_use)
    free = np.clip(beside, 0.0, np.maximum(since_first(books.free), 0.0))
    mapped = np.maximum(beside - free, 0.0)
    new_mappings = np.minimum(mapped, np.maximum(since_first(books.mappings), 0.0))
    room = books.free[books.at][0] + np.maximum(since_first(agents_own(evidence)), 0.0)
    untouched = np.maximum(-beside - room, 0.0)
    in_places = _in_places(books, verdicts)
    objects = {PLACES: in_places, OTHERS: books.reached - in_places, WAITING: books.waiting, OUTSIDE: books.outside}
    unseen, native = _netted(in_python - books.small, in_malloc - books.large + new_mappings - untouched)
    grown = in_python + in_malloc + free + mapped - untouched
    parts = {**objects, UNSEEN: np.maximum(unseen, 0.0), NATIVE: np.maximum(native, 0.0), FREE: free}
    _move(parts, sum(verdict.native_bytes for verdict in verdicts))
    parts[UNEXPLAINED] = grown - sum(parts.values())
    return Ledger(books.evidence.seconds[books.at], grown, parts, float(books.resident[books.at][-1]))


def _move(parts: dict[str, Floats], native_bytes: float) -> None:
    """Memory of C code that belongs to objects in places goes to their part."""
    whole = float(parts[NATIVE][-1] + parts[UNSEEN][-1])
    share = min(1.0, native_bytes / whole) if whole > 0 else 0.0
    parts[PLACES] = parts[PLACES] + share * (parts[NATIVE] + parts[UNSEEN])
    for part in (NATIVE, UNSEEN):
        parts[part] = (1.0 - share) * parts[part]


def _netted(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Two differences, what one of them is below 0 taken off the other: a block may be counted with either."""
    both = first + second
    return np.where(second < 0, both, np.where(first < 0, 0.0, first)), np.where(first < 0, both, np.where(second < 0, 0.0, second))


def _in_places(books: Books, verdicts: Sequence[Verdict]) -> Floats:
    """Bytes that growing places lead to and did not at the first graph, at each graph: by when those of now came."""
    evidence = books.evidence
    graph = evidence.graph
    reached, _ = graph.tree
    chosen = np.zeros(graph.count, dtype=bool)
    for objects in (*(p.reached for p in evidence.places), *(v.objects for v in verdicts)):
        chosen[objects] = True
    chosen &= reached & evidence.is_new
    blocks = blocks_of(graph)
    weights = np.where(chosen, blocks.small + blocks.large, 0.0)
    by_birth = np.bincount(evidence.lineage.born, weights=weights, minlength=len(evidence.lineage.graphs))
    found = np.cumsum(by_birth)[evidence.first :]
    return found - found[0] + _containers_growth(books, verdicts)


def _containers_growth(books: Books, verdicts: Sequence[Verdict]) -> Floats:
    """Bytes that the containers themselves grew by."""
    evidence = books.evidence
    members = {index for place in evidence.places for index in place.members}
    members |= {verdict.holder for verdict in verdicts if verdict.holder >= 0}
    rows = np.array(sorted(members), dtype=np.int64)
    found = np.zeros(len(books.graphs))
    for k, graph in enumerate(books.graphs):
        there = evidence.lineage.present[evidence.first + k, rows] if len(rows) else rows
        found[k] = float(graph.sizes[there[there >= 0]].sum())
    return found - found[0]


def is_open(book: Ledger, part: str) -> bool:
    """Whether a part that no finding is about grows all the time, and matters: against the whole and its noise."""
    values = book.parts[part]
    enough = max(book.enough, UNEXPLAINED_MAX * book.grown_bytes)
    return float(values[-1]) >= enough and growth.trend(book.seconds, values).is_growth


def left_open(book: Ledger, has_bounded: bool = False) -> str:
    """What forbids to call a process healthy, as a sentence; "" where its growth is accounted for or insignificant.

    Args:
        has_bounded: some of the growing places are known to come to an end.
    """
    seconds = float(book.seconds[-1] - book.seconds[0])
    if book.grown_bytes >= book.enough and book.explained < 1.0 - UNEXPLAINED_MAX:
        missing = abs(book.gain(UNEXPLAINED)) / 1e6
        return (
            f"It grew by {book.grown_bytes / 1e6:.1f} MB in {seconds:.0f} s, "
            f"of which {missing:.1f} MB can't be explained"
        )
    for part, words in OPEN_WORDS.items():
        if is_open(book, part) and not (part == PLACES and has_bounded):
            return f"It grew by {book.grown_bytes / 1e6:.1f} MB in {seconds:.0f} s, {book.gain(part) / 1e6:.1f} MB of it {words}"
    return ""


def told(book: Ledger | None) -> findings.Ledger | None:
    """The ledger as findings tell it: whole bytes, and the rate of each part."""
    if book is None:
        return None
    minutes = max(float(book.seconds[-1] - book.seconds[0]), 1e-9) / 60
    gains = {part: round(book.gain(part)) for part in PARTS}
    grown = round(book.grown_bytes)
    gains[UNEXPLAINED] += grown - sum(gains.values())
    parts = tuple(findings.LedgerPart(part, gain, round(gain / minutes, 1)) for part, gain in gains.items())
    return findings.Ledger(grown, round(book.explained, 4), parts, round(60 * minutes, 3))


def together(ledgers: Sequence[findings.Ledger]) -> findings.Ledger | None:
    """One ledger of several processes: bytes and rates added up; None for none."""
    if not ledgers:
        return None
    parts = tuple(
        findings.LedgerPart(part[0].what, sum(p.bytes for p in part), round(sum(p.bytes_per_minute for p in part), 1))
        for part in zip(*(ledger.parts for ledger in ledgers), strict=True)
    )
    grown = sum(ledger.grown_bytes for ledger in ledgers)
    missing = sum(max(ledger.grown_bytes, 0) * (1.0 - ledger.explained) for ledger in ledgers)
    explained = max(0.0, 1.0 - missing / grown) if grown > 0 else 1.0
    return findings.Ledger(grown, round(explained, 4), parts, max(ledger.seconds for ledger in ledgers))
