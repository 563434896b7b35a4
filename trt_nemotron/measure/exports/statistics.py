"""Statistics as numpy computes them by default, which is what other tools print."""

import math
from collections.abc import Mapping, Sequence

from trt_nemotron.measure.bench.figures.percentiles import interpolate, samples_needed


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean; 0.0 of nothing, as the tools have it."""
    return math.fsum(values) / len(values) if values else 0.0


def deviation(values: Sequence[float]) -> float:
    """Standard deviation of the values themselves (`ddof` 0); 0.0 of nothing."""
    if not values:
        return 0.0
    middle = mean(values)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / len(values))


def percentiles(
    values: Sequence[float], wanted: Sequence[int], *, is_complete: bool
) -> Mapping[int, float]:
    """Percentiles by linear interpolation; without `is_complete` only those with samples enough.

    Args:
        values: in any order.
        wanted: in percent.
        is_complete: give them all from however few samples, as other tools do.
    """
    ordered = sorted(values)
    return {
        percent: interpolate(ordered, percent / 100.0)
        for percent in wanted
        if ordered and (is_complete or len(ordered) >= samples_needed(percent / 100.0))
    }
