"""How a measurement's figures went from run to run, where earlier ones were handed over."""

from collections.abc import Iterator, Sequence

from trt_nemotron.errors import NoValidMeasurement
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.figures.summary import Summary
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.changepoint import FEWEST_RUNS, WINDOW, find_change
from trt_nemotron.measure.gate.key import key_differences, key_of
from trt_nemotron.measure.gate.metrics import Metric, metric_named
from trt_nemotron.measure.report.drawing import Plot, leg_title, safe
from trt_nemotron.measure.report.plots.course import (
    CourseAxes,
    CourseChange,
    CoursePoint,
    course,
)

DRAWN = ("ttft_p50_ms", "tpot_p50_ms", "tokens_per_s")


def history_plots(measurement: Measurement | None, history: Sequence[Measurement]) -> list[Plot]:
    """A drawing for each leg and metric that two runs or more have.

    Args:
        measurement: the last point; nothing is drawn without it.
        history: earlier runs, oldest first; those that cannot be compared with it are left out.
    """
    if measurement is None or not history:
        return []
    here = key_of(measurement)
    alike = [run for run in history if not key_differences(here, key_of(run))]
    runs = [*alike[1 - WINDOW :], measurement]
    summaries = [(run.started_at, summarise(run)) for run in runs]
    legs = [figures.leg for figures in summaries[-1][1].legs]
    return [
        plot
        for leg in legs
        for name in DRAWN
        if (plot := _plot(leg, metric_named(name), summaries)) is not None
    ]


def _plot(leg: Leg, metric: Metric, summaries: Sequence[tuple[str, Summary]]) -> Plot | None:
    points = list(_points(leg, metric, summaries))
    if len(points) < 2:
        return None
    change = find_change(metric, [point.value for point in points])
    mark = None if change is None else CourseChange(change.place - 0.5, change.before, change.after)
    axes = CourseAxes(
        f"{metric.title} in {metric.unit}", f"{len(points)} runs", _ends(points[0], points[-1])
    )
    title = f"{metric.name}, {leg_title(leg)}"
    return Plot(title, _note(len(points), is_found=mark is not None), "plot-course",
                safe(course(points, axes, mark)))  # fmt: skip


def _points(
    leg: Leg, metric: Metric, summaries: Sequence[tuple[str, Summary]]
) -> Iterator[CoursePoint]:
    place = 0
    for started_at, summary in summaries:
        figures = next((figures for figures in summary.legs if figures.leg == leg), None)
        try:
            interval = None if figures is None else metric.interval(figures)
        except NoValidMeasurement:
            continue
        if interval is not None:
            yield CoursePoint(
                float(place), interval.figure, interval.low, interval.high, started_at
            )
            place += 1


def _ends(first: CoursePoint, last: CoursePoint) -> tuple[str, str]:
    return first.said[:10], last.said[:10]


def _note(runs: int, *, is_found: bool) -> str:
    if is_found:
        return "It became worse somewhere, most of all at the line: compare with what was before."
    if runs < FEWEST_RUNS:
        return f"A change is looked for from {FEWEST_RUNS} runs on."
    return "No change for the worse that chance would not show as well."
