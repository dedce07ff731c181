"""Verdict rules, in order: each looks at the evidence of one process and accuses, or keeps silent.

Each rule has a reason that holds for programs nobody here wrote; the known and bounded are let pass.
"""

from __future__ import annotations

from collections.abc import Callable

from . import memory, native
from .buffers import growing_buffers
from .evidence import Evidence
from .rule_frontier import growing_classes
from .rule_garbage import waiting_garbage
from .rule_holders import growing_holders
from .rule_outside import held_from_outside
from .rule_unseen import unseen_objects
from .verdicts import Verdict

__all__ = ["RULES", "growing_classes", "growing_holders", "held_from_outside", "judge", "waiting_garbage"]

Rule = Callable[[Evidence], list[Verdict]]
RULES: tuple[Rule, ...] = (
    growing_holders,
    growing_buffers,
    held_from_outside,
    waiting_garbage,
    growing_classes,
    unseen_objects,
    memory.native_growth,
    memory.fragmentation,
)
MEMORY_RULES = unseen_objects, memory.native_growth, memory.fragmentation


def judge(evidence: Evidence) -> list[Verdict]:
    """All verdicts on one process, the heaviest first; memory of no object only where objects do not explain it."""
    found: list[Verdict] = []
    for rule in RULES:
        if rule not in MEMORY_RULES:
            found.extend(rule(evidence))
    found = native.with_native_memory(evidence, found)
    for rule in MEMORY_RULES:
        if not memory.is_explained(evidence, found):
            found.extend(rule(evidence))
    return sorted(found, key=lambda verdict: -verdict.weight)
