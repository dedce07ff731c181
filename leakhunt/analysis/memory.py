"""Memory that no Python object explains: native growth, and heap that is free but does not go back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import growth
from .evidence import Evidence
from .growth import Floats
from .verdicts import Verdict, confidence

GROWTH_MIN_BYTES = 1_500_000
GROWTH_MIN_SHARE = 0.06
EXPLAINED = 0.5
FREE_MIN_BYTES = 4_000_000
FREE_MIN_SHARE = 0.2


def is_explained(evidence: Evidence, verdicts: Sequence[Verdict]) -> bool:
    """Whether growing Python objects account for most of what the process grew by."""
    grown = _gain(resident(evidence), evidence)
    accused = sum(verdict.weight for verdict in verdicts)
    return bool(verdicts) and (grown <= GROWTH_MIN_BYTES or accused >= 0.3 * grown)


def resident(evidence: Evidence) -> Floats:
    """Anonymous resident bytes at every census, what the agent's own work added taken off.

    All resident bytes where the system does not tell them apart.
    """
    anonymous = evidence.ledger("rss_anonymous_bytes")
    return (anonymous if anonymous.any() else evidence.ledger("rss_bytes")) - evidence.ledger("agent_rss_anonymous_bytes")


def _window(evidence: Evidence) -> slice:
    return growth.after_warm_up(evidence.seconds)


def _gain(values: Floats, evidence: Evidence) -> float:
    kept = values[_window(evidence)]
    return float(kept[-1] - kept[0]) if len(kept) else 0.0


def object_bytes(evidence: Evidence) -> float:
    """How much the objects of the heap, strings and buffers included, grew after the warm-up; 0 without two graphs."""
    graphs = evidence.lineage.graphs[evidence.first :] if len(evidence.deep) > 1 else ()
    return float(graphs[-1].sizes.sum() - graphs[0].sizes.sum()) if len(graphs) > 1 else 0.0


def native_growth(evidence: Evidence) -> list[Verdict]:
    """RSS climbs all the time, and the objects do not: memory taken by C code."""
    window, values = _window(evidence), resident(evidence)
    seconds, values = evidence.seconds[window], values[window]
    trend = growth.trend(seconds, values)
    enough = max(GROWTH_MIN_BYTES, GROWTH_MIN_SHARE * float(values[0] if len(values) else 0))
    if not trend.is_growth or trend.gain < enough or object_bytes(evidence) >= EXPLAINED * trend.gain:
        return []
    in_use = _gain(evidence.ledger("malloc_in_use_bytes"), evidence)
    free = _gain(inner_free(evidence), evidence)
    if evidence.ledger("malloc_in_use_bytes").any() and free > in_use:
        return []  # free already: fragmentation says the rest
    blocks = _gain(evidence.ledger("allocated_blocks"), evidence)
    where = "malloc's heap" if in_use >= EXPLAINED * trend.gain else "memory outside malloc's heap (mappings)"
    python = f"Python's allocator has {blocks:+,.0f} blocks" if blocks > 0 else "Python's allocator is flat"
    return [
        Verdict(
            "native-growth", "", confidence(trend, certainty=0.95),
            f"{trend.gain / 1e6:.1f} MB more in {seconds[-1] - seconds[0]:.0f} s in {where} while {python}: "
            "no Python object holds it",
            "Look at C extensions and ctypes calls that allocate and don't free; memray --native shows where it is allocated.",
            seconds, values, trend, weight=trend.gain,
        )  # fmt: skip
    ]


def inner_free(evidence: Evidence) -> Floats:
    """Bytes free inside malloc's heap, below its top: what can't go back to the system by itself."""
    own = evidence.ledger("agent_malloc_free_bytes") - evidence.ledger("agent_malloc_top_bytes")
    return evidence.ledger("malloc_free_bytes") - evidence.ledger("malloc_top_bytes") - own


def fragmentation(evidence: Evidence) -> list[Verdict]:
    """The heap keeps growing while what is in use does not: it is free, and pinned by what lies above it."""
    window = _window(evidence)
    seconds, free, values = evidence.seconds[window], inner_free(evidence)[window], resident(evidence)[window]
    if len(free) < growth.POINTS_MIN or not evidence.ledger("malloc_free_bytes").any():
        return []
    grown, used = float(free[-1] - free[0]), _gain(evidence.ledger("malloc_in_use_bytes"), evidence)
    resident_gain = float(values[-1] - values[0])
    steady = growth.mann_kendall(free) <= growth.P_VALUE and growth.mann_kendall(values) <= growth.P_VALUE
    enough = max(FREE_MIN_BYTES, FREE_MIN_SHARE * float(values[-1]))
    if not steady or grown < enough or used > EXPLAINED * grown or resident_gain < EXPLAINED * grown:
        return []
    trend = growth.trend(seconds, np.maximum.accumulate(free))
    return [
        Verdict(
            "fragmentation", "", confidence(trend, certainty=0.93),
            f"the heap grew by {grown / 1e6:.1f} MB that are free but can't go back: something small and long-lived lies above",
            "Give it back with malloc_trim(0) (ctypes) after bursts, or use jemalloc, or MALLOC_ARENA_MAX and smaller bursts.",
            seconds, free, trend, weight=grown,
        )  # fmt: skip
    ]
