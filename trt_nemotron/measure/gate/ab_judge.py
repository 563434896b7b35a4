"""The verdict over interleaved pairs of runs of two servers. Pure: values in, a value out.

The unit is the run, never its requests: requests of one run share whatever was going on, and tests
over requests alarmed on 15 to 36 % of identical servers (docs/gating.md). A bound is

- missed when B is worse beyond doubt *and* by more than the bound,
- kept when B is beyond doubt not worse by more than the bound,
- `inconclusive` otherwise: more pairs are needed, up to the cap.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from trt_nemotron.document import sha256_of
from trt_nemotron.errors import InvalidInput, NoValidMeasurement
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.baseline import time_of
from trt_nemotron.measure.gate.budget import Budget, RelativeBound, check_budget
from trt_nemotron.measure.gate.design import Design
from trt_nemotron.measure.gate.key import key_differences, key_of, unknown_fields
from trt_nemotron.measure.gate.metrics import Metric, metric_named
from trt_nemotron.measure.gate.outcome import worst
from trt_nemotron.measure.gate.result import show
from trt_nemotron.measure.gate.signed_rank import Shift, shift_of
from trt_nemotron.measure.gate.validity import fitness_faults, record_faults, sample_fault
from trt_nemotron.measure.gate.values import BoundResult, Decision, PairedDesign, Verdict

UNDER_TEST = (
    "runtime",
    "release",
    "model",
    "configuration_sha256",
    "image",
    "weights_sha256",
)
"""What may differ between the two sides; the device, the client and the work may not."""

MOST_DROPPED_SHARE = 0.25
"""Of the pairs measured; when more were not valid, what is left is a choice, not a sample."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs next to each other: A is what there was, B is the change.

    Attributes:
        first: which of both was measured first.
    """

    first: Literal["a", "b"]
    a: Measurement
    b: Measurement


def judge_pairs(
    budget: Budget,
    pairs: Sequence[Pair],
    design: Design,
    *,
    seed: int,
    dropped: Sequence[Pair] = (),
) -> Verdict:
    """Every relative bound of `budget` over `pairs`.

    Args:
        budget: its other bounds are for one measurement and are not judged here.
        pairs: in the order of measuring; a pair that is not valid makes the verdict `invalid`.
        design: how sure the limits have to be.
        seed: of the order, recorded with the verdict.
        dropped: pairs that were measured and left out; told, and too many are `invalid`.

    Raises:
        InvalidInput: the budget has no relative bound.
    """
    require_relative(budget)
    faults = tuple(dict.fromkeys(_faults(budget, pairs, dropped)))
    results = tuple(_judge(bound, pairs, design, faults) for bound in budget.relative)
    return Verdict(
        budget=budget.target,
        decision=worst(result.decision for result in results),
        results=results,
        confidence=1.0 - design.alarm_rate,
        invalid_reasons=faults,
        paired=PairedDesign(
            seed=seed,
            pairs=len(pairs),
            dropped=len(dropped),
            looks=design.looks,
            alarm_rate=design.alarm_rate,
        ),
    )


def require_relative(budget: Budget) -> None:
    """Refuse a budget that A/B cannot judge by, before anything is measured.

    Raises:
        InvalidInput: it has no relative bound, or one that cannot be judged.
    """
    check_budget(budget, origin=f"the budget for {budget.target}")
    if not budget.relative:
        raise InvalidInput(
            f"the budget for {budget.target} has no relative bound, so A/B has nothing to judge",
            next_step="Add `relative: [{metric: tpot_p50_ms, concurrency: 1, "
            "worse_by_at_most_percent: 3}]`.",
        )


def pair_faults(pair: Pair, budget: Budget) -> tuple[str, ...]:
    """Why a pair may not be judged."""
    return (*_run_faults(pair.a, budget), *_run_faults(pair.b, budget), *_between(pair))


def figure_faults(pair: Pair, budget: Budget) -> tuple[str, ...]:
    """Bounded figures that a run of a pair does not have, such as a median of too few requests."""
    doubts = (_doubt(bound, run) for run in (pair.a, pair.b) for bound in budget.relative)
    return tuple(filter(None, doubts))


def _doubt(bound: RelativeBound, run: Measurement) -> str:
    """Why there is no such figure; empty where there is one."""
    try:
        _figure(metric_named(bound.metric), bound, run)
    except NoValidMeasurement as fault:
        return fault.message
    return ""


def _run_faults(run: Measurement, budget: Budget) -> tuple[str, ...]:
    broken = record_faults(run)
    if broken:
        return broken
    samples = (sample_fault(run, b.place, budget.minimum_samples) for b in budget.relative)
    return (
        *fitness_faults(run, budget),
        *summarise(run, budget.slo).invalid_reasons,
        *(f"an unknown {name}" for name in unknown_fields(run)),
        *filter(None, samples),
    )


def _between(pair: Pair) -> Iterator[str]:
    if sha256_of(pair.a.records) == sha256_of(pair.b.records):
        yield "both runs of a pair are the same one"
    for phrase in key_differences(key_of(pair.b), key_of(pair.a), may_differ=UNDER_TEST):
        yield f"A was measured with {phrase}"
    if pair.a.workload.concurrencies != pair.b.workload.concurrencies or (
        pair.a.workload.requests_per_concurrency != pair.b.workload.requests_per_concurrency
    ):
        yield "A and B were not measured for equally long"
    earlier, later = (pair.a, pair.b) if pair.first == "a" else (pair.b, pair.a)
    begun, then = time_of(earlier.started_at), time_of(later.started_at)
    if begun is None or then is None or begun > then:
        yield "the runs of a pair were not started in the order that was drawn"


def _faults(budget: Budget, pairs: Sequence[Pair], dropped: Sequence[Pair]) -> Iterator[str]:
    if not pairs:
        yield "no pair is valid"
    for pair in pairs:
        yield from pair_faults(pair, budget)
    measured = len(pairs) + len(dropped)
    if len(dropped) > MOST_DROPPED_SHARE * measured:
        reasons = (
            fault
            for pair in dropped
            for fault in (pair_faults(pair, budget) or figure_faults(pair, budget))
        )
        yield f"{len(dropped)} of {measured} pairs were not valid: {next(reasons, 'no reason')}"
    for arm in ("a", "b"):
        keys = [key_of(getattr(pair, arm)) for pair in pairs]
        for key in keys[1:]:
            for phrase in key_differences(key, keys[0]):
                yield f"{arm.upper()} changed between its runs: {phrase}"


def _judge(
    bound: RelativeBound, pairs: Sequence[Pair], design: Design, faults: Sequence[str]
) -> BoundResult:
    metric = metric_named(bound.metric)
    figures: list[tuple[float, float]] = []
    doubt = next(iter(faults), "")
    if not doubt:
        try:
            figures = [
                (_figure(metric, bound, pair.a), _figure(metric, bound, pair.b)) for pair in pairs
            ]
        except NoValidMeasurement as fault:
            doubt = fault.message
    if doubt:
        return _result(bound, metric, "invalid", f"{metric.name}: {doubt}", len(pairs))
    shift = shift_of(
        [metric.loss(before, after) for before, after in figures],
        low_miss=design.fail_miss,
        high_miss=design.pass_miss,
    )
    return _judged(bound, metric, shift, median(before for before, _ in figures))


def decide_shift(metric: Metric, shift: Shift, percent: float) -> Decision:
    """What a shift (a logarithm, positive for worse) means against a bound of so many percent."""
    allowed = metric.loss(1.0, metric.worsened(1.0, percent))
    if shift.low > 0.0 and shift.estimate > allowed:
        return "fail"
    return "pass" if shift.high <= allowed else "inconclusive"


def _judged(bound: RelativeBound, metric: Metric, shift: Shift, before: float) -> BoundResult:
    percent = bound.worse_by_at_most_percent
    figure, *ends = (metric.after(before, loss) for loss in (shift.estimate, shift.low, shift.high))
    low, high = (end if math.isfinite(end) and end > 0.0 else None for end in sorted(ends))
    limits = f"({_change(metric, shift.low)} to {_change(metric, shift.high)})"
    return _result(
        bound,
        metric,
        decide_shift(metric, shift, percent),
        f"{metric.name} at concurrency {bound.concurrency} is {show(figure, metric)}, "
        f"{_change(metric, shift.estimate)} {limits} against A's {show(before, metric)} over "
        f"{shift.pairs} pairs, at most {percent:g} % worse ({metric.direction.replace('_', ' ')})",
        shift.pairs,
        figure=figure,
        limit=metric.worsened(before, percent),
        baseline=before,
        low=low,
        high=high,
    )


def _change(metric: Metric, shift: float) -> str:
    """A shift as the change of the metric itself, in percent."""
    if not math.isfinite(shift):
        return "no limit"
    return f"{(metric.after(1.0, shift) - 1.0) * 100.0:+.1f} %"


def _figure(metric: Metric, bound: RelativeBound, run: Measurement) -> float:
    figure = metric.interval(summarise(run).at(bound.concurrency)).figure
    if figure <= 0.0:
        raise NoValidMeasurement(f"{metric.name} of {figure:g} {metric.unit} cannot be")
    return figure


def _result(
    bound: RelativeBound,
    metric: Metric,
    decision: Decision,
    reason: str,
    pairs: int,
    *,
    figure: float | None = None,
    limit: float | None = None,
    baseline: float | None = None,
    low: float | None = None,
    high: float | None = None,
) -> BoundResult:
    return BoundResult(
        metric=metric.name,
        direction=metric.direction,
        concurrency=bound.concurrency,
        decision=decision,
        figure=figure,
        bound=limit,
        reason=reason,
        baseline=baseline,
        low=low,
        high=high,
        samples=pairs,
        kind="relative",
        unit=metric.unit,
    )
