import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.measure.exports.statistics import deviation, mean, percentiles

VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=60)


@given(VALUES)
def test_mean_and_deviation_agree_with_the_standard_library(values: list[float]):
    assert mean(values) == pytest.approx(statistics.fmean(values), abs=1e-6)
    assert deviation(values) == pytest.approx(statistics.pstdev(values), abs=1e-3)


def test_nothing_has_statistics_of_zero_and_no_percentile():
    assert mean([]) == deviation([]) == 0.0
    assert percentiles([], (50, 99), is_complete=True) == {}


@given(VALUES, st.booleans())
def test_a_percentile_is_one_that_the_samples_can_carry(values: list[float], is_complete: bool):
    found = percentiles(values, (50, 90, 95, 99), is_complete=is_complete)
    needed = {50: 7, 90: 44, 95: 90, 99: 459}
    assert set(found) == {p for p in needed if is_complete or len(values) >= needed[p]}
    assert list(found.values()) == sorted(found.values())
    assert all(
        min(values) <= v <= max(values) or math.isclose(v, max(values)) for v in found.values()
    )


def test_between_ranks_as_numpy_does():
    assert percentiles([1.0, 2.0, 4.0], (50, 75), is_complete=True) == {50: 2.0, 75: 3.0}
