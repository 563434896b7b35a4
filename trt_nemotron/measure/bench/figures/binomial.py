"""The share of good ones among so many, with limits that hold for any number of them.

The limits are exact (C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits
illustrated in the case of the binomial", Biometrika 26, 1934): no normal approximation, which is
wrong just where a goal lies, near 100 %.
"""

import math
from dataclasses import dataclass

from trt_nemotron.measure.bench.figures.percentiles import CONFIDENCE

_HALVINGS = 60
"""Of the interval from 0 to 1: finer than a double can tell."""
_NOTHING = 1e-18


@dataclass(frozen=True, slots=True)
class Share:
    """A share and its limits, each of which holds with the confidence asked for; 0.0 to 1.0."""

    value: float
    low: float
    high: float


def share_of(hits: int, trials: int, confidence: float = CONFIDENCE) -> Share | None:
    """`hits` of `trials` with exact limits; nothing of no trials."""
    if trials <= 0:
        return None
    miss = 1.0 - confidence
    # The lower limit is the chance with which as many hits are just too lucky to be believed.
    low = _solve(trials - hits, trials, miss) if hits else 1.0
    high = _solve(hits, trials, miss) if hits < trials else 1.0
    return Share(value=hits / trials, low=1.0 - low, high=high)


def chance_of_at_most(hits: int, trials: int, chance: float) -> float:
    """P(binomial <= hits), summed from `hits` down until the terms are nothing."""
    if hits >= trials or chance <= 0.0:
        return 1.0
    if chance >= 1.0 or hits < 0:
        return 0.0
    if hits > trials * chance:
        # Above the mean the few terms of the other side are summed.
        return 1.0 - chance_of_at_most(trials - hits - 1, trials, 1.0 - chance)
    total, log_chance, log_other = 0.0, math.log(chance), math.log1p(-chance)
    ways_of_all = math.lgamma(trials + 1)
    for k in range(hits, -1, -1):
        ways = ways_of_all - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        part = math.exp(ways + k * log_chance + (trials - k) * log_other)
        total += part
        if part < _NOTHING:
            break
    return min(1.0, total)


def _solve(hits: int, trials: int, miss: float) -> float:
    """The chance at which no more than `hits` come with probability `miss`: falls as it grows."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if chance_of_at_most(hits, trials, middle) > miss:
            low = middle
        else:
            high = middle
    return high
