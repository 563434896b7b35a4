"""Several measurements on one page: what differs, their figures, their plots over each other."""

from collections.abc import Sequence
from dataclasses import dataclass

from trt_nemotron.measure.bench.figures.request_figures import RequestFigures, measure_request
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.compare import ComparedFigure, ComparedRun, Comparison
from trt_nemotron.measure.report import words
from trt_nemotron.measure.report.contents import notice_for
from trt_nemotron.measure.report.drawing import Plot, leg_title, safe
from trt_nemotron.measure.report.latency import good_by_leg
from trt_nemotron.measure.report.load_plots import load_plots
from trt_nemotron.measure.report.page import render_page
from trt_nemotron.measure.report.plots.ecdf import ecdf
from trt_nemotron.measure.report.plots.timeline import timeline

_WORDS = {
    "first": "",
    "within_noise": "within noise",
    "beyond_noise": "beyond noise",
    "no_limits": "no limits",
    "missing": "",
}


@dataclass(frozen=True, slots=True)
class FigureCell:
    """One figure of one run: itself, its limits, and how it stands to the first run's."""

    run: str
    figure: str
    interval: str
    change: str
    css: str


@dataclass(frozen=True, slots=True)
class LegTable:
    """One leg: a row for each metric, a cell for each run, and its plots."""

    title: str
    missing: str
    rows: tuple[tuple[str, tuple[FigureCell, ...]], ...]
    plots: tuple[Plot, ...]


def render_comparison(
    comparison: Comparison, named: Sequence[tuple[str, Measurement]], tool_version: str
) -> str:
    """The whole page as text; the same measurements give the same page.

    Args:
        comparison: of `named`.
        named: the measurements, under the names that the comparison has.
        tool_version: of the tool that draws it.
    """
    runs = dict(named)
    summaries = {name: summarise(run, comparison.slo) for name, run in named}
    notices = dict.fromkeys(filter(None, (notice_for(run.environment) for run in runs.values())))
    return render_page(
        "compare.html.jinja",
        title="Compared: " + ", ".join(runs),
        comparison=comparison,
        warnings=_warnings(comparison),
        notices=list(notices),
        runs=[_facts(run) for run in comparison.runs],
        legs=[_leg_table(comparison, place, runs) for place in range(len(comparison.legs))],
        load_plots=list(load_plots(summaries)) if _is_swept(comparison) else [],
        tool_version=tool_version,
    )


def _warnings(comparison: Comparison) -> list[str]:
    first = comparison.runs[0].name
    return [
        text
        for run in comparison.runs
        for text in (
            *(f"Not comparable: {run.name} has {d} of {first}" for d in run.differences),
            *(f"Not valid: {run.name}: {reason}" for reason in run.invalid_reasons),
        )
    ]


def _facts(run: ComparedRun) -> tuple[str, str]:
    return run.name, f"{run.model} · {run.runtime} · {run.target} · {run.clock} · {run.started_at}"


def _is_swept(comparison: Comparison) -> bool:
    return len(comparison.legs) > 1


def _leg_table(comparison: Comparison, place: int, runs: dict[str, Measurement]) -> LegTable:
    leg = comparison.legs[place]
    rows = tuple(
        (
            metric.metric,
            tuple(
                _cell(run.name, figure)
                for run, figure in zip(comparison.runs, metric.figures, strict=True)
            ),
        )
        for metric in leg.metrics
    )
    missing = f"Not measured in {', '.join(leg.missing)}." if leg.missing else ""
    return LegTable(leg_title(leg.leg), missing, rows, tuple(_plots(leg.leg, runs)))


def _cell(run: str, figure: ComparedFigure) -> FigureCell:
    word = _WORDS[figure.explained]
    change = "" if figure.ratio is None else f"{words.change(figure.ratio)}, {word}"
    is_clear = figure.explained == "beyond_noise"
    css = ("worse" if figure.is_worse else "better") if is_clear else ""
    return FigureCell(
        run=run,
        figure=words.number(figure.value),
        interval=words.interval(figure.low, figure.high),
        change=change,
        css=css,
    )


def _plots(leg: Leg, runs: dict[str, Measurement]) -> list[Plot]:
    """Distributions over each other, then when each token came, run by run."""
    good = {name: good_by_leg(run).get(leg, []) for name, run in runs.items()}
    figures = {name: [measure_request(r) for r in found] for name, found in good.items() if found}
    if not figures:
        return []
    firsts = {name: [f.ttft_ms for f in those] for name, those in figures.items()}
    gaps = {name: _gaps(those) for name, those in figures.items()}
    drawn = [
        Plot("Time to first token", "", "plot-ecdf", safe(ecdf(firsts, "TTFT"))),
        Plot("Inter-token latency", "", "plot-ecdf", safe(ecdf(gaps, "gap"))),
    ]
    times = [
        Plot(f"Tokens over time: {name}", "", "plot-timeline",
             safe(timeline(good[name], leg_title(leg))))
        for name in figures
    ]  # fmt: skip
    return [*drawn, *times]


def _gaps(figures: Sequence[RequestFigures]) -> list[float]:
    return [gap for figure in figures for gap in figure.gaps_ms]
