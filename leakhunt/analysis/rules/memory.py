"""Memory that no Python object explains: native growth, and heap that is free but does not go back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from leakhunt.analysis.doubt import Doubt, ended
from leakhunt.analysis.growth import trends
from leakhunt.analysis.growth.allocator_totals import SMALL_BYTES, resident
from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.growth.trends import Floats, Trend
from leakhunt.analysis.policy import Policy

from .verdicts import Verdict


def is_explained(evidence: Evidence, verdicts: Sequence[Verdict]) -> bool:
    """Whether growing Python objects account for most of what the process grew by."""
    policy, grown = evidence.policy, _gain(resident(evidence), evidence)
    accused = sum(verdict.weight for verdict in verdicts) * _longer(evidence)
    return bool(verdicts) and (grown <= policy.open_bytes or accused >= policy.used_share * grown)


def _window(evidence: Evidence) -> slice:
    return slice(evidence.since, None)


def _gain(values: Floats, evidence: Evidence) -> float:
    kept = values[_window(evidence)]
    return float(kept[-1] - kept[0]) if len(kept) else 0.0


def object_bytes(evidence: Evidence) -> float:
    """How much the objects of the heap, strings and buffers included, grew after the warm-up; 0 without two graphs.

    At the rate between the first graph and the last, which may cover a part of the run only.
    """
    graphs = evidence.lineage.graphs[evidence.first :] if len(evidence.deep) > 1 else ()
    return float(graphs[-1].sizes.sum() - graphs[0].sizes.sum()) * _longer(evidence) if len(graphs) > 1 else 0.0


def left_bytes(evidence: Evidence) -> float:
    """What objects took and gave back after the warm-up, their pages staying with the process; 0 without a graph.

    By the blocks of Python's own allocator, which every census counts, at their size in the last graph.
    """
    counts = evidence.ledger("allocated_blocks")[_window(evidence)]
    if not evidence.deep or not len(counts):
        return 0.0
    sizes, blocks = evidence.graph.sizes, evidence.graph.snapshot.number("allocated_blocks")
    per_block = float(sizes[sizes <= SMALL_BYTES].sum()) / blocks if blocks else 0.0
    return float(counts.max() - counts[-1]) * per_block


def _longer(evidence: Evidence) -> float:
    """How many times as long the ledger was watched after the warm-up as the graphs were; 1.0 at least."""
    if len(evidence.deep) < 2:
        return 1.0
    ledger, graphs = evidence.seconds[_window(evidence)], evidence.lineage.seconds[evidence.first :]
    return max(1.0, float(ledger[-1] - ledger[0]) / max(float(graphs[-1] - graphs[0]), 1e-9))


def native_growth(evidence: Evidence) -> list[Verdict]:
    """RSS climbs all the time, and the objects do not: memory taken by C code."""
    window = _window(evidence)
    seconds, values = evidence.seconds[window], resident(evidence)[window]
    trend = trends.trend(seconds, values)
    used = evidence.ledger("malloc_in_use_bytes")[window]
    by_use = trends.trend(seconds, used)
    if by_use.is_growth and by_use.gain > max(0.0, trend.gain):  # it fills what snapshots left free: no new pages
        values, trend = used, by_use
    if trend.gain <= 0:
        return []
    policy, in_use = evidence.policy, _gain(evidence.ledger("malloc_in_use_bytes"), evidence)
    enough = max(policy.open_bytes, policy.open_of_resident * float(values[0]))
    free = 0.0 if values is used else _gain(evidence.ledger("malloc_free_bytes"), evidence)
    doubts = _doubts_of_growth(trend, enough, free, object_bytes(evidence), left_bytes(evidence), policy)
    blocks = _gain(evidence.ledger("allocated_blocks"), evidence)
    where = (
        "malloc's heap" if in_use >= policy.objects_explain * trend.gain else "memory outside malloc's heap (mappings)"
    )
    python = f"Python's allocator has {blocks:+,.0f} blocks" if blocks > 0 else "Python's allocator is flat"
    return [
        Verdict(
            "native-growth",
            "",
            0.95,
            f"{trend.gain / 1e6:.1f} MB more in {seconds[-1] - seconds[0]:.0f} s in {where} while {python}: "
            "no Python object holds it",
            "Look at C extensions and ctypes calls that allocate and don't free; memray --native shows where.",
            seconds,
            values,
            trend,
            weight=trend.gain,
            is_in_bytes=True,
            detector="memory",
            doubts=doubts,
        )
    ]


def _doubts_of_growth(
    trend: Trend, enough: float, free: float, objects: float, left: float, policy: Policy
) -> tuple[Doubt, ...]:
    """What the figures themselves say against growth of C's memory, the first of these; all of them are bytes."""
    if trend.gain < enough:
        return (
            ended("small growth", f"{trend.gain / 1e6:.1f} MB are an arena and the small change of such a process"),
        )
    if objects >= policy.objects_explain * trend.gain:
        return (ended("objects explain it", f"the objects of the heap grew by {objects / 1e6:.1f} MB meanwhile"),)
    if left >= policy.objects_explain * trend.gain:
        return (ended("given back", f"objects took {left / 1e6:.1f} MB and gave them back: their pages stay"),)
    if trend.gain - free < enough:  # a tooth of a saw, or fragmentation, which is told apart below
        return (ended("free in malloc", f"malloc has {free / 1e6:.1f} MB of it free again"),)
    return ()


def inner_free(evidence: Evidence) -> Floats:
    """Bytes free inside malloc's heap, below its top: what can't go back to the system by itself."""
    return evidence.ledger("malloc_free_bytes") - evidence.ledger("malloc_top_bytes")


def settled_gain(values: Floats) -> float:
    """From the beginning to the end, by medians of three: a burst that happens to be caught says nothing."""
    return float(np.median(values[-3:]) - np.median(values[:3])) if len(values) >= 3 else 0.0


def fragmentation(evidence: Evidence) -> list[Verdict]:
    """The process grew while what is in use did not: the rest is free, and pinned by what lies above it.

    It may have stopped growing: bursts of one size find room in the holes that earlier ones left.
    """
    if len(evidence.seconds) < 2 * trends.POINTS_MIN or not evidence.ledger("malloc_free_bytes").any():
        return []
    values, free = resident(evidence), inner_free(evidence)
    grown = settled_gain(values)
    if grown <= 0:
        return []
    trend = trends.trend(evidence.seconds, np.maximum.accumulate(values))
    return [
        Verdict(
            "fragmentation",
            "",
            0.95,
            f"the process grew by {grown / 1e6:.1f} MB that malloc holds free but can't give back: "
            "something small and long-lived lies above",
            "Call malloc_trim(0) (ctypes) after bursts, make the bursts smaller, or use jemalloc.",
            evidence.seconds,
            values,
            trend,
            weight=grown,
            is_in_bytes=True,
            detector="memory",
            spared=frozenset(("no growth", "few more", "slowing", "settling")),
            doubts=_doubts_of_fragmentation(evidence, values, free, grown),
        )
    ]


def _doubts_of_fragmentation(evidence: Evidence, values: Floats, free: Floats, grown: float) -> tuple[Doubt, ...]:
    """What the figures themselves say against fragmentation, the first of these."""
    policy, used = evidence.policy, evidence.ledger("malloc_in_use_bytes")
    enough = max(policy.fragmented_bytes, policy.fragmented_of_resident * float(evidence.ledger("rss_bytes")[-1]))
    if grown < enough:
        return (ended("small growth", f"{grown / 1e6:.1f} MB may be one burst, whose pages are used again"),)
    if trends.mann_kendall(values) > policy.p_value or trends.mann_kendall(free) > policy.p_value:
        return (ended("not rising", "what the process has, and what is free in it, do not rise together"),)
    if settled_gain(free) < policy.objects_explain * grown:
        return (
            ended("not free", f"{settled_gain(free) / 1e6:.1f} MB of that are free below the top of malloc's heap"),
        )
    if settled_gain(np.minimum.accumulate(used[::-1])[::-1]) > policy.used_share * grown:
        return (ended("in use", "what malloc has given out grew, too"),)
    if object_bytes(evidence) > policy.used_share * grown:
        return (ended("objects explain it", f"the objects of the heap grew by {object_bytes(evidence) / 1e6:.1f} MB"),)
    return ()
