"""Whether figures still moved while they were taken: too short a warm-up, a throttling device."""

import math
from collections.abc import Sequence

from trt_nemotron.measure.bench.figures.request_figures import RequestFigures, measure_request
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import RequestRecord

FEWEST_REQUESTS = 24
"""Good requests below which thirds are too small to tell a drift from noise."""
_LEAST_RATIO = 1.10
_LEAST_Z = 3.0


def drift_notes(
    leg: Leg,
    records: Sequence[RequestRecord],
    measured: Sequence[RequestFigures] | None = None,
) -> tuple[str, ...]:
    """A sentence for TTFT and for TPOT when the last third differs from the first third.

    By the rank-sum test at three standard deviations, and only when the medians differ by 10 %:
    large runs show differences that mean nothing. `measured` are the figures of the good requests
    among `records`, in their order, where those were measured already.
    """
    good = [r for r in records if r.leg == leg and r.gives_figures]
    if len(good) < FEWEST_REQUESTS:
        return ()
    found = measured or [measure_request(record) for record in good]
    order = sorted(range(len(good)), key=lambda place: good[place].sent_ns)
    figures = [found[place] for place in order]
    series = {
        "TTFT": [figure.ttft_ms for figure in figures],
        "TPOT": [figure.tpot_ms for figure in figures if figure.tpot_ms is not None],
    }
    return tuple(
        f"{leg.title}: {name} drifted from {first:.3g} to {last:.3g} ms (medians of "
        f"the first and last third): the warm-up was too short, or the machine changed"
        for name, values in series.items()
        for first, last in [_drift(values)]
        if first != last
    )


def _drift(values: Sequence[float]) -> tuple[float, float]:
    """Medians of the first and last third, or the same number twice when they do not differ."""
    third = len(values) // 3
    if third * 3 < FEWEST_REQUESTS:
        return 0.0, 0.0
    first, last = values[:third], values[-third:]
    before, after = sorted(first)[third // 2], sorted(last)[third // 2]
    is_large = max(before, after) > _LEAST_RATIO * min(before, after)
    if is_large and abs(rank_sum_z(first, last)) >= _LEAST_Z:
        return before, after
    return 0.0, 0.0


def rank_sum_z(left: Sequence[float], right: Sequence[float]) -> float:
    """Mann-Whitney U of the two samples in standard deviations of its normal approximation."""
    wins = sum((x > y) + 0.5 * (x == y) for x in left for y in right)
    pairs = len(left) * len(right)
    deviation = math.sqrt(pairs * (len(left) + len(right) + 1) / 12.0)
    return (wins - pairs / 2.0) / deviation
