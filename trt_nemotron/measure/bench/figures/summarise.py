"""Every figure of a measurement, by the definitions in docs/measuring.md. Pure.

Only requests with outcome `ok` that were not warm-up give latencies; every other request is counted
under its own name and in `error_share`. Percentiles are refused, not guessed, from too few samples.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from trt_nemotron.measure.bench.figures.percentiles import CONFIDENCE, percentile
from trt_nemotron.measure.bench.figures.request_figures import (
    RequestFigures,
    measure_request,
    token_chunks,
)
from trt_nemotron.measure.bench.figures.scaling import scaling_notes
from trt_nemotron.measure.bench.figures.stability import drift_notes
from trt_nemotron.measure.bench.figures.summary import (
    QUANTILES,
    ConcurrencySummary,
    Distribution,
    Slo,
    Summary,
)
from trt_nemotron.measure.bench.figures.validity import (
    doubtful_share,
    find_invalid_reasons,
    find_lateness_reasons,
)
from trt_nemotron.measure.bench.values import Measurement, RequestRecord

MOST_SHARED_STAMPS = 0.05
"""Share of chunks without a time of their own above which a summary says so."""

_NS_PER_S = 1e9


def summarise(measurement: Measurement, slo: Slo | None = None) -> Summary:
    """Every figure of a measurement, recomputed from its raw records."""
    measured = [record for record in measurement.records if not record.is_warmup]
    concurrencies = tuple(dict.fromkeys(record.concurrency for record in measured))
    summaries = tuple(
        summarise_concurrency(
            concurrency, [record for record in measured if record.concurrency == concurrency], slo
        )
        for concurrency in concurrencies
    )
    drifts = [note for concurrency in concurrencies for note in drift_notes(concurrency, measured)]
    return Summary(
        concurrencies=summaries,
        clock=measurement.client.clock,
        confidence=CONFIDENCE,
        slo=slo,
        invalid_reasons=find_invalid_reasons(measurement),
        lateness_reasons=find_lateness_reasons(measurement),
        notes=(
            *measurement.notes,
            *drifts,
            *filter(None, map(_stamp_note, summaries)),
            *_clock_notes(measurement),
            *scaling_notes(summaries),
        ),
    )


def _stamp_note(summary: ConcurrencySummary) -> str:
    if summary.shared_stamp_share <= MOST_SHARED_STAMPS:
        return ""
    return (
        f"concurrency {summary.concurrency}: {summary.shared_stamp_share:.0%} of the token chunks "
        f"were read together with the one before (a burst of the server, or a late read): ITL "
        f"percentiles are too low, and in {summary.doubtful_share:.0%} of the requests TTFT may be "
        f"too long by more than 10 %"
    )


def _clock_notes(measurement: Measurement) -> Iterator[str]:
    """What happened to the clock, and what was given up for it: never silently."""
    void = Counter(
        (record.concurrency, record.void)
        for record in measurement.records
        if record.void and not record.is_warmup
    )
    for (concurrency, reason), count in void.items():
        yield f"concurrency {concurrency}: {count} requests give no latency: {reason}"
    client = measurement.client
    if client.clock_steps:
        yield f"the wall clock was stepped {client.clock_steps} times during the run"
    if client.lost_packets:
        yield f"the capture ring had no room for {client.lost_packets} packets"


def summarise_concurrency(
    concurrency: int, records: Sequence[RequestRecord], slo: Slo | None
) -> ConcurrencySummary:
    """The figures of the measured (not warm-up) requests of one closed loop."""
    answered = [record for record in records if record.outcome == "ok"]
    good = [record for record in answered if not record.void]
    figures = [measure_request(record) for record in good]
    duration_s = _duration_s(records)
    tpot = distribution(_present(figure.tpot_ms for figure in figures))
    tokens = [record.completion_tokens for record in answered]
    is_counted = bool(good) and min(tokens) >= 0 and duration_s > 0
    chunks = sum(len(token_chunks(record)) for record in answered)
    return ConcurrencySummary(
        concurrency=concurrency,
        requests=len(records),
        good=len(good),
        outcomes=dict(Counter(record.outcome for record in records)),
        duration_s=duration_s,
        ttft_ms=distribution([figure.ttft_ms for figure in figures]),
        ttfa_ms=distribution(_present(figure.ttfa_ms for figure in figures)),
        tpot_ms=tpot,
        itl_ms=distribution([gap for figure in figures for gap in figure.gaps_ms]),
        e2e_ms=distribution([figure.e2e_ms for figure in figures]),
        tokens_per_s=sum(tokens) / duration_s if is_counted else None,
        tokens_per_s_per_user=1000.0 / tpot.p50 if tpot.p50 else None,
        goodput_rps=_goodput_rps(figures, slo, duration_s),
        error_share=(len(records) - len(answered)) / len(records) if records else 0.0,
        tokens_per_chunk=sum(tokens) / chunks if is_counted and chunks else None,
        shared_stamp_share=_shared_stamp_share(figures),
        doubtful_share=doubtful_share(figures),
        prompt_tokens=_mean_of_known([record.prompt_tokens for record in good]),
        cached_tokens=_sum_of_known([record.cached_tokens for record in good]),
        void=len(answered) - len(good),
        tpot_at_worst_ms=distribution(_present(figure.tpot_at_worst_ms for figure in figures)),
    )


def distribution(values: Sequence[float]) -> Distribution:
    """Percentiles with limits, mean and extremes of `values`."""
    if not values:
        return Distribution(samples=0)
    ordered = sorted(values)
    quantiles: dict[str, float | None] = {}
    for name, quantile in QUANTILES.items():
        found = percentile(ordered, quantile)
        quantiles |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return Distribution(
        samples=len(ordered),
        mean=sum(ordered) / len(ordered),
        minimum=ordered[0],
        maximum=ordered[-1],
        **quantiles,
    )


def keeps(figures: RequestFigures, slo: Slo) -> bool:
    """Whether a request kept every limit that was given; one that has no such figure did not."""
    limits = (
        (figures.ttft_ms, slo.ttft_ms),
        (figures.tpot_ms, slo.tpot_ms),
        (figures.e2e_ms, slo.e2e_ms),
    )
    return all(
        limit is None or (figure is not None and figure <= limit) for figure, limit in limits
    )


def _goodput_rps(
    figures: Sequence[RequestFigures], slo: Slo | None, duration_s: float
) -> float | None:
    if slo is None or duration_s <= 0:
        return None
    return sum(keeps(figure, slo) for figure in figures) / duration_s


def _duration_s(records: Sequence[RequestRecord]) -> float:
    if not records:
        return 0.0
    begin = min(record.sent_ns for record in records)
    end = max(record.finished_ns for record in records)
    return (end - begin) / _NS_PER_S


def _shared_stamp_share(figures: Sequence[RequestFigures]) -> float:
    gaps = [gap for figure in figures for gap in figure.gaps_ms]
    return sum(gap == 0.0 for gap in gaps) / len(gaps) if gaps else 0.0


def _present(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _mean_of_known(counts: Sequence[int]) -> float | None:
    known = [count for count in counts if count >= 0]
    return sum(known) / len(known) if known else None


def _sum_of_known(counts: Sequence[int]) -> int | None:
    known = [count for count in counts if count >= 0]
    return sum(known) if known else None
