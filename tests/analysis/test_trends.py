"""Trend tests: what grows and will go on, and what only looks as if."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from leakhunt.analysis.growth.trends import (
    FLAT,
    after_warm_up,
    mann_kendall,
    theil_sen,
    trend,
)

DICE = np.random.default_rng(4711)


def is_growth(values: object, seconds: object = None) -> bool:
    series = np.asarray(values, dtype=float)
    times = np.arange(len(series), dtype=float) if seconds is None else np.asarray(seconds, dtype=float)
    window = after_warm_up(times)
    return trend(times[window], series[window]).is_growth


STEPS = np.arange(20)
GROWING = {
    "a leak": STEPS * 10,
    "a slow leak in noise": STEPS * 5 + DICE.normal(0, 8, 20),
    "a leak in steps": STEPS // 3 * 10,
    "a leak beside a large stable population": 100_000 + STEPS * 3,
    "a leak that gets faster": STEPS**2,
    "a leak after a plateau": np.where(STEPS < 8, 0, (STEPS - 8) * 10),
    "four points of a leak": [0, 10, 20, 30],
}
STANDING = {
    "nothing": np.zeros(20),
    "a constant population": np.full(20, 500),
    "noise": DICE.normal(500, 20, 20),
    "a warm-up": np.where(STEPS < 4, STEPS * 100, 400),
    "a plateau reached in the middle": np.minimum(STEPS, 9) * 10,
    "a cache that fills ever more slowly": 1000 * (1 - np.exp(-STEPS / 3)),
    "a saw-tooth": STEPS % 5 * 100,
    "a saw-tooth that rises at the end": (STEPS + 1) % 7 * 100,
    "a queue that drains": 1000 - STEPS * 50,
    "a burst that drains": np.where(STEPS < 10, STEPS, 20 - STEPS) * 10,
    "a rise that once falls back by a third": np.where(STEPS < 14, STEPS * 10, STEPS * 10 - 60),
    "four points that rise by and large": [0, 5, 3, 10],
    "one jump at the end": np.where(STEPS == 19, 100, 0),
    "three points": [0, 10, 20],
    "one point": [5],
    "no point": [],
}


@pytest.mark.parametrize("name", GROWING)
def test_it_grows(name: str) -> None:
    assert is_growth(GROWING[name])


@pytest.mark.parametrize("name", STANDING)
def test_it_does_not_grow(name: str) -> None:
    assert not is_growth(STANDING[name])


def test_of_a_hundred_populations_that_only_jitter_hardly_one_grows() -> None:
    dice = np.random.default_rng(1)
    assert sum(is_growth(dice.normal(500, 30, 20)) for _ in range(100)) <= 5


def test_moments_need_not_be_evenly_spaced() -> None:
    seconds = np.cumsum(DICE.uniform(0.5, 20, 15))
    assert is_growth(3 * seconds, seconds)
    assert trend(seconds, 3 * seconds).slope == pytest.approx(3)


def test_no_two_points_are_flat() -> None:
    assert trend(np.array([1.0]), np.array([5.0])) == FLAT


def test_moments_at_one_time_have_no_slope() -> None:
    assert theil_sen(np.zeros(5), np.arange(5.0)) == 0.0


def test_the_warm_up_is_the_first_fifth_of_the_time() -> None:
    seconds = np.arange(11.0)
    assert seconds[after_warm_up(seconds)][0] == 2
    assert seconds[after_warm_up(seconds + 100)][0] == 2  # of the observed time


def test_a_short_series_keeps_four_points() -> None:
    seconds = np.array([0.0, 90, 95, 98, 100])
    assert len(seconds[after_warm_up(seconds)]) == 4
    assert len(seconds[:3][after_warm_up(seconds[:3])]) == 3


@pytest.mark.parametrize("values", list(itertools.permutations(range(5)))[::7])
def test_mann_kendall_is_the_share_of_orders_that_rise_as_much(values: tuple[int, ...]) -> None:
    def rise(order: tuple[int, ...]) -> int:
        return sum(int(b > a) - int(b < a) for a, b in itertools.combinations(order, 2))

    orders = list(itertools.permutations(values))
    share = sum(rise(order) >= rise(values) for order in orders) / len(orders)
    assert mann_kendall(np.array(values, dtype=float)) == pytest.approx(share)


def test_mann_kendall_says_nothing_of_two_points_or_of_equal_ones() -> None:
    assert mann_kendall(np.array([1.0, 2])) == 1.0
    assert mann_kendall(np.full(9, 3.0)) == 1.0


@pytest.mark.parametrize("seed", range(10))
def test_theil_sen_is_scipys(seed: int) -> None:
    dice = np.random.default_rng(seed)
    seconds = np.sort(dice.uniform(0, 100, 30))
    values = 2 * seconds + dice.normal(0, 10, 30)
    assert theil_sen(seconds, values) == pytest.approx(stats.theilslopes(values, seconds).slope)


def test_theil_sen_forgives_outliers() -> None:
    seconds, values = np.arange(20.0), 3 * np.arange(20.0)
    values[[3, 11]] = 10_000
    assert theil_sen(seconds, values) == pytest.approx(3, rel=0.05)


def test_theil_sen_of_very_many_points_takes_some_of_them() -> None:
    seconds = np.arange(100_000.0)
    assert theil_sen(seconds, 7 * seconds) == pytest.approx(7)


def test_of_growth_that_each_third_of_the_time_slows_the_last_is_compared_with_the_first() -> None:
    times = np.arange(13, dtype=float)
    assert trend(times, 400 * (1 - 0.5 ** (times / 4))).settling == pytest.approx(0.25)
    assert trend(times, times).settling == 1.0
    assert trend(times, times + 3 * (times == 6)).settling == 1.0
    assert trend(times, np.minimum(0, 8 - times)).settling == 1.0
    assert trend(times, np.minimum(times, 12 - times)).settling == 0.0
