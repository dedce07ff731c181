"""The judgement on one process: who is accused, what is worth watching, whether enough was seen to call it healthy."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.growth.trends import POINTS_MIN
from leakhunt.analysis.policy import Policy
from leakhunt.analysis.rules.detectors import DETECTORS, Detector, judge
from leakhunt.analysis.rules.verdicts import Verdict

from . import to_findings


class Judgement:
    """All candidates on one process and what follows from them."""

    def __init__(self, evidence: Evidence, detectors: Sequence[Detector] = DETECTORS) -> None:
        self.evidence, self._policy = evidence, evidence.policy
        self.candidates = judge(evidence, detectors) if len(evidence.censuses) > 1 else []

    @functools.cached_property
    def accused(self) -> list[Verdict]:
        """The candidates that are sure enough, in the order of `rank`."""
        sure = [v for v in self.candidates if v.confidence >= self._policy.accuse_at]
        return sorted(
            sure, key=lambda v: rank(v.confidence, to_findings.retained_bytes(self.evidence, v), self._policy)
        )

    @property
    def watched(self) -> list[Verdict]:
        """The candidates that are worth a note, but no accusation."""
        return [v for v in self.candidates if self._policy.note_at <= v.confidence < self._policy.accuse_at]

    @property
    def is_enough(self) -> bool:
        """Whether so much was seen of the process that it can be called healthy."""
        evidence, policy = self.evidence, self._policy
        seen = len(evidence.censuses) >= policy.censuses and len(evidence.deep) >= POINTS_MIN
        return seen and evidence.intervals >= policy.settled_intervals

    @property
    def needed_seconds(self) -> float:
        """For how long to watch such a process for a judgement."""
        last = self.evidence.snapshots[-1]
        needed, lasted = 3.0 * self._policy.censuses * last.number("interval", 5.0), last.number("elapsed")
        return 2.0 * lasted if lasted >= needed or (self.watched and self.is_enough) else needed


def rank(confidence: float, retained_bytes: int, policy: Policy) -> tuple[bool, int]:
    """Key to sort accusations by: the sure ones first, and of those as sure the one that keeps more alive."""
    return confidence < policy.sure_at, -retained_bytes


def suspect(verdict: Verdict) -> str:
    """How a candidate that is not accused is spoken of."""
    return f"{verdict.type or verdict.kind} in {verdict.owner or 'no holder'}"
