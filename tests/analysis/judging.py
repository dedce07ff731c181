"""The rules at work on snapshots made by hand."""

from __future__ import annotations

from collections.abc import Sequence

from leakhunt.analysis.evidence import Evidence
from leakhunt.analysis.rules import judge
from leakhunt.analysis.verdicts import Verdict
from leakhunt.pipeline import ACCUSE_AT
from leakhunt.snapshot import Snapshot


def accused(snapshots: Sequence[Snapshot]) -> list[Verdict]:
    """The verdicts that are sure enough to be accusations, the heaviest first."""
    return [verdict for verdict in judge(Evidence(snapshots)) if verdict.confidence >= ACCUSE_AT]


def told(snapshots: Sequence[Snapshot]) -> list[tuple[str, str, str | None]]:
    """(kind, class, owner) of each accusation."""
    return [(verdict.kind, verdict.type, verdict.owner) for verdict in accused(snapshots)]
