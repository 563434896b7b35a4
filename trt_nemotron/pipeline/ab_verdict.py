"""An A/B gate's verdict with what is judged besides pairs: B's answers, and where both stood."""

from collections.abc import Sequence

from msgspec.structs import replace

from trt_nemotron.measure.gate.ab_record import AbPlan
from trt_nemotron.measure.gate.budget import Budget
from trt_nemotron.measure.gate.design import ALARM_RATE
from trt_nemotron.measure.gate.outcome import worst
from trt_nemotron.measure.gate.smoke_rule import judge_smoke
from trt_nemotron.measure.gate.values import Verdict
from trt_nemotron.measure.smoke.values import SmokeReport


def with_smoke(
    verdict: Verdict, smoke: SmokeReport, plan: AbPlan, budget: Budget | None = None
) -> Verdict:
    """The verdict with B's smoke as its first bound, and what was not judged remarked on.

    `budget` is the one that was judged by, where it is not the plan's.
    """
    judged = budget or plan.budget
    result = judge_smoke(smoke, judged.smoke)
    return replace(
        verdict,
        decision=worst((result.decision, verdict.decision)),
        results=(result, *verdict.results),
        remarks=(*verdict.remarks, *_unjudged(judged), *_place(plan)),
    )


def smoke_failure(budget: Budget, smoke: SmokeReport) -> Verdict | None:
    """The verdict where B answers worse than the budget allows; its speed is not asked for then."""
    result = judge_smoke(smoke, budget.smoke)
    if result.decision == "pass":
        return None
    return Verdict(
        budget=budget.target,
        decision=result.decision,
        results=(result,),
        confidence=1.0 - ALARM_RATE,
        remarks=("B answers wrongly, so its speed was not measured: a wrong answer is no gain",),
    )


def _unjudged(budget: Budget) -> Sequence[str]:
    if not budget.bounds:
        return ()
    judged_elsewhere = (
        f"{len(budget.bounds)} absolute bounds of the budget are for one measurement and were not "
        "judged: `trt-nemotron gate MEASUREMENT` does"
    )
    return (judged_elsewhere,)


def _place(plan: AbPlan) -> Sequence[str]:
    if plan.cores:
        which = ", ".join(map(str, plan.cores))
        return (f"both servers were held to the same processors ({which})",)
    if plan.serving == "urls":
        told = (
            "nobody but you knows whether both servers have the same place on this device: on a "
            "busy one, hold both to the same processors (taskset -c)"
        )
        return (told,)
    return ()
