"""A measurement drawn for the terminal: one table, and what a reader must know beside it."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from trt_nemotron.cli.bench_workers import render_workers
from trt_nemotron.measure.bench.figures.summary import (
    SAMPLES_NEEDED,
    Distribution,
    LegSummary,
)

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from trt_nemotron.measure.bench.client_health import ClientHealth, ClockSource
    from trt_nemotron.measure.bench.figures.summary import Summary
    from trt_nemotron.measure.bench.values import Measurement

_ROWS = (
    ("TTFT", "ttft_ms"),
    ("TTFA", "ttfa_ms"),
    ("TPOT", "tpot_ms"),
    ("ITL", "itl_ms"),
    ("E2E", "e2e_ms"),
)
_CLOCKS = {
    "packet_ring": "the kernel's stamp of every packet",
    "kernel_receive": "the kernel's stamp of the last packet of each read",
    "user_read": "our own clock after each read",
}
NONE = "–"  # noqa: RUF001 - a dash, as tables have it


def render_bench(measurement: "Measurement", summary: "Summary") -> "RenderableType":
    """The table of latencies, throughput and errors, then clock, client and notes."""
    from rich.console import Group
    from rich.text import Text

    from trt_nemotron.measure.gate.demands import MachineRule
    from trt_nemotron.measure.gate.machine_rule import machine_faults

    lines = [Text(line) for line in _context_lines(measurement, summary)]
    told = (*summary.notes, *machine_faults(measurement, MachineRule()))
    notes = [Text(f"note: {note}", style="yellow") for note in told]
    tables = [_latency_table(summary), _load_table(summary), *render_workers(measurement.client)]
    return Group(*tables, *lines, *notes, *_faults(summary))


def _faults(summary: "Summary") -> "Iterator[RenderableType]":
    """Why the figures may not be taken as they are; a late client's err to one side only."""
    from rich.text import Text

    for reason in summary.invalid_reasons:
        if reason in summary.lateness_reasons:
            text = f"late: {reason}; latencies are at most these, TPOT at most E2E / tokens"
            yield Text(text, style="bold yellow")
        else:
            yield Text(f"not valid: {reason}", style="bold red")
    for failure in summary.failures:
        yield Text(f"not valid: {failure}", style="bold red")


def _latency_table(summary: "Summary") -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(
        title="latency, ms",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title_justify="left",
        title_style="bold",
    )
    table.add_column("streams", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name in ("p50", "between", "p95", "p99", "max", "samples"):
        table.add_column(name, justify="right", no_wrap=True)
    for level in summary.concurrencies:
        rows = [row for row in _ROWS if _is_shown(level, row[1])]
        for place, (title, name) in enumerate(rows):
            streams = _leg_name(level) if place == 0 else ""
            cells = _latency_cells(getattr(level, name))
            table.add_row(streams, title, *cells, end_section=place == len(rows) - 1)
    return table


def _leg_name(level: LegSummary) -> str:
    """Streams, or the rate of an open loop, with the prompt length where it varies."""
    name = f"{level.rate_rps:g}/s" if level.rate_rps else str(level.concurrency)
    return f"{name} × {level.input_tokens}" if level.input_tokens else name  # noqa: RUF001


def _is_shown(level: LegSummary, name: str) -> bool:
    """Time to first answer is a row of its own only where it differs from TTFT."""
    return name != "ttfa_ms" or level.ttfa_ms != level.ttft_ms


def _latency_cells(latency: Distribution) -> tuple[str, ...]:
    between = NONE
    if latency.p50_low is not None and latency.p50_high is not None:
        between = f"{format_ms(latency.p50_low)}…{format_ms(latency.p50_high)}"
    return (
        _percentile(latency.p50, "p50"),
        between,
        _percentile(latency.p95, "p95"),
        _percentile(latency.p99, "p99"),
        NONE if latency.maximum is None else format_ms(latency.maximum),
        str(latency.samples),
    )


def _percentile(value: float | None, name: str) -> str:
    return f"{NONE} needs {SAMPLES_NEEDED[name]}" if value is None else format_ms(value)


def format_ms(value: float) -> str:
    """Milliseconds with three significant figures, never in exponents: 0.331, 13.0, 1234."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def _load_table(summary: "Summary") -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(
        title="throughput and outcomes",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title_justify="left",
        title_style="bold",
    )
    names = ["streams", "tokens/s", "per stream", "prompt", "good", "failed"]
    if summary.slo is not None:
        names.insert(3, "goodput/s")
    more = [column for column in _RARE_COLUMNS if _is_known(summary, column[1])]
    names += [title for title, _, _ in more]
    for name in names:
        table.add_column(name, justify="right")
    for level in summary.concurrencies:
        cells = [
            _leg_name(level),
            _number(level.tokens_per_s),
            _number(level.tokens_per_s_per_user),
            _number(level.prompt_tokens),
            f"{level.good} of {level.requests}",
            _failures(level),
        ]
        if summary.slo is not None:
            cells.insert(3, _number(level.goodput_rps, digits=2))
        cells += [form(getattr(level, name)) for _, name, form in more]
        table.add_row(*cells)
    return table


def _is_known(summary: "Summary", name: str) -> bool:
    return any(getattr(level, name) is not None for level in summary.concurrencies)


def _failures(level: LegSummary) -> str:
    failed = {name: count for name, count in level.outcomes.items() if name != "ok"}
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in failed.items()) or "0"


def _number(value: float | None, digits: int = 0) -> str:
    return NONE if value is None else f"{value:,.{digits}f}"


def _share(value: float | None) -> str:
    return NONE if value is None else f"{value:.0%}"


def _joules(value: float | None) -> str:
    return _number(value, digits=3)


_RARE_COLUMNS: tuple[tuple[str, str, Callable[[float | None], str]], ...] = (
    ("of roofline", "roofline_ratio", _share),
    ("watts", "watts", _number),
    ("J/token", "joules_per_token", _joules),
)
"""Shown where they are known of any leg."""


def _context_lines(measurement: "Measurement", summary: "Summary") -> list[str]:
    workload = measurement.workload
    thinking = "on" if workload.is_thinking_enabled else "off"
    return [
        (
            f"workload: {workload.input_tokens} tokens in, {workload.output_tokens} out, thinking "
            f"{thinking}, seed {workload.seed}"
        ),
        _clock_line(summary.clock, measurement.client.clock_reason),
        _client_line(measurement.client),
        *_error_lines(measurement.client),
        (
            f"limits hold with {summary.confidence:.0%} confidence each; a percentile is refused "
            f"from fewer samples than it needs"
        ),
    ]


def _clock_line(clock: "ClockSource", reason: str) -> str:
    return f"clock: {clock}, {_CLOCKS[clock]}" + (f" ({reason})" if reason else "")


def _error_lines(client: "ClientHealth") -> list[str]:
    """What the client got wrong against its own server; nothing from files that do not say."""
    errors = {error.figure: error.error_ms for error in client.measurement_error}
    shown = [
        f"{name.removesuffix('_ms').replace('_', ' ')} {errors[name]:+.3f}"
        for name in ("ttft_p50_ms", "ttft_p99_ms", "itl_p99_ms", "tpot_p50_ms")
        if name in errors
    ]
    return [f"measured error of the client itself (ms): {', '.join(shown)}"] if shown else []


def _client_line(client: "ClientHealth") -> str:
    delay = "" if client.stamp_delay_p99_ms < 0 else (
        f", stamps late by {format_ms(client.stamp_delay_p50_ms)} (p50) to "
        f"{format_ms(client.stamp_delay_p99_ms)} ms (p99)"
    )  # fmt: skip
    return (
        f"client: floor of TTFT {format_ms(client.floor_ttft_p50_ms)} ms on loopback{delay}, "
        f"{client.cpu_share:.0%} of a core, own timer late by "
        f"{format_ms(client.loop_lag_p99_ms)} ms (p99)"
    )
