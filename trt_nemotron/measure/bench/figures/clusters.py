"""Limits of a percentile of gaps that depend on each other: within a stream, and within a moment.

A slow request has many slow gaps, and one stall of the server is a gap of every stream at that
time. Limits by rank take each gap for a new finding and come out far too narrow. Here the spread of
the share of gaps under the percentile is taken between requests, and between stretches of time,
whichever is larger, and turned into ranks: R. S. Woodruff, "Confidence Intervals for Medians and
Other Position Measures", JASA 47 (1952). The limits are approximate, for many clusters; Student's t
widens them for few. Where they would reach past the samples they are the extremes, and with fewer
than `FEWEST_CLUSTERS` they are so always.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, chain, compress
from statistics import NormalDist

from trt_nemotron.measure.bench.figures.percentiles import (
    CONFIDENCE,
    Percentile,
    interpolate,
    samples_needed,
)
from trt_nemotron.measure.bench.figures.request_figures import RequestFigures

FEWEST_CLUSTERS = 8
STRETCHES = 30
"""Parts of equal length that a leg's time is cut into."""

Counts = Sequence[int]


class ClusteredGaps:
    """All gaps of some requests, sorted, and by which requests and times they belong together."""

    def __init__(self, figures: Sequence[RequestFigures]) -> None:
        held = [figure for figure in figures if figure.gaps_ms]
        self._gaps = list(chain.from_iterable([figure.gaps_ms for figure in held]))
        self.ordered = sorted(self._gaps)
        begin = min((figure.first_ns for figure in held), default=0)
        end = max((f.first_ns + sum(f.gaps_ms) * 1e6 for f in held), default=0)
        width_ms = max((end - begin) / 1e6 / STRETCHES, 1e-9)
        requests: list[int] = []
        stretches: list[int] = []
        for place, figure in enumerate(held):
            first_ms = (figure.first_ns - begin) / 1e6
            requests += [place] * len(figure.gaps_ms)
            stretches += _stretches(first_ms, figure.gaps_ms, width_ms)
        self._clusterings = [(places, Counter(places)) for places in (requests, stretches)]

    def percentile(self, quantile: float) -> Percentile:
        """The percentile with its limits, each with 99 % confidence; refused from too few gaps."""
        ordered = self.ordered
        if len(ordered) < samples_needed(quantile):
            return Percentile(None, None, None)
        value = interpolate(ordered, quantile)
        low, high = self._limits(value, quantile)
        return Percentile(value, min(low, value), max(high, value))

    def _limits(self, value: float, quantile: float) -> tuple[float, float]:
        count = len(self.ordered)
        # Gaps may share one value (a server's tick): the share under it is then not `quantile`.
        share = bisect_right(self.ordered, value) / count
        over = [gap > value for gap in self._gaps]
        spreads = [
            _spread(Counter(compress(clusters, over)), sizes, 1.0 - share, count)
            for clusters, sizes in self._clusterings
        ]
        if None in spreads:
            return self.ordered[0], self.ordered[-1]
        reach = max(spread for spread in spreads if spread is not None)
        low, high = math.floor((quantile - reach) * count), math.ceil((quantile + reach) * count)
        return self.ordered[max(low - 1, 0)], self.ordered[min(high, count - 1)]


def _stretches(first_ms: float, gaps_ms: Sequence[float], width_ms: float) -> list[int]:
    """In which stretch of the leg's time each gap of a request ended."""
    ends_ms = list(accumulate(gaps_ms, initial=first_ms))[1:]
    found: list[int] = []
    for stretch in range(int(first_ms / width_ms), STRETCHES - 1):
        until = bisect_left(ends_ms, (stretch + 1) * width_ms)
        found += [stretch] * (until - len(found))
        if until == len(ends_ms):
            return found
    return found + [STRETCHES - 1] * (len(ends_ms) - len(found))


def _spread(hits: Counter[int], sizes: Counter[int], share: float, count: int) -> float | None:
    """How far the share over the percentile may be from the truth, by what clusters show.

    `hits` and `sizes` are, of each cluster, its gaps over the percentile and all of them. Nothing
    when there are too few clusters to say. Of the share under it the same, but fewer are over it.
    """
    filled = len(sizes)
    if filled < FEWEST_CLUSTERS:
        return None
    squares = sum((hits[place] - share * sizes[place]) ** 2 for place in sorted(sizes))
    by_clusters = math.sqrt(squares * filled / (filled - 1)) / count
    by_chance = math.sqrt(share * (1.0 - share) / count)
    return student_t(CONFIDENCE, filled - 1) * max(by_clusters, by_chance)


def student_t(confidence: float, freedom: int) -> float:
    """The one-sided quantile of Student's t, by the expansion of Cornish and Fisher.

    Within 0.5 % from seven degrees of freedom on (Abramowitz and Stegun 26.7.5).
    """
    z = NormalDist().inv_cdf(confidence)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return sum(term / float(freedom) ** power for power, term in enumerate(terms))
