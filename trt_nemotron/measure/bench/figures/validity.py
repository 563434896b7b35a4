"""Whether the client was fit to measure: reasons why a run's figures may not be judged.

A read that comes late finds several chunks at once, and all of them carry the last one's stamp. If
the first token was among them, TTFT is too long by as much as the reader was late. A server that
sends in bursts looks the same on the wire, so the client's own lateness decides whose doing it was.
"""

from collections.abc import Iterator, Mapping, Sequence

from trt_nemotron.measure.bench.client_health import ClientHealth
from trt_nemotron.measure.bench.figures.far_clocks import far_clock_reasons, late_start_reasons
from trt_nemotron.measure.bench.figures.percentiles import interpolate
from trt_nemotron.measure.bench.figures.request_figures import RequestFigures, measure_request
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import Measurement, RequestRecord

MOST_CPU_SHARE = 0.85
"""Of one core; above it a one-thread client is no longer waiting for the server."""
MOST_LAG_SHARE = 0.10
"""Of the median TTFT: lateness of the client that may be ignored."""
MOST_GAP_LAG_SHARE = 0.10
"""Of the median gap: mean waiting of the client for a processor that its own clock may ignore."""
LEAST_IDLE_SHARE = 0.02
"""Of all processors: below it nobody knows how late a thread that has to wake up is."""
MOST_DOUBT = 0.10
"""By which the time of a first token may be wrong, see `RequestFigures.first_doubt`."""
MOST_DOUBTFUL = 0.25
"""Share of requests with more doubt than that."""
MOST_ERROR_SHARE = 0.10
"""Of a median: error of it that the client found in itself and that may be ignored."""
MOST_VOID = 0.05
"""Share of answered requests without sound times."""


def find_invalid_reasons(
    measurement: Measurement, lateness: tuple[str, ...] | None = None
) -> tuple[str, ...]:
    """One sentence for each reason; empty for a sound run.

    Args:
        measurement: with its raw records.
        lateness: what `find_lateness_reasons` found, where that was asked already.
    """
    if not _good_records(measurement):
        return ("no measured request ended well",)
    return (
        *_cpu_reasons(measurement.client),
        *_void_reasons(measurement),
        *far_clock_reasons(measurement),
        *late_start_reasons(measurement),
        *(find_lateness_reasons(measurement) if lateness is None else lateness),
    )


def find_lateness_reasons(
    measurement: Measurement, figures: Mapping[Leg, Sequence[RequestFigures]] | None = None
) -> tuple[str, ...]:
    """Those reasons that lie in chunks read late.

    Lateness has a direction: TTFT and E2E can only have come out too long, throughput too low, and
    TPOT too short by a known amount. So a gate may still find a bound kept, though never missed.

    Args:
        measurement: with its raw records.
        figures: of each leg's good requests, where they were measured already.
    """
    if figures is None:
        figures = _figures_of_legs(measurement)
    return tuple(
        reason
        for leg, measured in figures.items()
        if measured
        for reason in find_lag_reasons(leg, measured, measurement.client)
    )


def _figures_of_legs(measurement: Measurement) -> dict[Leg, list[RequestFigures]]:
    found: dict[Leg, list[RequestFigures]] = {}
    for record in _good_records(measurement):
        found.setdefault(record.leg, []).append(measure_request(record))
    return found


def _good_records(measurement: Measurement) -> list[RequestRecord]:
    return [r for r in measurement.records if not r.is_warmup and r.gives_figures]


def _cpu_reasons(client: ClientHealth) -> Iterator[str]:
    if client.cpu_share > MOST_CPU_SHARE:
        yield (
            f"the client used {client.cpu_share:.0%} of a core, more than {MOST_CPU_SHARE:.0%}: "
            f"it was the bottleneck"
        )


def _void_reasons(measurement: Measurement) -> Iterator[str]:
    answered = [r for r in measurement.records if not r.is_warmup and r.outcome == "ok"]
    void = [record for record in answered if record.void]
    if len(void) > MOST_VOID * len(answered):
        yield (
            f"{len(void)} of {len(answered)} answered requests have no sound times ({void[0].void})"
        )


def find_lag_reasons(
    leg: Leg, figures: Sequence[RequestFigures], client: ClientHealth
) -> Iterator[str]:
    """Reasons that lie in the client's lateness in one leg; `figures` are of all its good ones."""
    title = leg.title
    lag_ms = _timer_lag_ms(leg, client)
    tolerated_ms = MOST_LAG_SHARE * _median([figure.service_ttft_ms for figure in figures])
    doubtful = doubtful_share(figures)
    if doubtful > MOST_DOUBTFUL and lag_ms > tolerated_ms:
        yield (
            f"{title}: the first token of {doubtful:.0%} of the requests was "
            f"read together with many later ones, and the client's own timer was late by "
            f"{lag_ms:.2f} ms (p99), more than {tolerated_ms:.2f} ms: this machine "
            f"was too busy to measure on"
        )
    if client.stamp_delay_p50_ms > tolerated_ms:
        yield (
            f"{title}: against its own loopback server the client stamped chunks "
            f"late by {client.stamp_delay_p50_ms:.2f} ms (p50), more than {tolerated_ms:.2f} ms"
        )
    yield from _error_reasons(title, figures, client)
    if client.clock == "user_read":
        if lag_ms > tolerated_ms:
            yield (
                f"{title}: stamps are the client's own clock readings, and it was "
                f"late by {lag_ms:.2f} ms (p99), more than {tolerated_ms:.2f} ms"
            )
        yield from _gap_reasons(leg, figures, client)
        yield from _idle_reasons(leg, client)


def _gap_reasons(
    leg: Leg, figures: Sequence[RequestFigures], client: ClientHealth
) -> Iterator[str]:
    """Gaps too short for a client that stamps by its own clock and has to wait for a processor.

    Each of its stamps is late by such a wait. Where the system does not tell it, its timer has to
    do: that is late in one case of a hundred, so it may be late by a gap.
    """
    gaps = [gap for figure in figures for gap in figure.gaps_ms if gap > 0.0]
    if not gaps:
        return
    gap_ms = _median(gaps)
    queue_ms = {lag.leg: lag.queue_mean_ms for lag in client.loop_lags}.get(leg, -1.0)
    if queue_ms > MOST_GAP_LAG_SHARE * gap_ms:
        yield (
            f"{leg.title}: stamps are the client's own clock readings, and it waited "
            f"{queue_ms:.3f} ms for a processor each time (mean), more than "
            f"{MOST_GAP_LAG_SHARE * gap_ms:.3f} ms, {MOST_GAP_LAG_SHARE:.0%} of the median gap"
        )
    elif queue_ms < 0.0 and (lag_ms := _timer_lag_ms(leg, client)) > gap_ms:
        yield (
            f"{leg.title}: stamps are the client's own clock readings, and its timer was late by "
            f"{lag_ms:.2f} ms (p99), more than the median gap of {gap_ms:.2f} ms"
        )


def _idle_reasons(leg: Leg, client: ClientHealth) -> Iterator[str]:
    """A clock that is read by a thread that wakes up needs a processor that is free then."""
    idle_share = {lag.leg: lag.idle_share for lag in client.loop_lags}.get(leg, -1.0)
    if 0.0 <= idle_share < LEAST_IDLE_SHARE:
        yield (
            f"{leg.title}: stamps are the client's own clock readings, and all processors together "
            f"were idle for {idle_share:.1%} of the time, less than {LEAST_IDLE_SHARE:.0%}: how "
            f"late they were is for the scheduler to say, not for the client"
        )


def _timer_lag_ms(leg: Leg, client: ClientHealth) -> float:
    """Of the leg; of all legs of its concurrency in older files, of the run in the oldest."""
    by_leg = {lag.leg: lag.p99_ms for lag in client.loop_lags}
    of_streams = by_leg.get(Leg(concurrency=leg.concurrency), client.loop_lag_p99_ms)
    return by_leg.get(leg, of_streams)


def _error_reasons(
    title: str, figures: Sequence[RequestFigures], client: ClientHealth
) -> Iterator[str]:
    """Medians that the client got wrong when it measured itself, by too much for this run."""
    medians = {
        "ttft_p50_ms": [figure.service_ttft_ms for figure in figures],
        "tpot_p50_ms": [figure.tpot_ms for figure in figures if figure.tpot_ms is not None],
        "e2e_p50_ms": [figure.service_e2e_ms for figure in figures],
    }
    for error in client.measurement_error:
        values = medians.get(error.figure)
        if not values:
            continue
        tolerated_ms = MOST_ERROR_SHARE * _median(values)
        if abs(error.error_ms) > tolerated_ms:
            yield (
                f"{title}: against its own loopback server the client was wrong "
                f"by {error.error_ms:+.3f} ms in {error.figure}, more than {tolerated_ms:.3f} ms"
            )


def _median(values: Sequence[float]) -> float:
    return interpolate(sorted(values), 0.5)


def doubtful_share(figures: Sequence[RequestFigures]) -> float:
    """Share of requests whose first token's time may be wrong by more than `MOST_DOUBT`."""
    if not figures:
        return 0.0
    return sum(figure.first_doubt > MOST_DOUBT for figure in figures) / len(figures)
