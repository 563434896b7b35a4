"""Percentiles with limits from ranks alone, and the number of samples below which there is none.

The number of samples under the true `q`-quantile is binomial, whatever the latencies look like, so
two order statistics enclose it with a known confidence. Where not even the largest sample lies over
the quantile with 99 % confidence, the percentile is refused: that takes 459 samples for p99, 90 for
p95, 44 for p90, 7 for p50, the figures of MLPerf LoadGen's early stopping
(https://github.com/mlcommons/inference, `loadgen/early_stopping.cc`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.99
"""With which each limit holds on its own; both together hold with 98 %."""


@dataclass(frozen=True, slots=True)
class Percentile:
    """One percentile of a sample.

    Attributes:
        value: the sample's own percentile; `None` when there are too few samples.
        low, high: limits of the true percentile, both `None` when the value is.
    """

    value: float | None
    low: float | None
    high: float | None


_ROUNDING = 1.0 + 1e-9
"""So that a probability that is exactly the limit is not taken for more than it."""

REFUSED = Percentile(None, None, None)


def percentile(ordered: Sequence[float], quantile: float) -> Percentile:
    """The percentile of sorted values with its limits, refused from too few."""
    count = len(ordered)
    if count < samples_needed(quantile):
        return REFUSED
    low, high = rank_limits(count, quantile)
    return Percentile(
        value=interpolate(ordered, quantile),
        low=ordered[max(low, 1) - 1],
        high=ordered[high - 1],
    )


def interpolate(ordered: Sequence[float], quantile: float) -> float:
    """Between neighbouring ranks, as numpy does by default; `ordered` is sorted and not empty."""
    position = quantile * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def samples_needed(quantile: float, confidence: float = CONFIDENCE) -> int:
    """Fewest samples of which the largest lies over the quantile with that confidence.

    `quantile ** n <= 1 - confidence`, and the same for its mirror image below the median.
    """
    outer = max(quantile, 1.0 - quantile)
    # The small allowance keeps an exact power (0.1 ** 2 and 99 %) from being rounded up.
    return math.ceil(math.log1p(-confidence) / math.log(outer) - 1e-9)


def rank_limits(count: int, quantile: float, confidence: float = CONFIDENCE) -> tuple[int, int]:
    """Ranks (1 is the smallest) of the order statistics that enclose the quantile.

    A lower rank of 0 or an upper rank of `count + 1` says that no sample is a limit on that side.
    """
    miss = 1.0 - confidence
    low = _unlikely_hits(count, quantile, miss) + 1
    high = count - _unlikely_hits(count, 1.0 - quantile, miss)
    return low, high


def _unlikely_hits(trials: int, chance: float, miss: float) -> int:
    """The largest k with P(binomial <= k) <= miss; -1 when even no hit at all is likelier.

    Starts ten standard deviations under the mean: what lies below is less than 1e-20.
    """
    spread = math.sqrt(trials * chance * (1.0 - chance))
    hits = max(0, math.floor(trials * chance - 10.0 * spread))
    total = 0.0
    while hits <= trials:
        total += _probability(trials, chance, hits)
        if total > miss * _ROUNDING:
            return hits - 1
        hits += 1
    return trials


def _probability(trials: int, chance: float, hits: int) -> float:
    ways = math.lgamma(trials + 1) - math.lgamma(hits + 1) - math.lgamma(trials - hits + 1)
    return math.exp(ways + hits * math.log(chance) + (trials - hits) * math.log1p(-chance))
