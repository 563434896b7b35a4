"""Whether pairs are pairs of their own: against the sums as they are written in a textbook."""

import itertools
import math
import random
from collections.abc import Sequence
from statistics import NormalDist, median

import pytest

from trt_nemotron.measure.gate.ab_dependence import MOST_DEPENDENCE, dependence


def by_the_book(losses: Sequence[float], reach: int) -> float:
    """Sum of all products of signed ranks at most `reach` apart, over its standard deviation."""
    apart = [loss - median(losses) for loss in losses]
    order = sorted(apart, key=abs)
    ranks = [
        (1 + order.index(each)) * (math.copysign(1.0, each) if each else 0.0) for each in apart
    ]
    products = [
        one * other
        for (place, one), (later, other) in itertools.combinations(enumerate(ranks), 2)
        if later - place <= reach
    ]
    squares = sum(product * product for product in products)
    return sum(products) / math.sqrt(squares) if squares else 0.0


@pytest.mark.parametrize("count", [2, 3, 7, 9, 10, 33, 34, 120])
@pytest.mark.parametrize("course", [0.0, 0.8])
def test_both_reaches_are_looked_at_and_the_higher_one_counts(count: int, course: float):
    for seed in range(12):
        rng = random.Random(seed)
        steps = [rng.gauss(0, 1) for _ in range(count)]
        losses = list(itertools.accumulate(steps, lambda level, step: course * level + step))
        expected = max(by_the_book(losses, 8), by_the_book(losses, 32))
        assert dependence(losses) == pytest.approx(expected)


def test_the_limit_is_passed_by_one_in_a_hundred_of_independent_pairs():
    assert pytest.approx(NormalDist().inv_cdf(0.99), abs=0.005) == MOST_DEPENDENCE


def test_independent_pairs_are_rarely_taken_for_dependent():
    rng = random.Random(2)
    high = sum(
        dependence([rng.gauss(0, 1) ** 3 for _ in range(60)]) > MOST_DEPENDENCE for _ in range(400)
    )
    assert high <= 14  # two in a hundred at most, two reaches together; 14 of 400 has chance 1 %


def test_neither_a_shift_nor_a_stall_is_taken_for_dependence():
    rng = random.Random(1)
    alone = [rng.gauss(0, 1) for _ in range(400)]
    assert abs(dependence(alone)) < MOST_DEPENDENCE
    assert dependence([value + 50.0 for value in alone]) == pytest.approx(
        dependence(alone), abs=0.1
    )
    assert abs(dependence([*alone[:200], 1e9, *alone[200:]])) < MOST_DEPENDENCE
    course = list(itertools.accumulate(alone, lambda level, step: 0.9 * level + step))
    assert dependence(course) > 4 * MOST_DEPENDENCE


def test_what_does_not_vary_depends_on_nothing():
    assert dependence([1.0]) == dependence([2.0, 2.0]) == 0.0
