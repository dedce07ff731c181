"""How sure a growing series makes us."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leakhunt.analysis.growth import Trend
from leakhunt.analysis.verdicts import confidence

SURE = Trend(points=12, gain=120.0, slope=2.0, p_value=1e-5, later_share=1.0, drawdown=0.0, steady=1.0)


def test_a_long_steady_series_that_loses_nothing_is_sure() -> None:
    assert confidence(SURE) >= 0.95


@pytest.mark.parametrize(
    "weaker",
    [
        {"points": 5},
        {"points": 8},
        {"gain": 9.0},
        {"steady": 0.5},
        {"later_share": 0.4},
        {"drawdown": 0.2},
        {"settling": 0.5},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_weakness_makes_it_less_sure(weaker: dict[str, float]) -> None:
    assert confidence(replace(SURE, **weaker)) < confidence(SURE)


def test_what_loses_a_third_of_its_old_ones_is_no_accusation() -> None:
    assert confidence(SURE, survival=0.67) < 0.75


def test_no_rule_is_surer_than_it_says() -> None:
    assert confidence(SURE, certainty=0.8) <= 0.8


def test_confidence_stays_between_its_ends() -> None:
    worst = Trend(4, 8.0, 0.1, 0.05, 0.3, 0.25, 0.3)
    assert 0.0 < confidence(worst, survival=0.1) <= confidence(SURE) < 1.0
