"""A leg that went on for a minute or more: how its latencies went over time."""

from collections.abc import Iterator

from trt_nemotron.measure.bench.figures.drift import Drift
from trt_nemotron.measure.bench.figures.request_figures import (
    RequestFigures,
    measure_request,
    token_chunks,
)
from trt_nemotron.measure.bench.figures.soak import FEWEST_REQUESTS, FEWEST_SECONDS, WINDOWS
from trt_nemotron.measure.bench.figures.summary import LegSummary, Summary
from trt_nemotron.measure.bench.figures.trend import window_medians
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.report.drawing import Plot, leg_title, safe
from trt_nemotron.measure.report.plots.course import (
    CourseAxes,
    CourseChange,
    CoursePoint,
    course,
)

_NAMES = {"ttft_ms": "TTFT", "tpot_ms": "TPOT"}


def soak_plots(measurement: Measurement | None, summary: Summary) -> Iterator[Plot]:
    """TTFT and TPOT over the time of each leg that is long enough to speak of it."""
    if measurement is None:
        return
    for leg in summary.legs:
        records = [
            r for r in measurement.records
            if not r.is_warmup and r.leg == leg.leg and r.gives_figures and token_chunks(r)
        ]  # fmt: skip
        figures = sorted(map(measure_request, records), key=lambda figure: figure.first_ns)
        if len(figures) >= FEWEST_REQUESTS:
            yield from _courses(leg, figures)


def _courses(leg: LegSummary, figures: list[RequestFigures]) -> Iterator[Plot]:
    begin = figures[0].first_ns
    if (figures[-1].first_ns - begin) / 1e9 < FEWEST_SECONDS:
        return
    for field, name in _NAMES.items():
        known = [
            ((figure.first_ns - begin) / 1e9, value)
            for figure in figures
            if (value := getattr(figure, field)) is not None
        ]
        at, medians = window_medians([t for t, _ in known], [v for _, v in known], WINDOWS)
        points = [
            CoursePoint(t, v, v, v, f"after {t:.0f} s") for t, v in zip(at, medians, strict=True)
        ]
        drift = next((drift for drift in leg.drifts if drift.figure == field), None)
        if len(points) > 1:
            axes = CourseAxes(f"{name} in ms", "seconds since the leg's begin")
            title = f"{name} over time, {leg_title(leg.leg)}"
            yield Plot(title, _note(drift), "plot-course", safe(course(points, axes, _mark(drift))))


def _note(drift: Drift | None) -> str:
    base = f"Median of each of {WINDOWS} windows of equal length."
    if drift is None:
        return base
    if not drift.is_found:
        return f"{base} No trend and no change of level that chance would not show as well."
    return (
        f"{base} It moved, more than chance shows; the levels are those on both sides of the line."
    )


def _mark(drift: Drift | None) -> CourseChange | None:
    if drift is None or not drift.is_found or drift.change_s < 0:
        return None
    return CourseChange(drift.change_s, drift.before_ms, drift.after_ms)
