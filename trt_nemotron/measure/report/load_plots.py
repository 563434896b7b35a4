"""Figures over load: of one run, or of several runs over each other."""

from collections.abc import Callable, Iterator, Mapping

from trt_nemotron.measure.bench.figures.scaling import find_knee
from trt_nemotron.measure.bench.figures.summary import Distribution, LegSummary, Summary
from trt_nemotron.measure.report.drawing import Plot, safe
from trt_nemotron.measure.report.loads import STREAMS, Load, load_of
from trt_nemotron.measure.report.plots.sweep import SweepAxes, SweepPoint, sweep

_Take = Callable[[LegSummary], Distribution]
_MEDIAN = "Median at each load between the limits of its confidence."


def load_plots(runs: Mapping[str, Summary]) -> Iterator[Plot]:
    """TTFT, TPOT and throughput over load; of open loops what was served and what waited.

    Args:
        runs: by name; one alone needs none.
    """
    legs = [figures.leg for summary in runs.values() for figures in summary.legs]
    load = load_of(legs)
    if len({load.of(leg) for leg in legs}) < 2:
        return  # one point is no curve, and the table says it already
    is_open = any(leg.rate_rps for leg in legs)
    mark = _knee(runs, load)
    takes: list[tuple[str, str, _Take]] = [
        ("First token under load", "TTFT", lambda s: s.ttft_ms),
        ("Speed of a stream under load", "TPOT", lambda s: s.tpot_ms),
    ]
    if is_open:
        takes.append(("Waiting to be sent", "queue time", lambda s: s.queue_ms))
    for title, name, take in takes:
        series = _series(runs, load, take)
        if series:
            axes = SweepAxes(f"median {name} in ms", load.name, mark)
            yield Plot(title, _MEDIAN, "plot-sweep", safe(sweep(series, axes)))
    yield from _rates(runs, load, mark, is_open=is_open)


def _knee(runs: Mapping[str, Summary], load: Load) -> tuple[float, str] | None:
    """Of one run of closed loops; several runs have several, which would hide each other."""
    if load is not STREAMS or len(runs) != 1:
        return None
    knee = find_knee(next(iter(runs.values())).legs)
    return None if knee is None else (float(knee), "knee")


def _rates(
    runs: Mapping[str, Summary], load: Load, mark: tuple[float, str] | None, *, is_open: bool
) -> Iterator[Plot]:
    tokens = _series(runs, load, lambda s: _plain(s.tokens_per_s))
    if max((len(points) for points in tokens.values()), default=0) > 1:
        note = "Output tokens of good requests, all streams together."
        if mark is not None:
            note += " The knee: from here on, more load brings less than a tenth more."
        axes = SweepAxes("tokens per second", load.name, mark)
        yield Plot("Throughput under load", note, "plot-sweep", safe(sweep(tokens, axes)))
    if is_open:
        served = _series(runs, load, lambda s: _plain(s.achieved_rps))
        offers = _series(runs, load, lambda s: _plain(s.offered_rps))
        offered = {"offered": next(iter(offers.values()), [])}
        named = {name or "served": points for name, points in served.items()}
        axes = SweepAxes("requests per second", load.name)
        note = "Where what is served stays under what is offered, requests pile up."
        if served:
            yield Plot(
                "Served of what was offered", note, "plot-sweep", safe(sweep(named | offered, axes))
            )


def _series(
    runs: Mapping[str, Summary], load: Load, take: Callable[[LegSummary], Distribution | None]
) -> dict[str, list[SweepPoint]]:
    found: dict[str, list[SweepPoint]] = {}
    for run, summary in runs.items():
        rests = {load.rest(figures.leg) for figures in summary.legs}
        for figures in summary.legs:
            point = _point(load.of(figures.leg), take(figures))
            if point is not None:
                rest = load.rest(figures.leg) if len(rests) > 1 else ""
                found.setdefault(", ".join(filter(None, (run, rest))), []).append(point)
    return found


def _point(load: float, latency: Distribution | None) -> SweepPoint | None:
    if latency is None or latency.p50 is None:
        return None
    low = latency.p50 if latency.p50_low is None else latency.p50_low
    high = latency.p50 if latency.p50_high is None else latency.p50_high
    return SweepPoint(load, latency.p50, low, high)


def _plain(value: float | None) -> Distribution | None:
    """A figure that a leg has once, without limits."""
    return None if value is None else Distribution(samples=1, p50=value)
