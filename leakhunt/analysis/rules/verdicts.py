"""What a detector yields: a candidate for an accusation, and what the doubts left of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from leakhunt.analysis.doubt import Doubt, weighed
from leakhunt.analysis.growth.evidence import Group
from leakhunt.analysis.growth.holders import Place
from leakhunt.analysis.growth.trends import Floats, Trend
from leakhunt.analysis.heap.graph import Ints
from leakhunt.analysis.policy import Policy

NONE = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Verdict:
    """A candidate: `confidence` is how sure its condition makes us, and later what `doubts` left of that `certainty`.

    `holder` is the container's index, -1 for none; `owner` its name in source or of an interpreter's table.
    `counts` are objects, or bytes where `is_in_bytes`. `objects` are all leaked objects, `direct` those that the
    holder refers to itself. `survival` is the share of early objects that are still there, where that was seen.
    `spared` are the names of doubts that do not concern a condition of this kind. `native_bytes` of the `weight` are
    memory of C code that grew with the objects.
    """

    kind: str
    type: str
    confidence: float
    reason: str
    advice: str
    seconds: Floats
    counts: Floats
    trend: Trend
    owner: str | None = None
    also_owned_by: tuple[str, ...] = ()
    holder: int = -1
    objects: Ints = field(default_factory=lambda: NONE)
    direct: Ints = field(default_factory=lambda: NONE)
    weight: float = 0.0
    place: Place | None = None
    group: Group | None = None
    is_in_bytes: bool = False
    native_bytes: float = 0.0
    survival: float = 1.0
    detector: str = ""
    doubts: tuple[Doubt, ...] = ()
    spared: frozenset[str] = frozenset()
    certainty: float = 0.0

    @property
    def is_ended(self) -> bool:
        """Whether a doubt says that it is no leak of its own."""
        return any(doubt.is_end for doubt in self.doubts)

    def doubted(self, doubt: Doubt) -> Verdict:
        """The candidate with one doubt more."""
        return replace(self, doubts=(*self.doubts, doubt))

    def weighed(self, policy: Policy) -> Verdict:
        """The candidate with the confidence that its doubts leave, the reason naming those that limit it."""
        unless = "".join(f", unless {d.sentence}" for d in self.doubts if d.is_alternative)
        left = weighed(self.confidence, self.doubts, policy.least)
        return replace(self, certainty=self.confidence, confidence=left, reason=self.reason + unless)
