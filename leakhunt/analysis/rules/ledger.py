"""Growth accounted for: what the process grew by, split into parts that add up to it.

Both allocators say to the byte what is in use; what is resident besides lies free inside of them, or others mapped it.
The objects of each graph account for what is in use, by the size of the blocks that they take (books.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leakhunt import findings
from leakhunt.analysis.growth import trends
from leakhunt.analysis.growth.allocator_totals import agents_own, blocks_of
from leakhunt.analysis.growth.trends import Floats
from leakhunt.analysis.policy import Policy

if TYPE_CHECKING:
    from leakhunt.analysis.growth.evidence import Evidence

    from .verdicts import Verdict

PLACES, OTHERS, WAITING, OUTSIDE = "places", "other objects", "waiting garbage", "held from outside"
UNSEEN, NATIVE, FREE, UNEXPLAINED = "objects unseen", "native", "fragmentation", "unexplained"
PARTS = (PLACES, OTHERS, WAITING, OUTSIDE, UNSEEN, NATIVE, FREE, UNEXPLAINED)

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
class Ledger:
    """One process between the first graph after its warm-up and the last.

    `grown` and each of `parts` are bytes at each graph above those at the first; the parts add up to `grown`.
    `resident_bytes` is what was resident at the last, the agent's own taken off.
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

    def enough(self, policy: Policy) -> float:
        """Bytes from which on growth is more than an allocator's granularity and a program's small change."""
        return max(policy.open_bytes, policy.open_of_resident * (self.resident_bytes - self.grown_bytes))


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
    in_places = _in_places(evidence, verdicts)
    objects = {PLACES: in_places, OTHERS: books.reached - in_places, WAITING: books.waiting, OUTSIDE: books.outside}
    unseen, native = _netted(in_python - books.small, in_malloc - books.large + new_mappings - untouched)
    grown = in_python + in_malloc + free + mapped - untouched
    parts = {**objects, UNSEEN: np.maximum(unseen, 0.0), NATIVE: np.maximum(native, 0.0), FREE: free}
    _move(parts, sum(verdict.native_bytes for verdict in verdicts))
    parts[UNEXPLAINED] = grown - sum(parts.values())
    return Ledger(evidence.seconds[books.at], grown, parts, float(books.resident[books.at][-1]))


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
    return np.where(second < 0, both, np.where(first < 0, 0.0, first)), np.where(
        first < 0, both, np.where(second < 0, 0.0, second)
    )


def _in_places(evidence: Evidence, verdicts: Sequence[Verdict]) -> Floats:
    """Bytes that growing places lead to and did not at the first graph, at each graph: by when those of now came."""
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
    return np.asarray(found - found[0] + _containers_growth(evidence, verdicts), dtype=float)


def _containers_growth(evidence: Evidence, verdicts: Sequence[Verdict]) -> Floats:
    """Bytes that the containers themselves grew by."""
    members = {index for place in evidence.places for index in place.members}
    members |= {verdict.holder for verdict in verdicts if verdict.holder >= 0}
    rows = np.array(sorted(members), dtype=np.int64)
    found = np.zeros(len(evidence.books.graphs))
    for k, graph in enumerate(evidence.books.graphs):
        there = evidence.lineage.present[evidence.first + k, rows] if len(rows) else rows
        found[k] = float(graph.sizes[there[there >= 0]].sum())
    return np.asarray(found - found[0], dtype=float)


def is_open(book: Ledger, part: str, policy: Policy) -> bool:
    """Whether a part that no finding is about grows all the time, and matters: against the whole and its noise."""
    values = book.parts[part]
    enough = max(book.enough(policy), policy.unexplained * book.grown_bytes)
    return float(values[-1]) >= enough and not trends.objection(trends.trend(book.seconds, values), policy)


def left_open(book: Ledger, policy: Policy, has_bounded: bool = False) -> str:
    """What forbids to call a process healthy, as a sentence; "" where its growth is accounted for or insignificant.

    Args:
        has_bounded: some of the growing places are known to come to an end.
    """
    seconds, whole = float(book.seconds[-1] - book.seconds[0]), f"{book.grown_bytes / 1e6:.1f} MB"
    if book.grown_bytes >= book.enough(policy) and book.explained < 1.0 - policy.unexplained:
        missing = abs(book.gain(UNEXPLAINED)) / 1e6
        return f"It grew by {whole} in {seconds:.0f} s, and {missing:.1f} MB of that can't be explained"
    for part, words in OPEN_WORDS.items():
        if is_open(book, part, policy) and not (part == PLACES and has_bounded):
            return f"It grew by {whole} in {seconds:.0f} s, {book.gain(part) / 1e6:.1f} MB of it {words}"
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
