"""A soak: whether latency moved over minutes and hours, by medians over windows of time."""

from collections.abc import Iterator, Sequence

from trt_nemotron.measure.bench.figures.drift import Drift, DriftingName
from trt_nemotron.measure.bench.figures.request_figures import RequestFigures
from trt_nemotron.measure.bench.figures.trend import find_level, find_slope, window_medians
from trt_nemotron.measure.bench.leg import Leg

WINDOWS = 30
"""Enough for ranks to tell, few enough that each holds many requests."""
FEWEST_WINDOWS = 10
"""Below which no series is clear enough to speak of."""
FEWEST_SECONDS = 60.0
"""A shorter leg is no soak; thirds of it are compared instead, see `stability`."""
FEWEST_REQUESTS = 5 * WINDOWS
MOST_CHANCE = 0.001
"""Of each of the two findings, for each of two figures."""
LEAST_CHANGE = 0.10
"""Share of the level below which a movement is no finding, however clear."""
_S_PER_HOUR = 3600.0


def find_drifts(figures: Sequence[RequestFigures]) -> tuple[Drift, ...]:
    """How TTFT and TPOT moved; nothing for a leg that is too short or has too few requests."""
    ordered = sorted(figures, key=lambda figure: figure.first_ns)
    if len(ordered) < FEWEST_REQUESTS:
        return ()
    times = [figure.first_ns / 1e9 for figure in ordered]
    if times[-1] - times[0] < FEWEST_SECONDS:
        return ()
    return tuple(_drifts(ordered, times))


def _drifts(ordered: Sequence[RequestFigures], times: Sequence[float]) -> Iterator[Drift]:
    names: tuple[DriftingName, ...] = ("ttft_ms", "tpot_ms")
    for name in names:
        known = [
            (at, value)
            for at, figure in zip(times, ordered, strict=True)
            if (value := getattr(figure, name)) is not None
        ]
        middles, medians = window_medians([at for at, _ in known], [v for _, v in known], WINDOWS)
        if len(medians) >= FEWEST_WINDOWS:
            yield _drift(name, middles, medians)


def _drift(name: DriftingName, middles: Sequence[float], medians: Sequence[float]) -> Drift:
    slope, level = find_slope(middles, medians), find_level(medians)
    moved = abs(slope.value) * (middles[-1] - middles[0])
    least = LEAST_CHANGE * min(medians[0], medians[-1], level.before, level.after)
    is_trend = slope.chance <= MOST_CHANCE and moved > least
    is_change = level.chance <= MOST_CHANCE and abs(level.after - level.before) > least
    return Drift(
        figure=name,
        windows=len(medians),
        per_hour_ms=slope.value * _S_PER_HOUR,
        trend_chance=slope.chance,
        change_s=middles[level.place] - middles[0] if level.chance < 1.0 else -1.0,
        before_ms=level.before,
        after_ms=level.after,
        change_chance=level.chance,
        is_found=is_trend or is_change,
    )


def soak_notes(leg: Leg, drifts: Sequence[Drift]) -> Iterator[str]:
    """One sentence for each figure that moved."""
    for drift in drifts:
        if drift.is_found:
            yield (
                f"{leg.title}: {drift.figure.removesuffix('_ms').upper()} moved over the soak, by "
                f"{drift.per_hour_ms:+.3g} ms an hour; most of all after {drift.change_s:.0f} s, "
                f"from {drift.before_ms:.3g} to {drift.after_ms:.3g} ms"
            )
