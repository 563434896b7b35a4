import random

import pytest

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.figures.percentiles import percentile
from trt_nemotron.measure.gate.tail import chance_to_fail, requests_to_fail


@pytest.mark.parametrize(
    ("quantile", "share", "count"), [(0.99, 0.02, 1900), (0.99, 0.03, 760), (0.5, 0.8, 40)]
)
def test_the_count_has_the_power_it_claims(quantile: float, share: float, count: int):
    rng = random.Random(3)
    needed = requests_to_fail(quantile, share)
    assert count * 0.7 < needed < count * 1.4
    found = 0
    for _ in range(400):
        over = sum(rng.random() < share for _ in range(needed))
        low = percentile([1.0] * (needed - over) + [3.0] * over, quantile).low
        found += low is not None and low > 2.0
    assert found / 400 >= 0.92
    assert found / 400 == pytest.approx(chance_to_fail(needed, quantile, share), abs=0.04)


def test_more_power_and_a_nearer_bound_take_more_requests():
    assert requests_to_fail(0.99, 0.02, 0.99) > requests_to_fail(0.99, 0.02, 0.8)
    assert requests_to_fail(0.99, 0.015) > requests_to_fail(0.99, 0.02)


@pytest.mark.parametrize(("requests", "share"), [(459, 0.01), (5000, 0.01), (459, 0.0)])
def test_a_bound_that_is_kept_is_hardly_ever_found_missed(requests: int, share: float):
    assert 0.0 <= chance_to_fail(requests, 0.99, share) <= 0.01


def test_when_all_lie_over_the_bound_it_is_always_found():
    assert chance_to_fail(459, 0.99, 1.0) == 1.0
    assert requests_to_fail(0.99, 1.0) == 459


def test_too_few_requests_find_nothing():
    assert chance_to_fail(3, 0.5, 0.9) == 0.0


@pytest.mark.parametrize(
    ("share", "power"), [(0.01, 0.95), (0.005, 0.95), (1.5, 0.9), (0.02, 0.0), (0.02, 1.0)]
)
def test_what_misses_no_bound_is_refused(share: float, power: float):
    with pytest.raises(InvalidInput):
        requests_to_fail(0.99, share, power)


def test_a_share_that_may_lie_over_the_bound_misses_nothing():
    with pytest.raises(InvalidInput, match="does not miss a p50"):
        requests_to_fail(0.5, 0.5)


def test_what_a_million_requests_do_not_tell_is_refused():
    with pytest.raises(InvalidInput, match="a million"):
        requests_to_fail(0.99, 0.0101)
