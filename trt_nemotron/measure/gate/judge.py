"""The verdict: validity first, then every bound of the budget. Pure: values in, a value out."""

from collections.abc import Sequence

from trt_nemotron.measure.bench.figures.percentiles import CONFIDENCE
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.absolute import judge_absolute
from trt_nemotron.measure.gate.between_runs import rate_remark
from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget, check_budget
from trt_nemotron.measure.gate.examined import Run, examine
from trt_nemotron.measure.gate.history import creep_remarks
from trt_nemotron.measure.gate.metrics import metric_named
from trt_nemotron.measure.gate.outcome import worst
from trt_nemotron.measure.gate.relative import judge_relative
from trt_nemotron.measure.gate.result import unmeasured_result
from trt_nemotron.measure.gate.smoke_rule import judge_smoke
from trt_nemotron.measure.gate.start_rule import judge_start
from trt_nemotron.measure.gate.validity import slowness_remarks
from trt_nemotron.measure.gate.values import (
    BoundResult,
    Decision,
    PhysicalLimit,
    StartFigures,
    Verdict,
)
from trt_nemotron.measure.smoke.values import SmokeReport


def judge(
    budget: Budget,
    measurement: Measurement,
    *,
    smoke: SmokeReport | None = None,
    baseline: Measurement | None = None,
    why_no_baseline: str = "no baseline was handed over",
    history: Sequence[Measurement] = (),
    limits: Sequence[PhysicalLimit] = (),
    start: StartFigures | None = None,
) -> Verdict:
    """Every bound of `budget` against the raw records of `measurement`.

    Args:
        budget: what has to be kept.
        measurement: the run; its figures are recomputed here.
        smoke: judged whenever it is given; missing where the budget requires it is `invalid`.
        baseline: an earlier run; without it every relative bound is `no_baseline`.
        why_no_baseline: what is then said, such as the field in which the nearest one differs.
        history: comparable earlier runs, oldest first; slow creep among them is remarked on,
            and a failure against `baseline` has to exceed what they show of unchanged servers.
        limits: what the device can do at best; a better figure is `invalid`.
        start: what starting the server took, for the bounds of it; without it they are `invalid`.

    Raises:
        InvalidInput: a bound that cannot be judged, such as an unknown metric.
    """
    check_budget(budget, origin=f"the budget for {budget.target}")
    run = examine(budget, measurement, baseline, limits)
    results = (
        *(judge_smoke(report, budget.smoke) for report in _smoke_reports(smoke, budget)),
        *(_judge_bound(bound, budget, run, start) for bound in budget.bounds),
        *(
            judge_relative(bound, budget, run, baseline, why_no_baseline, history)
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
        remarks=(*_remarks(budget, run, history, limits), *rate_remark(budget, baseline)),
    )


def _remarks(
    budget: Budget, run: Run, history: Sequence[Measurement], limits: Sequence[PhysicalLimit]
) -> tuple[str, ...]:
    if run.summary is None:
        return ()
    creep = () if run.faults else creep_remarks(budget, [*history, run.measurement])
    return (*slowness_remarks(run.summary, limits), *creep)


def _judge_bound(
    bound: AbsoluteBound, budget: Budget, run: Run, start: StartFigures | None
) -> BoundResult:
    if metric_named(bound.metric).scope == "start":
        return judge_start(bound, run.measurement, start)
    return judge_absolute(bound, budget, run)


def _smoke_reports(smoke: SmokeReport | None, budget: Budget) -> tuple[SmokeReport | None, ...]:
    return (smoke,) if smoke is not None or budget.smoke.needs_report else ()
