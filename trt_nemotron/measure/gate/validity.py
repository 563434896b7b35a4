"""Whether a run may be judged at all. Asked before any bound: a broken run is never a pass.

Every function gives sentences; no sentence means no fault. What follows from the client's own
health is found where it is measured (`bench.validity`) and taken over; here stand the faults of the
records themselves and those of a run that is not the one the budget is meant for.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from trt_nemotron.errors import NoValidMeasurement
from trt_nemotron.measure.bench.client_health import ClientHealth
from trt_nemotron.measure.bench.figures.open_loop import is_behind
from trt_nemotron.measure.bench.figures.request_figures import measure_request, token_chunks
from trt_nemotron.measure.bench.figures.soak import find_drifts, soak_notes
from trt_nemotron.measure.bench.figures.stability import drift_notes
from trt_nemotron.measure.bench.figures.summary import Summary
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import Measurement, RequestRecord
from trt_nemotron.measure.gate.budget import Budget
from trt_nemotron.measure.gate.demands import WorkloadRule
from trt_nemotron.measure.gate.metrics import Metric, metric_named
from trt_nemotron.measure.gate.place import Place, leg_fault, legs_at
from trt_nemotron.measure.gate.values import PhysicalLimit


def record_faults(measurement: Measurement) -> tuple[str, ...]:
    """Records that contradict themselves: no figure may be taken from such a file."""
    measured = measured_records(measurement)
    if not measured:
        return ("the run holds no measured request",)
    return (*_clock_faults(measured), *_twin_faults(measured), *_token_faults(measured))


def fitness_faults(measurement: Measurement, budget: Budget) -> tuple[str, ...]:
    """Why a run with sound records is still not the one to judge by `budget`."""
    measured = measured_records(measurement)
    return (
        *_target_faults(measurement, budget),
        *_workload_faults(measurement, budget.workload),
        *_outcome_faults(measurement, budget),
        *_length_faults(measurement, measured),
        *_cache_faults(measured, budget.workload),
        *_health_faults(measurement.client),
    )


def physics_faults(summary: Summary, limits: Sequence[PhysicalLimit]) -> Iterator[str]:
    """Figures better than the device can give: the measurement is broken, not the device fast."""
    for limit, metric, figure in _bounded(summary, limits):
        if figure != limit.best and metric.is_within(figure, limit.best):
            yield (
                f"{metric.name} of {figure:.4g} {metric.unit} at concurrency {limit.concurrency} "
                f"is better than the {limit.best:.4g} {metric.unit} that the device allows "
                f"({limit.source})"
            )


def slowness_remarks(summary: Summary, limits: Sequence[PhysicalLimit]) -> Iterator[str]:
    """Figures far from what the device allows, where it is known how near a sound server comes."""
    for limit, metric, figure in _bounded(summary, limits):
        smaller, larger = sorted((figure, limit.best))
        share = smaller / larger if larger else 1.0
        if share < limit.usual_share and not metric.is_within(figure, limit.best):
            yield (
                f"{metric.name} of {figure:.4g} {metric.unit} at concurrency {limit.concurrency} "
                f"is {share:.0%} of what the device allows ({limit.best:.4g} {metric.unit}), and "
                f"{limit.usual_share:.0%} is usual at least: are the weights in the precision that "
                "was planned, and the board in its power mode?"
            )


def _bounded(
    summary: Summary, limits: Sequence[PhysicalLimit]
) -> Iterator[tuple[PhysicalLimit, Metric, float]]:
    """Every limit with its metric and the figure that was measured, where there is one."""
    for limit in limits:
        metric = metric_named(limit.metric)
        for figures in summary.legs:
            if figures.concurrency != limit.concurrency:
                continue
            try:
                interval = metric.interval(figures)
            except NoValidMeasurement:
                continue
            yield limit, metric, interval.figure


def sample_fault(measurement: Measurement, place: Place, minimum: int) -> str:
    """Why the requests at `place` are no one leg, or too few to judge; empty when they suffice."""
    legs = legs_at(place, measurement)
    fault = leg_fault(place, legs)
    if fault:
        return fault
    good = sum(record.outcome == "ok" for record in _records_of(measurement, legs[0]))
    if good < minimum:
        return f"{good} good requests at {place.title}, the budget asks for {minimum}"
    return ""


def drift_fault(measurement: Measurement, place: Place) -> str:
    """How latency moved while it was measured at `place`; empty when it stood still.

    A warm-up that had not ended, a board that throttled, another load that came or went. Where a
    server fell behind, latency grows by that alone.
    """
    legs = legs_at(place, measurement)
    if leg_fault(place, legs):
        return ""
    records = _records_of(measurement, legs[0])
    if is_behind(records):
        return ""
    good = [record for record in records if record.gives_figures]
    drifts = find_drifts([measure_request(record) for record in good])
    notes = soak_notes(legs[0], drifts) if drifts else drift_notes(legs[0], good)
    return next(iter(notes), "")


def measured_records(measurement: Measurement) -> list[RequestRecord]:
    """The records that are not warm-up."""
    return [record for record in measurement.records if not record.is_warmup]


def _records_of(measurement: Measurement, leg: Leg) -> list[RequestRecord]:
    return [record for record in measured_records(measurement) if record.leg == leg]


def _clock_faults(records: Sequence[RequestRecord]) -> Iterator[str]:
    backwards = [record for record in records if not _runs_forward(record)]
    if backwards:
        yield f"the clock ran backwards in {_count(backwards)} ({_where(backwards[0])} first)"


def _runs_forward(record: RequestRecord) -> bool:
    """Whether every time of the record follows the one before; a failed request may lack some."""
    if record.outcome != "ok":
        return True
    stamps = (chunk.received_ns for chunk in record.chunks)
    times = [0, record.sent_ns, *stamps, record.finished_ns]
    return all(earlier <= later for earlier, later in pairwise(times))


def _twin_faults(records: Sequence[RequestRecord]) -> Iterator[str]:
    counts = Counter((r.concurrency, r.index, r.sent_ns) for r in records)
    twins = sum(count - 1 for count in counts.values())
    if twins:
        yield f"{twins} of {len(records)} records stand in the file twice"


def _token_faults(records: Sequence[RequestRecord]) -> Iterator[str]:
    empty = [r for r in records if r.outcome == "ok" and not token_chunks(r)]
    if empty:
        yield f"{_count(empty)} ended well without a single token ({_where(empty[0])} first)"


def _target_faults(measurement: Measurement, budget: Budget) -> Iterator[str]:
    measured = measurement.environment.target
    if measured != budget.target:
        yield f"the budget is for target {budget.target}, the run was on {measured}"


def _workload_faults(measurement: Measurement, rule: WorkloadRule) -> Iterator[str]:
    for name in ("input_tokens", "output_tokens", "is_thinking_enabled"):
        meant = getattr(rule, name)
        measured = getattr(measurement.workload, name)
        if meant is not None and measured != meant:
            yield f"the budget is meant for {name} {meant}, the run had {measured}"
    if rule.output_tokens is not None and not measurement.is_length_fixed:
        yield "the budget is meant for a fixed output length, the run had none"


def _outcome_faults(measurement: Measurement, budget: Budget) -> Iterator[str]:
    """Failed requests, except where the budget itself says how many may fail."""
    usual = measurement.workload.input_tokens
    records = measured_records(measurement)
    places = [bound.place for bound in budget.bounds if bound.metric == "error_share"]
    failed = [
        record
        for record in records
        if record.outcome != "ok" and not any(place.holds(record.leg, usual) for place in places)
    ]
    if failed:
        kinds = Counter(record.outcome for record in failed)
        seen = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        yield f"{len(failed)} of {len(records)} requests failed ({seen})"


def _length_faults(measurement: Measurement, records: Sequence[RequestRecord]) -> Iterator[str]:
    good = [record for record in records if record.outcome == "ok"]
    unknown = [record for record in good if record.completion_tokens < 0]
    if unknown:
        yield f"the server did not say how many tokens it made in {_count(unknown)}"
    asked = measurement.workload.output_tokens
    wrong = [r for r in good if r.completion_tokens >= 0 and r.completion_tokens != asked]
    if measurement.is_length_fixed and wrong:
        made = sorted({record.completion_tokens for record in wrong})
        yield (
            f"{_count(wrong)} made {', '.join(map(str, made[:3]))} tokens "
            f"instead of the {asked} asked for"
        )


def _cache_faults(records: Sequence[RequestRecord], rule: WorkloadRule) -> Iterator[str]:
    known = [r for r in records if r.prompt_tokens > 0 and r.cached_tokens >= 0]
    prompt = sum(record.prompt_tokens for record in known)
    share = sum(record.cached_tokens for record in known) / prompt if prompt else 0.0
    if share > rule.cached_share_at_most:
        yield (
            f"{share:.0%} of the prompt tokens came from the server's cache, "
            f"at most {rule.cached_share_at_most:.0%} may"
        )


def _health_faults(client: ClientHealth) -> Iterator[str]:
    figures = {
        "processor share": client.cpu_share,
        "timer lateness": client.loop_lag_p99_ms,
        "own TTFT": client.floor_ttft_p50_ms,
    }
    for name, figure in figures.items():
        if not math.isfinite(figure) or figure < 0:
            yield f"the client's {name} reads {figure:g}: it was not measured"


def _count(records: Sequence[RequestRecord]) -> str:
    return f"{len(records)} request{'s' if len(records) > 1 else ''}"


def _where(record: RequestRecord) -> str:
    return f"request {record.index} at concurrency {record.concurrency}"
