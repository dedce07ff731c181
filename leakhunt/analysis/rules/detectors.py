"""Judging one process: detectors yield candidates, doubts weigh them, and nothing is lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from leakhunt.analysis.growth.evidence import Evidence

from . import memory
from .buffers import growing_buffers
from .doubts import doubted
from .frontier import growing_classes
from .garbage import waiting_garbage
from .growing_holders import growing_holders
from .outside import held_from_outside
from .unseen import unseen_objects
from .verdicts import Verdict

__all__ = ["DETECTORS", "growing_classes", "growing_holders", "held_from_outside", "judge", "waiting_garbage"]

Detector = Callable[[Evidence], list[Verdict]]
# Memory comes last: it is doubted by what the others account for.
DETECTORS: tuple[Detector, ...] = (
    growing_holders,
    growing_buffers,
    held_from_outside,
    waiting_garbage,
    growing_classes,
    unseen_objects,
    memory.native_growth,
    memory.fragmentation,
)


def judge(evidence: Evidence, detectors: Sequence[Detector] = DETECTORS) -> list[Verdict]:
    """All candidates on one process with their doubts, those that are not ended first, the heaviest of them first."""
    found = doubted(evidence, [candidate for detector in detectors for candidate in detector(evidence)])
    return sorted(found, key=lambda verdict: (verdict.is_ended, -verdict.weight))
