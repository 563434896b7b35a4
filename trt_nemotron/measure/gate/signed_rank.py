"""By how much one of two things is larger, from pairs alone: the exact signed-rank interval.

If A and B do not differ, each difference of a pair is as likely to be positive as negative, because
a fair coin said which of the two was measured first. So all 2^n patterns of signs are equally
likely, whatever the noise looks like and however it drifts, and their number is counted, not
approximated. What is summed are the ranks of the differences, not the differences themselves: one
stalled run then costs one pair, not the verdict.

Method: F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1 (1945); the
interval by inverting the test is that of Hodges and Lehmann and of Tukey, e.g.
https://en.wikipedia.org/wiki/Hodges%E2%80%93Lehmann_estimator.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shift:
    """The centre of the differences, between its limits; infinite where the pairs give none."""

    estimate: float
    low: float
    high: float
    pairs: int


def shift_of(differences: Sequence[float], *, low_miss: float, high_miss: float) -> Shift:
    """The centre of `differences` (at least one, all finite).

    Args:
        differences: one of each pair.
        low_miss: how often, at most, the lower limit may lie over the true centre.
        high_miss: the same for the upper limit lying under it.
    """
    averages = sorted(
        (one + other) / 2.0
        for one, other in itertools.combinations_with_replacement(differences, 2)
    )
    count, pairs = len(averages), len(differences)
    low, high = _rank(pairs, low_miss), _rank(pairs, high_miss)
    return Shift(
        estimate=(averages[(count - 1) // 2] + averages[count // 2]) / 2.0,
        low=averages[low - 1] if low else -math.inf,
        high=averages[count - high] if high else math.inf,
        pairs=pairs,
    )


def fewest_pairs(miss: float) -> int:
    """Pairs from which on there is a limit at all: one sign pattern of 2^n is rare enough."""
    return math.ceil(-math.log2(miss) - 1e-9)


@functools.lru_cache(maxsize=256)
def _rank(pairs: int, miss: float) -> int:
    """Which of the sorted pairwise averages is the limit, from outside; 0 for none."""
    allowed = miss * 2.0**pairs * (1.0 + 1e-12)
    total = 0
    for place, ways in enumerate(_rank_sums(pairs)):
        total += ways
        if total > allowed:
            return place
    return len(_rank_sums(pairs))


@functools.lru_cache(maxsize=64)
def _rank_sums(pairs: int) -> tuple[int, ...]:
    """How many of the 2^n patterns of signs give each sum of the positive ranks."""
    ways = [1]
    for rank in range(1, pairs + 1):
        longer = [*ways, *([0] * rank)]
        for total, count in enumerate(ways):
            longer[total + rank] += count
        ways = longer
    return tuple(ways)
