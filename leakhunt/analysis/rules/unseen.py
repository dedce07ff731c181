"""Detector: blocks of Python's own allocator that no object has: what C keeps, or lost, and no collector lists."""

from __future__ import annotations

from collections import Counter

from leakhunt.analysis.growth import trends
from leakhunt.analysis.growth.allocator_totals import ALIGNMENT
from leakhunt.analysis.growth.evidence import Evidence

from . import ledger
from .verdicts import Verdict

INTERNED_TABLE = "interpreter's interned dict"


def unseen_objects(evidence: Evidence) -> list[Verdict]:
    """Python's allocator has ever more blocks in use, and the objects of the heap do not: a reference was lost to C."""
    if len(evidence.deep) < trends.POINTS_MIN or not evidence.ledger("pymalloc_in_use_bytes").any():
        return []
    book, policy = ledger.ledger(evidence), evidence.policy
    if book is None:
        return []
    values = book.parts[ledger.UNSEEN]
    trend = trends.trend(book.seconds, values)
    in_use = evidence.ledger("pymalloc_in_use_bytes")[evidence.since :]
    gained = float(in_use[-1] - in_use[0])
    if not trend.is_growth or trend.gain < max(policy.unseen_bytes, policy.unseen_share * gained):
        return []
    if trends.mann_kendall(in_use) > policy.p_value:
        return []
    span = book.seconds[-1] - book.seconds[0]
    interned = _interned(evidence)
    said = (
        f"{trend.gain / 1e6:.1f} MB more in {span:.0f} s in blocks of Python's allocator{_of_size(evidence)} "
        "that no object in sight has: "
    )
    if interned:
        said += f"{interned:,.0f} more strings are interned, and the interpreter keeps them"
        advice = "Intern only strings of which there are few; CPython 3.12.0 to 3.12.5 never frees them."
    else:
        said += "C code keeps objects that it tells nobody of, or lost its reference to them"
        advice = "Look at C extensions: a missing Py_DECREF of a string, bytes or a number."
    return [
        Verdict(
            "native-growth",
            "",
            0.95,
            said,
            advice,
            book.seconds,
            values,
            trend,
            INTERNED_TABLE if interned else None,
            weight=trend.gain,
            is_in_bytes=True,
            detector="memory",
        )
    ]


def _interned(evidence: Evidence) -> float:
    """How many more strings are interned, where they are half of the blocks that Python's allocator gained, else 0."""
    strings, blocks = (
        float(evidence.deep[-1].number(key) - evidence.deep[evidence.first].number(key))
        for key in ("interned_strings", "allocated_blocks")
    )
    return strings if strings >= evidence.policy.of_one_size * blocks > 0 else 0.0


def _of_size(evidence: Evidence) -> str:
    """The size of the blocks, where most of those gained are of one."""
    first, last = (_blocks(evidence, k) for k in (evidence.first, -1))
    gained = Counter({size: max(0, last[size] - first[size]) * size for size in last})
    whole = sum(gained.values())
    size, most = gained.most_common(1)[0] if gained else (0, 0)
    return (
        f", most of {size - ALIGNMENT + 1} to {size} bytes,"
        if whole and most >= evidence.policy.of_one_size * whole
        else ""
    )


def _blocks(evidence: Evidence, number: int) -> Counter[int]:
    """Blocks in use by size at a graph."""
    told = evidence.deep[number].meta.get("pymalloc_blocks", "")
    return Counter({int(size): int(blocks) for size, _, blocks in (word.partition(":") for word in told.split())})
