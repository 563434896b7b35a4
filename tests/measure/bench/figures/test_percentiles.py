"""Percentiles and their limits against independent formulas and by simulation."""

import math
import random
import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trt_nemotron.measure.bench.figures.percentiles import (
    CONFIDENCE,
    interpolate,
    percentile,
    rank_limits,
    samples_needed,
)

QUANTILES = (0.5, 0.9, 0.95, 0.99)
FINITE = st.floats(min_value=-1e9, max_value=1e9)


def exact_cumulative(trials: int, chance: Fraction, hits: int) -> Fraction:
    """P(binomial <= hits) in whole numbers, no floating point."""
    return sum(
        (math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(hits + 1)),
        Fraction(0),
    )


@pytest.mark.parametrize(("quantile", "count"), [(0.5, 7), (0.9, 44), (0.95, 90), (0.99, 459)])
def test_samples_needed_are_those_of_mlperf(quantile: float, count: int):
    assert samples_needed(quantile) == count
    assert percentile(list(range(count - 1)), quantile).value is None
    assert percentile(list(range(count)), quantile).value is not None


@settings(deadline=None)
@given(st.lists(FINITE, min_size=1, max_size=60), st.sampled_from(QUANTILES))
def test_interpolation_is_numpys(values: list[float], quantile: float):
    expected = float(np.percentile(values, quantile * 100))
    assert interpolate(sorted(values), quantile) == pytest.approx(expected, rel=1e-9, abs=1e-6)


@settings(deadline=None)
@given(st.lists(FINITE, min_size=7, max_size=60))
def test_value_lies_between_its_limits_and_the_median_is_the_median(values: list[float]):
    found = percentile(sorted(values), 0.5)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high
    assert found.value == pytest.approx(statistics.median(values))


@settings(deadline=None)
@given(st.integers(min_value=1, max_value=120), st.sampled_from(["1/2", "9/10", "19/20", "99/100"]))
def test_ranks_are_the_tightest_that_exact_arithmetic_allows(count: int, quantile: str):
    chance, miss = Fraction(quantile), 1 - Fraction(str(CONFIDENCE))
    low, high = rank_limits(count, float(chance))
    if low > 0:
        assert exact_cumulative(count, chance, low - 1) <= miss
    assert exact_cumulative(count, chance, low) > miss
    assert 1 - exact_cumulative(count, chance, high - 1) <= miss or high == count + 1
    if high > 1:
        assert 1 - exact_cumulative(count, chance, high - 2) > miss


@pytest.mark.slow
@pytest.mark.parametrize(("quantile", "count"), [(0.5, 7), (0.5, 100), (0.9, 60), (0.99, 700)])
def test_limits_cover_the_true_quantile_as_often_as_they_say(quantile: float, count: int):
    """Exponential samples, whose quantile is known; 99 % each side, four standard errors off."""
    rng = random.Random(20261123)
    rounds = 3000
    truth = -math.log(1 - quantile)
    low, high = rank_limits(count, quantile)
    under = over = 0
    for _ in range(rounds):
        ordered = sorted(rng.expovariate(1.0) for _ in range(count))
        under += low > 0 and ordered[low - 1] > truth
        over += high <= count and ordered[high - 1] < truth
    most = rounds * (1 - CONFIDENCE) + 4 * math.sqrt(rounds * (1 - CONFIDENCE) * CONFIDENCE)
    assert under <= most
    assert over <= most


def test_many_samples_do_not_underflow():
    low, high = rank_limits(1_000_000, 0.99)
    assert 0 < 990_000 - low < 400
    assert 0 < high - 990_000 < 400
