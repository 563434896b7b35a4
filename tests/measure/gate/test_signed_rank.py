import itertools
import math
import random
from statistics import fmean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.measure.gate.signed_rank import fewest_pairs, shift_of

MISS = 1 / 32
SOUND = st.lists(st.floats(-1, 1), min_size=1, max_size=12)


def sign_flip_chance(differences: list[float], centre: float) -> float:
    """How often a pattern of signs sums as high ranks as the one seen: all 2^n, one by one."""
    moved = [value - centre for value in differences]
    order = sorted(range(len(moved)), key=lambda place: abs(moved[place]))
    ranks = {place: rank for rank, place in enumerate(order, 1)}
    seen = sum(ranks[place] for place, value in enumerate(moved) if value > 0)
    patterns = list(itertools.product((0, 1), repeat=len(moved)))
    sums = [
        sum(rank * on for rank, on in zip(ranks.values(), pattern, strict=True))
        for pattern in patterns
    ]
    return sum(total >= seen for total in sums) / len(patterns)


def test_five_pairs_are_the_fewest_for_one_in_32():
    assert fewest_pairs(MISS) == 5
    assert fewest_pairs(1 / 33) == 6
    assert fewest_pairs(0.01) == 7


def test_of_five_pairs_the_limits_are_the_extremes():
    shift = shift_of([0.5, 0.1, 0.3, 0.2, 0.9], low_miss=MISS, high_miss=MISS)
    assert (shift.low, shift.high, shift.pairs) == (0.1, 0.9, 5)
    assert shift.estimate == pytest.approx(0.35)


def test_four_pairs_give_no_limit_at_that_rate():
    shift = shift_of([1.0, 2.0, 3.0, 4.0], low_miss=MISS, high_miss=MISS)
    assert (shift.low, shift.high) == (-math.inf, math.inf)
    assert shift.estimate == 2.5


def test_each_limit_has_its_own_rate():
    values = [1.0, 2.0, 3.0, 4.0, 5.0]
    shift = shift_of(values, low_miss=MISS, high_miss=1e-9)
    assert (shift.low, shift.high) == (1.0, math.inf)
    shift = shift_of(values, low_miss=1e-9, high_miss=2 * MISS)
    assert (shift.low, shift.high) == (-math.inf, 4.5)


@given(st.lists(st.floats(-1, 1), min_size=5, max_size=9, unique=True), st.floats(0.01, 0.2))
def test_the_limit_is_where_flipping_all_signs_stops_being_rare(values: list[float], miss: float):
    low = shift_of(values, low_miss=miss, high_miss=miss).low
    if not math.isfinite(low):
        assert 2.0 ** -len(values) > miss
        return
    sums = {round((a + b) / 2, 12) for a, b in itertools.combinations_with_replacement(values, 2)}
    if len(sums) < len(values) * (len(values) + 1) // 2:
        return  # ties: the enumeration would have to break them
    assert sign_flip_chance(values, low - 1e-9) <= miss + 1e-12
    assert sign_flip_chance(values, low + 1e-9) > miss


@given(SOUND, st.floats(-5, 5))
def test_moving_all_differences_moves_the_interval(values: list[float], by: float):
    here = shift_of(values, low_miss=0.1, high_miss=0.1)
    there = shift_of([value + by for value in values], low_miss=0.1, high_miss=0.1)
    for name in ("estimate", "low", "high"):
        assert getattr(there, name) == pytest.approx(getattr(here, name) + by, abs=1e-9)


@given(SOUND)
def test_turning_all_differences_round_turns_the_interval_round(values: list[float]):
    here = shift_of(values, low_miss=0.1, high_miss=0.02)
    there = shift_of([-value for value in values], low_miss=0.02, high_miss=0.1)
    assert (there.low, there.high) == (-here.high, -here.low)
    assert here.low <= here.estimate <= here.high


def lognormal(rng: random.Random, count: int) -> list[float]:
    return [rng.lognormvariate(0, 0.5) for _ in range(count)]


def heavy(rng: random.Random, count: int) -> list[float]:
    return [rng.paretovariate(1.1) for _ in range(count)]


def autocorrelated(rng: random.Random, count: int) -> list[float]:
    level, series = 0.0, []
    for _ in range(count):
        level = 0.95 * level + rng.gauss(0, 0.1)
        series.append(math.exp(level))
    return series


def drifting(rng: random.Random, count: int) -> list[float]:
    return [(1 + 0.03 * place) * rng.lognormvariate(0, 0.02) for place in range(count)]


@pytest.mark.parametrize("noise", [lognormal, heavy, autocorrelated, drifting])
@pytest.mark.parametrize(("pairs", "miss"), [(8, 0.05), (20, 0.01)])
def test_coverage_is_what_it_says_whatever_the_noise(noise, pairs: int, miss: float):
    """Each run is noise times the true ratio; a fair coin says which of a pair is first."""
    rng, rounds, true = random.Random(7), 1500, math.log(1.05)
    missed_low = missed_high = 0
    for _ in range(rounds):
        series = noise(rng, 2 * pairs)
        differences = []
        for first, second in zip(series[::2], series[1::2], strict=True):
            a, b = (first, second) if rng.getrandbits(1) else (second, first)
            differences.append(math.log(b / a) + true)
        shift = shift_of(differences, low_miss=miss, high_miss=miss)
        missed_low += shift.low > true
        missed_high += shift.high < true
    spread = 3 * math.sqrt(miss / rounds)
    assert missed_low / rounds <= miss + spread
    assert missed_high / rounds <= miss + spread
    assert missed_low + missed_high > 0


def test_one_stalled_run_does_not_move_the_estimate_as_it_moves_the_mean():
    values = [0.05, 0.051, 0.049, 0.052, 0.048, 0.05, 0.05, 7.0]
    shift = shift_of(values, low_miss=0.01, high_miss=0.01)
    assert abs(shift.estimate - median(values)) < 0.01 < fmean(values) - median(values)
    assert shift.low > 0.04
