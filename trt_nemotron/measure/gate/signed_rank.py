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

import fractions
import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

_ROUNDING = fractions.Fraction(1, 10**12)
"""So that a rate which is exactly that of an outcome allows it."""
_COUNT_BYTES = 16
_EXACT_PAIRS = 120
"""Up to here every count is exact; for more pairs it is so but for one part in 10^27, which is
counted against the limits."""


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
    bits = min(pairs, _EXACT_PAIRS)
    allowed = math.floor(fractions.Fraction(miss) * (1 + _ROUNDING) * 2**bits)
    sums = _rank_sums(pairs)
    total = (pairs - bits) * len(sums)  # what halving can have lost, all of it counted against us
    for place, ways in enumerate(sums):
        total += ways
        if total > allowed:
            return place
    return len(sums)


@functools.lru_cache(maxsize=16)
def _rank_sums(pairs: int) -> tuple[int, ...]:
    """How many of the 2^n patterns of signs give each sum of the positive ranks.

    The product of all (1 + x^rank), with a power of two for x that no count reaches: each factor is
    one shift and one sum of one long number. From `_EXACT_PAIRS` on every count is halved with each
    further rank and rounded down, by less than one each time.
    """
    count = pairs * (pairs + 1) // 2 + 1
    halves = int.from_bytes((b"\xff" * (_COUNT_BYTES - 1) + b"\x7f") * count, "little")
    packed = 1
    for rank in range(1, pairs + 1):
        packed += packed << (8 * _COUNT_BYTES * rank)
        if rank > _EXACT_PAIRS:
            packed = (packed >> 1) & halves
    data = packed.to_bytes(_COUNT_BYTES * count, "little")
    return tuple(
        int.from_bytes(data[place : place + _COUNT_BYTES], "little")
        for place in range(0, len(data), _COUNT_BYTES)
    )
