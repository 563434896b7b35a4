"""The figures of a measurement as rows and plots of the page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trt_nemotron.measure.bench.figures.request_figures import (
    RequestFigures,
    measure_request,
    token_chunks,
)
from trt_nemotron.measure.bench.figures.summary import Distribution, LegSummary, Summary
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import Measurement, RequestRecord
from trt_nemotron.measure.report import words
from trt_nemotron.measure.report.drawing import Plot, leg_title, safe
from trt_nemotron.measure.report.load_plots import load_plots
from trt_nemotron.measure.report.loads import load_of, short_name
from trt_nemotron.measure.report.plots.ecdf import ecdf
from trt_nemotron.measure.report.plots.timeline import timeline
from trt_nemotron.measure.report.soak_plots import soak_plots


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of one concurrency."""

    title: str
    unit: str
    figure: str
    interval: str = ""


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """The figures of one concurrency."""

    name: str
    cells: tuple[Cell, ...]


def latency_rows(summary: Summary | None) -> list[LatencyRow]:
    """A row for each leg; what only an open loop has is shown when one of them is open."""
    if summary is None:
        return []
    is_open = any(figures.rate_rps for figures in summary.legs)
    return [
        LatencyRow(leg_title(figures.leg), _cells(figures, is_open=is_open))
        for figures in summary.legs
    ]


def plots(measurement: Measurement | None, summary: Summary | None) -> list[Plot]:
    """Distributions of TTFT and of the gaps, and figures over load."""
    good = {} if measurement is None else good_by_leg(measurement)
    if summary is None or not any(good.values()):
        return []
    load = load_of(good)
    figures = {
        short_name(leg, load, good): [measure_request(r) for r in records]
        for leg, records in good.items()
    }
    drawn = [
        Plot(
            "Time to first token",
            "Share of requests whose first token came within so long. Dots: p50, p90 and p99, "
            "where there are samples enough.",
            "plot-ecdf",
            safe(ecdf(_series(figures, lambda f: (f.ttft_ms,)), "TTFT", load.title)),
        ),
        Plot(
            "Inter-token latency",
            "Share of gaps between tokens of a stream that were at most so long.",
            "plot-ecdf",
            safe(ecdf(_series(figures, lambda f: f.gaps_ms), "gap", load.title)),
        ),
    ]
    return [*drawn, *load_plots({"": summary}), *soak_plots(measurement, summary)]


def timelines(measurement: Measurement | None) -> list[Plot]:
    """When each token arrived, a drawing for each leg."""
    if measurement is None:
        return []
    legs: dict[Leg, list[RequestRecord]] = {}
    for record in measurement.records:
        if not record.is_warmup:
            legs.setdefault(record.leg, []).append(record)
    return [
        Plot(
            leg_title(leg),
            "",
            "plot-timeline",
            safe(timeline(records, leg_title(leg))),
        )
        for leg, records in legs.items()
    ]


def good_by_leg(measurement: Measurement) -> dict[Leg, list[RequestRecord]]:
    """Good requests that hold a token; a contradictory record must not stop the report."""
    found: dict[Leg, list[RequestRecord]] = {}
    for record in measurement.records:
        if not record.is_warmup and record.outcome == "ok" and token_chunks(record):
            found.setdefault(record.leg, []).append(record)
    return found


def _cells(figures: LegSummary, *, is_open: bool) -> tuple[Cell, ...]:
    cells = (
        _latency("TTFT p50", figures.ttft_ms),
        Cell("TTFT p99", "ms", words.number(figures.ttft_ms.p99)),
        _latency("TPOT p50", figures.tpot_ms),
        _latency("ITL p50", figures.itl_ms, with_limits=False),
        Cell("ITL p99", "ms", words.number(figures.itl_ms.p99)),
        _latency("E2E p50", figures.e2e_ms),
        Cell("Tokens", "per s", words.number(figures.tokens_per_s)),
        Cell("Requests", "good of all", f"{figures.good}/{figures.requests}"),
    )
    return (*_open_cells(figures), *cells) if is_open else cells


def _open_cells(figures: LegSummary) -> tuple[Cell, ...]:
    rates = f"{words.number(figures.achieved_rps)} of {words.number(figures.offered_rps)}"
    return (
        Cell("Served", "requests/s", rates, "fell behind" if figures.is_behind else ""),
        Cell("Queue p50", "ms", words.number(figures.queue_ms.p50)),
    )


def _latency(title: str, latency: Distribution, *, with_limits: bool = True) -> Cell:
    limits = words.interval(latency.p50_low, latency.p50_high) if with_limits else ""
    return Cell(title, "ms", words.number(latency.p50), limits)


def _series(
    figures: dict[str, list[RequestFigures]], take: Callable[[RequestFigures], Sequence[float]]
) -> dict[str, list[float]]:
    return {
        name: [value for figure in those for value in take(figure)]
        for name, those in figures.items()
    }
