"""A bound relative to an earlier run: both figures are uncertain, and both must be comparable."""

from collections.abc import Sequence

from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.baseline import mismatch
from trt_nemotron.measure.gate.between_runs import find_farthest, is_beyond, why_undecided
from trt_nemotron.measure.gate.budget import Budget, RelativeBound
from trt_nemotron.measure.gate.examined import Run, find
from trt_nemotron.measure.gate.metrics import Metric, metric_named
from trt_nemotron.measure.gate.result import Finding, bound_result, show_interval
from trt_nemotron.measure.gate.rule import decide_relative
from trt_nemotron.measure.gate.validity import drift_fault
from trt_nemotron.measure.gate.values import BoundResult


def judge_relative(  # noqa: PLR0917 - called in one place, by the judge
    bound: RelativeBound,
    budget: Budget,
    run: Run,
    baseline: Measurement | None,
    why_no_baseline: str,
    history: Sequence[Measurement] = (),
) -> BoundResult:
    """One relative bound; without a baseline that may be compared it is `no_baseline`.

    `history` are earlier runs of the same key: where there are enough, they tell how far unchanged
    runs stray (`between_runs.py`).
    """
    metric = metric_named(bound.metric)
    percent = bound.worse_by_at_most_percent
    found = find(metric, bound.place, budget, run)
    unsteady = next(iter(run.lateness), "") or drift_fault(run.measurement, bound.place)
    if unsteady and not found.doubt:
        found = Finding(found.interval, unsteady)
    allowed = f"at most {percent:g} % worse than the baseline"
    if found.interval is None or found.doubt:
        return bound_result(metric, bound, found, "invalid", allowed)
    kept = Finding(None, why_no_baseline)
    if baseline is not None:
        kept = _find_baseline(metric, bound, budget, run, baseline)
    if kept.interval is None or kept.doubt:
        doubtful = Finding(found.interval, kept.doubt)
        return bound_result(metric, bound, doubtful, "no_baseline", allowed)
    decision = decide_relative(metric, found.interval, kept.interval, percent)
    if decision == "fail":
        farthest = find_farthest(bound, budget, kept.interval.figure, run.measurement, history)
        if not is_beyond(metric, found.interval.figure, percent, farthest):
            decision = "inconclusive"
            found = Finding(found.interval, why_undecided(bound, budget, farthest))
    return bound_result(
        metric,
        bound,
        found,
        decision,
        f"{allowed}'s {show_interval(kept.interval, metric)}",
        limit=metric.worsened(kept.interval.figure, percent),
        baseline=kept.interval.figure,
    )


def _find_baseline(
    metric: Metric, bound: RelativeBound, budget: Budget, run: Run, baseline: Measurement
) -> Finding:
    why_not = mismatch(run.measurement, baseline, budget)
    why_not = why_not or drift_fault(baseline, bound.place)
    if why_not:
        return Finding(None, why_not)
    kept = find(metric, bound.place, budget, Run(baseline, summarise(baseline, budget.slo), ()))
    return Finding(kept.interval, f"in the baseline, {kept.doubt}" if kept.doubt else "")
