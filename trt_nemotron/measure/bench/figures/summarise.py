"""Every figure of a measurement, by the definitions in docs/measuring.md. Pure.

Only requests with outcome `ok` that were not warm-up give latencies; every other request is counted
under its own name and in `error_share`. Percentiles are refused, not guessed, from too few samples.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from trt_nemotron.measure.bench.figures.binomial import share_of
from trt_nemotron.measure.bench.figures.clusters import ClusteredGaps
from trt_nemotron.measure.bench.figures.energy import add_energy, energy_notes
from trt_nemotron.measure.bench.figures.failures import find_failures
from trt_nemotron.measure.bench.figures.open_loop import achieved_rps, is_behind, offered_rps
from trt_nemotron.measure.bench.figures.percentiles import CONFIDENCE, Percentile, percentile
from trt_nemotron.measure.bench.figures.request_figures import (
    RequestFigures,
    measure_request,
    token_chunks,
)
from trt_nemotron.measure.bench.figures.roofline import Ceiling, ratio_to_ceiling
from trt_nemotron.measure.bench.figures.scaling import scaling_notes
from trt_nemotron.measure.bench.figures.soak import find_drifts, soak_notes
from trt_nemotron.measure.bench.figures.stability import drift_notes
from trt_nemotron.measure.bench.figures.summary import (
    QUANTILES,
    Distribution,
    LegSummary,
    Slo,
    Summary,
)
from trt_nemotron.measure.bench.figures.validity import (
    doubtful_share,
    find_invalid_reasons,
    find_lateness_reasons,
)
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.server_side.joining import server_notes
from trt_nemotron.measure.bench.values import Measurement, RequestRecord

MOST_SHARED_STAMPS = 0.05
"""Share of chunks without a time of their own above which a summary says so."""

_NS_PER_S = 1e9


def summarise(
    measurement: Measurement, slo: Slo | None = None, ceilings: Sequence[Ceiling] = ()
) -> Summary:
    """Every figure of a measurement, recomputed from its raw records.

    Args:
        measurement: with its raw records.
        slo: what a request must keep to count as goodput.
        ceilings: what the board allows at best, for `roofline_ratio`.
    """
    held: dict[Leg, list[RequestRecord]] = {}
    for record in measurement.records:
        if not record.is_warmup:
            held.setdefault(record.leg, []).append(record)
    figures = {leg: _measure_good(records) for leg, records in held.items()}
    summaries = tuple(
        add_energy(
            ratio_to_ceiling(summarise_leg(leg, records, slo, figures[leg]), ceilings),
            measurement.energy,
            [record for record in measurement.records if record.leg == leg],
        )
        for leg, records in held.items()
    )
    lateness = find_lateness_reasons(measurement, figures)
    return Summary(
        concurrencies=summaries,
        clock=measurement.client.clock,
        confidence=CONFIDENCE,
        slo=slo,
        invalid_reasons=find_invalid_reasons(measurement, lateness),
        lateness_reasons=lateness,
        failures=tuple(find_failures(summaries, measurement.notes)),
        notes=(
            *measurement.notes,
            *(
                note
                for summary in summaries
                for note in _drift_notes(summary, held[summary.leg], figures[summary.leg])
            ),
            *filter(None, map(_stamp_note, summaries)),
            *filter(None, map(_behind_note, summaries)),
            *_clock_notes(measurement),
            *server_notes(measurement.server_side, measurement.records),
            *energy_notes(measurement.energy),
            *scaling_notes(summaries),
        ),
    )


def _measure_good(records: Sequence[RequestRecord]) -> list[RequestFigures]:
    return [measure_request(record) for record in records if record.gives_figures]


def _drift_notes(
    summary: LegSummary, records: Sequence[RequestRecord], figures: Sequence[RequestFigures]
) -> tuple[str, ...]:
    """Of a soak by its windows, of a shorter leg by its thirds; nothing where it fell behind."""
    if summary.is_behind:
        return ()
    if summary.drifts:
        return tuple(soak_notes(summary.leg, summary.drifts))
    return drift_notes(summary.leg, records, figures)


def _behind_note(summary: LegSummary) -> str:
    if not summary.is_behind:
        return ""
    achieved = f"{summary.achieved_rps:.3g}" if summary.achieved_rps is not None else "none"
    return (
        f"{summary.leg.title}: overloaded, requests waited longer and longer ({achieved} good "
        f"requests/s ended): its latencies depend on how long it was measured"
    )


def _stamp_note(summary: LegSummary) -> str:
    if summary.shared_stamp_share <= MOST_SHARED_STAMPS:
        return ""
    return (
        f"{summary.leg.title}: {summary.shared_stamp_share:.0%} of the token chunks "
        f"were read together with the one before (a burst of the server, or a late read): ITL "
        f"percentiles are too low, and in {summary.doubtful_share:.0%} of the requests TTFT may be "
        f"too long by more than 10 %"
    )


def _clock_notes(measurement: Measurement) -> Iterator[str]:
    """What happened to the clock, and what was given up for it: never silently."""
    void = Counter(
        (record.leg, record.void)
        for record in measurement.records
        if record.void and not record.is_warmup
    )
    for (leg, reason), count in void.items():
        yield f"{leg.title}: {count} requests give no latency: {reason}"
    client = measurement.client
    if client.clock_steps:
        yield f"the wall clock was stepped {client.clock_steps} times during the run"
    if client.lost_packets:
        yield f"the capture ring had no room for {client.lost_packets} packets"


def summarise_leg(
    leg: Leg,
    records: Sequence[RequestRecord],
    slo: Slo | None,
    measured: Sequence[RequestFigures] | None = None,
) -> LegSummary:
    """The figures of the measured (not warm-up) requests of one leg.

    `measured` are those of each good one, in their order, where they were measured already.
    """
    answered = [record for record in records if record.outcome == "ok"]
    good = [record for record in answered if not record.void]
    figures = _measure_good(good) if measured is None else measured
    duration_s = _duration_s(records)
    tpot = distribution(_present(figure.tpot_ms for figure in figures))
    tokens = [record.completion_tokens for record in answered]
    is_counted = bool(good) and min(tokens) >= 0 and duration_s > 0
    chunks = sum(len(figure.gaps_ms) + 1 for figure in figures)
    chunks += sum(len(token_chunks(record)) for record in answered if record.void)
    summary = LegSummary(
        concurrency=leg.concurrency,
        rate_rps=leg.rate_rps,
        input_tokens=leg.input_tokens,
        requests=len(records),
        good=len(good),
        outcomes=dict(Counter(record.outcome for record in records)),
        duration_s=duration_s,
        ttft_ms=distribution([figure.ttft_ms for figure in figures]),
        ttfa_ms=distribution(_present(figure.ttfa_ms for figure in figures)),
        tpot_ms=tpot,
        itl_ms=_pooled_gaps(figures),
        e2e_ms=distribution([figure.e2e_ms for figure in figures]),
        tokens_per_s=sum(tokens) / duration_s if is_counted else None,
        tokens_per_s_per_user=1000.0 / tpot.p50 if tpot.p50 else None,
        goodput_rps=None,
        error_share=(len(records) - len(answered)) / len(records) if records else 0.0,
        tokens_per_chunk=sum(tokens) / chunks if is_counted and chunks else None,
        shared_stamp_share=_shared_stamp_share(figures),
        doubtful_share=doubtful_share(figures),
        prompt_tokens=_mean_of_known([record.prompt_tokens for record in good]),
        cached_tokens=_sum_of_known([record.cached_tokens for record in good]),
        void=len(answered) - len(good),
        tpot_at_worst_ms=distribution(_present(figure.tpot_at_worst_ms for figure in figures)),
        service_ttft_ms=distribution([figure.service_ttft_ms for figure in figures]),
        service_e2e_ms=distribution([figure.service_e2e_ms for figure in figures]),
        achieved_rps=achieved_rps(answered),
        drifts=find_drifts(figures),
    )
    summary = _add_schedule(summary, records, figures)
    return summary if slo is None else _add_goodput(summary, figures, slo)


def _add_schedule(
    summary: LegSummary, records: Sequence[RequestRecord], figures: Sequence[RequestFigures]
) -> LegSummary:
    """What only an open loop has: its schedule, and how it was kept."""
    if not records or records[0].intended_ns < 0:
        return summary
    return msgspec.structs.replace(
        summary,
        queue_ms=distribution(_present(figure.queue_ms for figure in figures)),
        offered_rps=offered_rps(records),
        is_behind=is_behind(records),
    )


def _add_goodput(summary: LegSummary, figures: Sequence[RequestFigures], slo: Slo) -> LegSummary:
    """How many requests kept the SLO; a void one was answered, but nobody knows in what time."""
    kept = sum(keeps(figure, slo) for figure in figures)
    share = share_of(kept, summary.requests - summary.void)
    return msgspec.structs.replace(
        summary,
        kept=kept,
        goodput_rps=kept / summary.duration_s if summary.duration_s > 0 else None,
        goodput_share=share.value if share else None,
        goodput_share_low=share.low if share else None,
        goodput_share_high=share.high if share else None,
    )


def _pooled_gaps(figures: Sequence[RequestFigures]) -> Distribution:
    """All gaps, with limits that know that gaps of one stream and of one moment are alike."""
    gaps = ClusteredGaps(figures)
    return _describe(gaps.ordered, gaps.percentile)


def distribution(values: Sequence[float]) -> Distribution:
    """Percentiles with limits, mean and extremes of `values`."""
    ordered = sorted(values)
    return _describe(ordered, lambda quantile: percentile(ordered, quantile))


def _describe(
    ordered: Sequence[float], find_percentile: Callable[[float], Percentile]
) -> Distribution:
    if not ordered:
        return Distribution(samples=0)
    quantiles: dict[str, float | None] = {}
    for name, quantile in QUANTILES.items():
        found = find_percentile(quantile)
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


def _duration_s(records: Sequence[RequestRecord]) -> float:
    if not records:
        return 0.0
    begin = min(record.sent_ns for record in records)
    end = max(record.finished_ns for record in records)
    return (end - begin) / _NS_PER_S


def _shared_stamp_share(figures: Sequence[RequestFigures]) -> float:
    gaps = sum(len(figure.gaps_ms) for figure in figures)
    return sum(figure.gaps_ms.count(0.0) for figure in figures) / gaps if gaps else 0.0


def _present(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _mean_of_known(counts: Sequence[int]) -> float | None:
    known = [count for count in counts if count >= 0]
    return sum(known) / len(known) if known else None


def _sum_of_known(counts: Sequence[int]) -> int | None:
    known = [count for count in counts if count >= 0]
    return sum(known) if known else None
