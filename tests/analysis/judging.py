"""The rules at work on snapshots made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.policy import POLICY
from leakhunt.analysis.rules.detectors import judge
from leakhunt.analysis.rules.verdicts import Verdict
from leakhunt.snapshot import Snapshot

AT_ANY_AGE = replace(POLICY, settled_intervals=0)  # the lives of these tests are short


def accused(snapshots: Sequence[Snapshot]) -> list[Verdict]:
    """The verdicts that are sure enough to be accusations, the heaviest first."""
    return [v for v in judge(Evidence(snapshots, policy=AT_ANY_AGE)) if v.confidence >= POLICY.accuse_at]


def told(snapshots: Sequence[Snapshot]) -> list[tuple[str, str, str | None]]:
    """(kind, class, owner) of each accusation."""
    return [(verdict.kind, verdict.type, verdict.owner) for verdict in accused(snapshots)]
