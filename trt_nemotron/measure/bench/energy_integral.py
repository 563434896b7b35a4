"""From readings over time to joules: power summed by its times, or a counter's rise. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

LONGEST_GAP_S = 2.0
"""Without a reading for longer, nobody knows what was drawn."""
FEWEST_SAMPLES = 3
_NS_PER_S = 1e9


@dataclass(frozen=True, slots=True)
class Span:
    """Two moments of the wall clock, in nanoseconds."""

    begin_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.end_ns - self.begin_ns) / _NS_PER_S


def joules_of_power(times_ns: Sequence[int], watts: Sequence[float], span: Span) -> float:
    """The integral over `span`: straight between readings, level before the first and after the
    last.

    `times_ns` rise strictly; see `find_gap` for what must hold before.
    """
    held = list(zip(times_ns, watts, strict=True))
    held = [(min(span.begin_ns, held[0][0]), held[0][1]), *held]
    held.append((max(span.end_ns, held[-1][0]), held[-1][1]))
    total = 0.0
    for (begin, first), (end, last) in pairwise(held):
        low, high = max(begin, span.begin_ns), min(end, span.end_ns)
        if low < high:
            slope = (last - first) / (end - begin)
            mean = first + slope * ((low + high) / 2 - begin)
            total += mean * (high - low) / _NS_PER_S
    return total


def watts_of_counter(
    times_ns: Sequence[int], microjoules: Sequence[int], most: int
) -> tuple[list[int], list[float]]:
    """Mean power between neighbouring readings of a counter that begins anew after `most`."""
    middles, watts = [], []
    for (begin, first), (end, last) in pairwise(zip(times_ns, microjoules, strict=True)):
        risen = last - first if last >= first else last + most + 1 - first
        middles.append((begin + end) // 2)
        watts.append(risen * 1e3 / (end - begin))
    return middles, watts


def find_gap(times_ns: Sequence[int], span: Span) -> str:
    """Why the readings do not cover the span; empty when they do."""
    inside = [time for time in times_ns if span.begin_ns <= time <= span.end_ns]
    if len(inside) < FEWEST_SAMPLES:
        return f"{len(inside)} readings in {span.seconds:.1f} s, {FEWEST_SAMPLES} are needed"
    edges = [span.begin_ns, *inside, span.end_ns]
    longest = max(later - earlier for earlier, later in pairwise(edges)) / _NS_PER_S
    if longest > LONGEST_GAP_S:
        return f"no reading for {longest:.1f} s"
    return ""
