"""A judged bound put into a value, with its reason as one sentence."""

from dataclasses import dataclass

from trt_nemotron.measure.gate.budget import AbsoluteBound, RelativeBound
from trt_nemotron.measure.gate.metrics import Interval, Metric
from trt_nemotron.measure.gate.values import BoundResult, Decision

SMOKE_METRIC = "smoke_checks_failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """A figure, and why it must not be judged; an empty `doubt` means that it may."""

    interval: Interval | None
    doubt: str


def bound_result(
    metric: Metric,
    bound: AbsoluteBound | RelativeBound,
    found: Finding,
    decision: Decision,
    allowed: str,
    *,
    limit: float | None = None,
    baseline: float | None = None,
) -> BoundResult:
    """The result for one bound.

    Args:
        metric: what was bounded.
        bound: as the budget has it.
        found: the figure with its doubt.
        decision: what the rule said.
        allowed: the bound in words.
        limit: the bound in the metric's unit, where one is known.
        baseline: the baseline's figure, where there is one.
    """
    interval = found.interval
    shown = "has no figure" if interval is None else f"is {show_interval(interval, metric)}"
    direction = metric.direction.replace("_", " ")
    place = f" at {bound.place.title}" if metric.scope == "leg" else ""
    reason = f"{metric.name}{place} {shown}, {allowed} ({direction})"
    return BoundResult(
        metric=metric.name,
        direction=metric.direction,
        concurrency=bound.place.concurrency,
        rate_rps=bound.place.rate_rps,
        input_tokens=bound.place.input_tokens,
        decision=decision,
        figure=None if interval is None else interval.figure,
        bound=limit,
        reason=f"{reason}: {found.doubt}" if found.doubt else reason,
        baseline=baseline,
        low=None if interval is None else interval.low,
        high=None if interval is None else interval.high,
        samples=0 if interval is None else interval.samples,
        kind="absolute" if isinstance(bound, AbsoluteBound) else "relative",
        unit=metric.unit,
    )


def smoke_result(
    decision: Decision, failed: int | None, checks: int, reason: str, allowed: int = 0
) -> BoundResult:
    """The result for the smoke report: `failed` of `checks` that were run, `allowed` may fail."""
    return BoundResult(
        metric=SMOKE_METRIC,
        direction="lower_is_better",
        concurrency=0,
        decision=decision,
        figure=failed,
        bound=allowed,
        reason=reason,
        samples=checks,
        kind="smoke",
        unit="checks",
    )


def unmeasured_result(target: str) -> BoundResult:
    """The result that keeps a budget without figures from passing by silence."""
    return BoundResult(
        metric="budget",
        direction="lower_is_better",
        concurrency=0,
        decision="no_baseline",
        figure=None,
        bound=None,
        reason=f"unmeasured: no figure for this board has been taken ({target}); this run was held "
        "against validity, physics and smoke only. Copy the budget, write bounds into it, and "
        "hand it over with --budget",
        kind="unmeasured",
    )


def show(number: float, metric: Metric) -> str:
    """A number with its unit."""
    return f"{number:.4g} {metric.unit}"


def show_interval(interval: Interval, metric: Metric) -> str:
    """A figure with its unit and, where it has them, its limits."""
    if interval.low == interval.high:
        return show(interval.figure, metric)
    return f"{show(interval.figure, metric)} ({interval.low:.4g} to {interval.high:.4g})"
