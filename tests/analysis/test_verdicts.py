"""How sure a growing series makes us, and what each doubt takes off it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from heap import Heap

from leakhunt.analysis.doubt import Doubt, ended
from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.growth.trends import Trend
from leakhunt.analysis.policy import POLICY
from leakhunt.analysis.rules.doubts import doubted
from leakhunt.analysis.rules.verdicts import Verdict

SURE = Trend(points=12, gain=120.0, slope=2.0, p_value=1e-5, later_share=1.0, drawdown=0.0, steady=1.0)
NEVER = np.empty(0)


def candidate(trend: Trend, survival: float = 1.0, certainty: float = POLICY.certainty) -> Verdict:
    return Verdict("python-leak", "shop.Order", certainty, "", "", NEVER, NEVER, trend, survival=survival)


def confidence(trend: Trend, survival: float = 1.0, certainty: float = POLICY.certainty) -> float:
    """What the doubts leave of a candidate of a program that was watched for long enough."""
    evidence = Evidence([Heap().snapshot(elapsed=500.0)])
    (weighed,) = doubted(evidence, [candidate(trend, survival, certainty)])
    return weighed.confidence


def test_a_long_steady_series_that_loses_nothing_is_sure() -> None:
    assert confidence(SURE) >= 0.95


@pytest.mark.parametrize(
    ("weaker", "name"),
    [
        ({"points": 5}, "few looks"),
        ({"points": 8}, "few looks"),
        ({"gain": 9.0}, "few objects"),
        ({"steady": 0.5}, "unsteady"),
        ({"later_share": 0.4}, "slowing"),
        ({"drawdown": 0.2}, "falling"),
        ({"settling": 0.5}, "settling"),
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_weakness_is_a_doubt_and_makes_it_less_sure(weaker: dict[str, float], name: str) -> None:
    evidence = Evidence([Heap().snapshot(elapsed=500.0)])
    (found,) = doubted(evidence, [candidate(replace(SURE, **weaker))])
    assert [doubt.name for doubt in found.doubts] == [name]
    assert found.confidence < confidence(SURE)


def test_what_loses_a_third_of_its_old_ones_is_no_accusation() -> None:
    assert confidence(SURE, survival=0.67) < POLICY.accuse_at


def test_no_detector_is_surer_than_it_says() -> None:
    assert confidence(SURE, certainty=0.8) <= 0.8


def test_confidence_stays_between_its_ends() -> None:
    worst = Trend(4, 8.0, 0.1, 0.05, 0.3, 0.25, 0.3)
    assert 0.0 < confidence(worst, survival=0.1) <= confidence(SURE) < 1.0


def test_of_a_process_seen_for_a_short_while_nothing_is_sure_but_what_is_a_leak_at_any_age() -> None:
    evidence = Evidence([Heap().snapshot(elapsed=30.0)])
    plain, timeless = doubted(evidence, [candidate(SURE), replace(candidate(SURE), spared=frozenset(("young",)))])
    assert plain.confidence < POLICY.accuse_at <= timeless.confidence
    assert [doubt.name for doubt in plain.doubts] == ["young"]


def test_what_is_ended_is_worth_nothing_and_keeps_all_its_doubts() -> None:
    seen = candidate(SURE).doubted(Doubt("few looks", "seen twice", less=0.1)).doubted(ended("bounded", "at most 10"))
    weighed = seen.weighed(POLICY)
    assert weighed.is_ended and weighed.confidence == 0.0 and weighed.certainty == POLICY.certainty
    assert [doubt.name for doubt in weighed.doubts] == ["few looks", "bounded"]


def test_a_doubt_that_is_another_explanation_is_told_with_the_reason() -> None:
    stacks = Doubt("on a stack", "greenlets have them", at_most=0.7, is_alternative=True)
    assert replace(candidate(SURE), reason="10 more").doubted(stacks).weighed(POLICY).reason == (
        "10 more, unless greenlets have them"
    )
