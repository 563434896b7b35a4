"""The figures of a measurement as rows and plots of the page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from trt_nemotron.measure.bench.figures.request_figures import (
    RequestFigures,
    measure_request,
    token_chunks,
)
from trt_nemotron.measure.bench.figures.summary import ConcurrencySummary, Distribution, Summary
from trt_nemotron.measure.bench.values import Measurement, RequestRecord
from trt_nemotron.measure.report import words
from trt_nemotron.measure.report.contents import PlanFacts
from trt_nemotron.measure.report.plots.ecdf import ecdf
from trt_nemotron.measure.report.plots.sweep import SweepPoint, sweep
from trt_nemotron.measure.report.plots.timeline import timeline


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


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing with its title and what to read in it."""

    title: str
    note: str
    css: str
    svg: Markup


def latency_rows(summary: Summary | None) -> list[LatencyRow]:
    """A row for each concurrency."""
    if summary is None:
        return []
    return [
        LatencyRow(_streams(figures.concurrency), _cells(figures))
        for figures in summary.concurrencies
    ]


def plots(measurement: Measurement | None, summary: Summary | None) -> list[Plot]:
    """Distributions of TTFT and of the gaps, and their medians over concurrency."""
    good = {} if measurement is None else _good_by_concurrency(measurement)
    if summary is None or not any(good.values()):
        return []
    figures = {streams: [measure_request(r) for r in records] for streams, records in good.items()}
    drawn = [
        Plot(
            "Time to first token",
            "Share of requests whose first token came within so long. Dots: p50, p90 and p99, "
            "where there are samples enough.",
            "plot-ecdf",
            _safe(ecdf(_series(figures, lambda f: (f.ttft_ms,)), "TTFT")),
        ),
        Plot(
            "Inter-token latency",
            "Share of gaps between tokens of a stream that were at most so long.",
            "plot-ecdf",
            _safe(ecdf(_series(figures, lambda f: f.gaps_ms), "gap")),
        ),
    ]
    return [*drawn, *_sweeps(summary)]


def timelines(measurement: Measurement | None) -> list[Plot]:
    """When each token arrived, a drawing for each concurrency."""
    if measurement is None:
        return []
    measured = [record for record in measurement.records if not record.is_warmup]
    concurrencies = dict.fromkeys(record.concurrency for record in measured)
    return [
        Plot(
            _streams(streams),
            "",
            "plot-timeline",
            _safe(timeline([r for r in measured if r.concurrency == streams], streams)),
        )
        for streams in concurrencies
    ]


def environment_facts(
    measurement: Measurement | None, plan: PlanFacts | None
) -> list[tuple[str, str]]:
    """Name and value of everything a figure depends on."""
    facts: list[tuple[str, str]] = []
    if measurement is not None:
        facts += [*_environment(measurement), *_method(measurement)]
    if plan is not None:
        facts += [("Parameters", f"{plan.parameters:,}"), ("Precision", plan.precision)]
    return facts


def _cells(figures: ConcurrencySummary) -> tuple[Cell, ...]:
    return (
        _latency("TTFT p50", figures.ttft_ms),
        Cell("TTFT p99", "ms", words.number(figures.ttft_ms.p99)),
        _latency("TPOT p50", figures.tpot_ms),
        _latency("ITL p50", figures.itl_ms, with_limits=False),
        Cell("ITL p99", "ms", words.number(figures.itl_ms.p99)),
        _latency("E2E p50", figures.e2e_ms),
        Cell("Tokens", "per s", words.number(figures.tokens_per_s)),
        Cell("Requests", "good of all", f"{figures.good}/{figures.requests}"),
    )


def _latency(title: str, latency: Distribution, *, with_limits: bool = True) -> Cell:
    limits = words.interval(latency.p50_low, latency.p50_high) if with_limits else ""
    return Cell(title, "ms", words.number(latency.p50), limits)


def _sweeps(summary: Summary) -> list[Plot]:
    drawn = []
    for title, name, take in (
        ("First token under load", "TTFT", lambda s: s.ttft_ms),
        ("Speed of a stream under load", "TPOT", lambda s: s.tpot_ms),
    ):
        points = _points(summary, take)
        if points:
            note = "Median of each concurrency between the limits of its confidence."
            drawn.append(Plot(title, note, "plot-sweep", _safe(sweep(points, name))))
    return drawn


def _points(
    summary: Summary, take: Callable[[ConcurrencySummary], Distribution]
) -> list[SweepPoint]:
    points = []
    for figures in summary.concurrencies:
        latency = take(figures)
        if latency.p50 is None or latency.p50_low is None or latency.p50_high is None:
            continue
        point = SweepPoint(figures.concurrency, latency.p50, latency.p50_low, latency.p50_high)
        points.append(point)
    return points


def _good_by_concurrency(measurement: Measurement) -> dict[int, list[RequestRecord]]:
    """Good requests that hold a token; a contradictory record must not stop the report."""
    found: dict[int, list[RequestRecord]] = {}
    for record in measurement.records:
        if not record.is_warmup and record.outcome == "ok" and token_chunks(record):
            found.setdefault(record.concurrency, []).append(record)
    return found


def _series(
    figures: dict[int, list[RequestFigures]], take: Callable[[RequestFigures], Sequence[float]]
) -> dict[int, list[float]]:
    return {
        streams: [value for figure in those for value in take(figure)]
        for streams, those in figures.items()
    }


def _environment(measurement: Measurement) -> list[tuple[str, str]]:
    environment = measurement.environment
    return [
        ("Target", environment.target),
        ("Model", environment.model),
        ("Runtime", f"{environment.runtime} {environment.release}"),
        ("Power mode", environment.power_mode),
        ("Configuration", f"{environment.configuration_sha256[:16]} (SHA-256)"),
        ("Processor", f"{environment.processor}, {environment.cores} cores"),
        ("System", environment.system),
        ("Python", environment.python),
    ]


def _method(measurement: Measurement) -> list[tuple[str, str]]:
    workload, client = measurement.workload, measurement.client
    clocks = {
        "packet_ring": "packets, by the kernel",
        "kernel_receive": "arrival, by the kernel",
        "user_read": "when the client read it",
    }
    return [
        ("Work", f"{workload.input_tokens} tokens in, {workload.output_tokens} out, closed loop"),
        ("Stamps", clocks[client.clock]),
        ("Client's own TTFT", f"{words.number(client.floor_ttft_p50_ms)} ms (p50)"),
        ("Client's load", f"{client.cpu_share:.0%} of a core"),
        ("Client", environment_client(measurement)),
    ]


def environment_client(measurement: Measurement) -> str:
    """The measuring client's version, which a baseline must share."""
    return f"trt-nemotron {measurement.environment.client_version}"


def _streams(concurrency: int) -> str:
    return f"{concurrency} stream{'s' if concurrency > 1 else ''}"


def _safe(svg: str) -> Markup:
    return Markup(svg)  # noqa: S704 - built by ElementTree, which escapes
