"""The verdict: validity first, then every bound of the budget. Pure: values in, a value out."""

from collections.abc import Sequence
from dataclasses import dataclass

from trt_nemotron.errors import NoValidMeasurement
from trt_nemotron.measure.bench.figures.percentiles import CONFIDENCE
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.figures.summary import Summary
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.baseline import mismatch, swap_faults
from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget, RelativeBound, check_budget
from trt_nemotron.measure.gate.family import is_missed_for_all, shared_confidence
from trt_nemotron.measure.gate.history import creep_remarks
from trt_nemotron.measure.gate.metrics import Metric, metric_named
from trt_nemotron.measure.gate.outcome import worst
from trt_nemotron.measure.gate.result import (
    Finding,
    bound_result,
    show,
    show_interval,
    unmeasured_result,
)
from trt_nemotron.measure.gate.rule import decide, decide_relative
from trt_nemotron.measure.gate.smoke_rule import judge_smoke
from trt_nemotron.measure.gate.validity import (
    fitness_faults,
    measured_records,
    physics_faults,
    record_faults,
    sample_fault,
    slowness_remarks,
)
from trt_nemotron.measure.gate.values import BoundResult, Decision, PhysicalLimit, Verdict
from trt_nemotron.measure.smoke.values import SmokeReport


@dataclass(frozen=True, slots=True)
class _Run:
    """A measurement with what follows from it.

    Attributes:
        summary: nothing when the records contradict themselves.
        faults: why the run may not be judged.
        lateness: why the client's own lateness shows in the figures; bounds are then judged by what
            the server can have done at worst, and can be kept, but not missed.
    """

    measurement: Measurement
    summary: Summary | None
    faults: tuple[str, ...]
    lateness: tuple[str, ...] = ()


def judge(
    budget: Budget,
    measurement: Measurement,
    *,
    smoke: SmokeReport | None = None,
    baseline: Measurement | None = None,
    why_no_baseline: str = "no baseline was handed over",
    history: Sequence[Measurement] = (),
    limits: Sequence[PhysicalLimit] = (),
) -> Verdict:
    """Every bound of `budget` against the raw records of `measurement`.

    Args:
        budget: what has to be kept.
        measurement: the run; its figures are recomputed here.
        smoke: judged whenever it is given; missing where the budget requires it is `invalid`.
        baseline: an earlier run; without it every relative bound is `no_baseline`.
        why_no_baseline: what is then said, such as the field in which the nearest one differs.
        history: comparable earlier runs, oldest first; slow creep among them is remarked on.
        limits: what the device can do at best; a better figure is `invalid`.

    Raises:
        InvalidInput: a bound that cannot be judged, such as an unknown metric.
    """
    check_budget(budget, origin=f"the budget for {budget.target}")
    run = _examine(budget, measurement, baseline, limits)
    results = (
        *(judge_smoke(report) for report in _smoke_reports(smoke, budget)),
        *(_judge_absolute(bound, budget, run) for bound in budget.bounds),
        *(
            _judge_relative(bound, budget, run, baseline, why_no_baseline)
            for bound in budget.relative
        ),
        *((unmeasured_result(budget.target),) if budget.status == "unmeasured" else ()),
    )
    decisions: list[Decision] = [result.decision for result in results]
    if run.faults:
        decisions.append("invalid")
    return Verdict(
        budget=budget.target,
        decision=worst(decisions),
        results=results,
        confidence=CONFIDENCE,
        invalid_reasons=run.faults,
        notes=run.lateness,
        remarks=_remarks(budget, run, history, limits),
    )


def _remarks(
    budget: Budget, run: _Run, history: Sequence[Measurement], limits: Sequence[PhysicalLimit]
) -> tuple[str, ...]:
    if run.summary is None:
        return ()
    creep = () if run.faults else creep_remarks(budget, [*history, run.measurement])
    return (*slowness_remarks(run.summary, limits), *creep)


def _examine(
    budget: Budget,
    measurement: Measurement,
    baseline: Measurement | None,
    limits: Sequence[PhysicalLimit],
) -> _Run:
    broken = record_faults(measurement)
    if broken:
        return _Run(measurement, None, broken)
    summary = summarise(measurement, budget.slo)
    swapped = () if baseline is None else swap_faults(measurement, baseline)
    faults = (
        *fitness_faults(measurement, budget),
        *(reason for reason in summary.invalid_reasons if reason not in summary.lateness_reasons),
        *physics_faults(summary, limits),
        *swapped,
    )
    return _Run(measurement, summary, tuple(dict.fromkeys(faults)), summary.lateness_reasons)


def _judge_absolute(bound: AbsoluteBound, budget: Budget, run: _Run) -> BoundResult:
    metric = metric_named(bound.metric)
    is_late = bool(run.lateness) and metric.is_timed
    found = _find(metric, bound.concurrency, budget, run, at_worst=is_late)
    decision: Decision = "invalid"
    if found.interval is not None and not found.doubt:
        decision = decide(metric, found.interval, bound.limit)
    if is_late and decision != "pass" and not found.doubt:
        decision, found = "invalid", Finding(found.interval, run.lateness[0])
    if decision == "fail" and not _is_missed_for_all(metric, bound, budget, run):
        decision = "inconclusive"
        found = Finding(found.interval, "missed by this bound's own limit, not with all the others")
    allowed = f"{metric.bound_key.replace('_', ' ')} {show(bound.limit, metric)}"
    return bound_result(metric, bound, found, decision, allowed, limit=bound.limit)


def _is_missed_for_all(metric: Metric, bound: AbsoluteBound, budget: Budget, run: _Run) -> bool:
    good = [
        record
        for record in measured_records(run.measurement)
        if record.concurrency == bound.concurrency and record.outcome == "ok"
    ]
    return is_missed_for_all(metric, bound, good, shared_confidence(budget))


def _judge_relative(
    bound: RelativeBound,
    budget: Budget,
    run: _Run,
    baseline: Measurement | None,
    why_no_baseline: str,
) -> BoundResult:
    metric = metric_named(bound.metric)
    percent = bound.worse_by_at_most_percent
    found = _find(metric, bound.concurrency, budget, run)
    if run.lateness and metric.is_timed and not found.doubt:
        found = Finding(found.interval, run.lateness[0])
    allowed = f"at most {percent:g} % worse than the baseline"
    if found.interval is None or found.doubt:
        return bound_result(metric, bound, found, "invalid", allowed)
    kept = Finding(None, why_no_baseline)
    if baseline is not None:
        kept = _find_baseline(metric, bound.concurrency, budget, run, baseline)
    if kept.interval is None or kept.doubt:
        doubtful = Finding(found.interval, kept.doubt)
        return bound_result(metric, bound, doubtful, "no_baseline", allowed)
    return bound_result(
        metric,
        bound,
        found,
        decide_relative(metric, found.interval, kept.interval, percent),
        f"{allowed}'s {show_interval(kept.interval, metric)}",
        limit=metric.worsened(kept.interval.figure, percent),
        baseline=kept.interval.figure,
    )


def _find_baseline(
    metric: Metric, concurrency: int, budget: Budget, run: _Run, baseline: Measurement
) -> Finding:
    why_not = mismatch(run.measurement, baseline, budget)
    if why_not:
        return Finding(None, why_not)
    kept = _find(metric, concurrency, budget, _Run(baseline, summarise(baseline, budget.slo), ()))
    return Finding(kept.interval, f"in the baseline, {kept.doubt}" if kept.doubt else "")


def _find(
    metric: Metric, concurrency: int, budget: Budget, run: _Run, *, at_worst: bool = False
) -> Finding:
    """The figure, and why it must not be judged; a doubtful figure is shown all the same."""
    doubt = next(iter(run.faults), "")
    doubt = doubt or sample_fault(run.measurement, concurrency, budget.minimum_samples)
    if run.summary is None or all(s.concurrency != concurrency for s in run.summary.concurrencies):
        return Finding(None, doubt)
    figures = run.summary.at(concurrency)
    try:
        return Finding(metric.interval(figures.at_worst() if at_worst else figures), doubt)
    except NoValidMeasurement as fault:
        return Finding(None, doubt or fault.message)


def _smoke_reports(smoke: SmokeReport | None, budget: Budget) -> tuple[SmokeReport | None, ...]:
    return (smoke,) if smoke is not None or budget.smoke.required else ()
