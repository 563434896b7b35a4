"""Whether a series moved over time: its slope, and where its level changed, by ranks and medians.

Nothing here assumes a distribution: one stalled window moves nothing. Slope: H. Theil (1950) and
P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63 (1968); its
chance by Kendall's test. Change of level: A. N. Pettitt, "A non-parametric approach to the
change-point problem", Applied Statistics 28 (1979). Both chances are those of one look at values
that do not depend on each other, which medians over windows nearly are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median


@dataclass(frozen=True, slots=True)
class Slope:
    """Units of the value for each unit of time, and how often chance would show as clear a one."""

    value: float
    chance: float


@dataclass(frozen=True, slots=True)
class Level:
    """The most telling change of level.

    Attributes:
        place: index of the first value after it.
        before, after: medians on both sides.
        chance: how often a series without any change would show as much, at most.
    """

    place: int
    before: float
    after: float
    chance: float


def find_slope(times: Sequence[float], values: Sequence[float]) -> Slope:
    """The median slope between any two points; time rises strictly, two points at least."""
    pairs = list(combinations(zip(times, values, strict=True), 2))
    slopes = [(later - early) / (end - begin) for (begin, early), (end, later) in pairs]
    excess = sum((slope > 0) - (slope < 0) for slope in slopes)
    return Slope(median(slopes), _kendall_chance(excess, values))


def _kendall_chance(excess: int, values: Sequence[float]) -> float:
    """Of as many rising pairs more than falling ones, or more; equal values are allowed for."""
    count = len(values)
    spread = float(count * (count - 1) * (2 * count + 5))
    for value in set(values):
        ties = values.count(value)
        spread -= ties * (ties - 1) * (2 * ties + 5)
    if spread <= 0.0 or excess == 0:
        return 1.0
    deviations = (abs(excess) - 1) / math.sqrt(spread / 18.0)
    return math.erfc(deviations / math.sqrt(2.0))


def find_level(values: Sequence[float]) -> Level:
    """The split into earlier and later values that tells most, either way; two at least."""
    strength, strongest, place = 0, 0, 1
    for split, value in enumerate(values[:-1], start=1):
        strength += sum((other > value) - (other < value) for other in values)
        if abs(strength) > abs(strongest):
            strongest, place = strength, split
    count = len(values)
    chance = min(1.0, 2.0 * math.exp(-6.0 * strongest**2 / (count**3 + count**2)))
    return Level(place, median(values[:place]), median(values[place:]), chance)


def window_medians(
    times: Sequence[float], values: Sequence[float], windows: int
) -> tuple[list[float], list[float]]:
    """Middles and medians of so many windows of equal length; windows without a value are left out.

    Times rise, though not strictly.
    """
    if not times or times[-1] <= times[0]:
        return [], []
    begin, width = times[0], (times[-1] - times[0]) / windows
    held: list[list[float]] = [[] for _ in range(windows)]
    for time, value in zip(times, values, strict=True):
        held[min(windows - 1, int((time - begin) / width))].append(value)
    filled = [place for place, found in enumerate(held) if found]
    return [begin + (place + 0.5) * width for place in filled], [median(held[p]) for p in filled]
