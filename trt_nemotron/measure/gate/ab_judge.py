"""The verdict over interleaved pairs of two servers. Pure: values in, a value out.

A pair is two runs in turn, or two neighbouring requests whose order a coin drew; what the order did
not draw is never the unit: tests over the requests of two runs alarmed on 15 to 36 % of identical
servers (docs/gating.md). A bound is

- missed when B is worse beyond doubt *and* by more than the bound,
- kept when B is beyond doubt not worse by more than the bound, even by the worst that a late client
  can have hidden (`ab_lateness`),
- `inconclusive` otherwise, and wherever neighbouring pairs are alike because one of the processes
  was disturbed for long (`ab_dependence`): more pairs are needed, up to the cap.
"""

import math
from collections.abc import Iterator, Sequence
from statistics import median

from trt_nemotron.errors import InvalidInput, NoValidMeasurement
from trt_nemotron.measure.gate.ab_dependence import MOST_DEPENDENCE, dependence
from trt_nemotron.measure.gate.ab_lateness import Compared
from trt_nemotron.measure.gate.ab_pair import (
    MOST_DROPPED_SHARE,
    Pair,
    compare,
    figure_faults,
    lateness_reasons,
    pair_faults,
    prompt_tokens,
)
from trt_nemotron.measure.gate.budget import Budget, RelativeBound, check_budget
from trt_nemotron.measure.gate.design import Design
from trt_nemotron.measure.gate.key import key_differences, key_of
from trt_nemotron.measure.gate.metrics import Metric, metric_named
from trt_nemotron.measure.gate.outcome import worst
from trt_nemotron.measure.gate.result import show
from trt_nemotron.measure.gate.signed_rank import Shift, shift_of
from trt_nemotron.measure.gate.values import BoundResult, Decision, PairedDesign, Verdict

SAME_LENGTH_SHARE = 0.01
"""Of a prompt's tokens; both sides get as many words, so more is another template or tokenizer."""


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
    results = tuple(_judge(bound, budget, pairs, design, faults) for bound in budget.relative)
    good, measured = count_pairs(budget, pairs, dropped)
    return Verdict(
        budget=budget.target,
        decision=worst(result.decision for result in results),
        results=results,
        confidence=1.0 - design.alarm_rate,
        invalid_reasons=faults,
        remarks=tuple(_remarks(pairs)),
        paired=PairedDesign(
            seed=seed,
            pairs=good,
            dropped=measured - good,
            looks=design.looks,
            alarm_rate=design.alarm_rate,
            unit="request" if any(pair.order for pair in pairs) else "run",
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


def count_pairs(
    budget: Budget, pairs: Sequence[Pair], dropped: Sequence[Pair] = ()
) -> tuple[int, int]:
    """How many pairs may be judged, and how many were measured."""
    good = sum(_count_good(budget, pair) for pair in pairs)
    return good, sum(pair.size for pair in (*pairs, *dropped))


def are_too_many_dropped(good: int, measured: int) -> bool:
    """Whether what is left is a choice and no sample."""
    return measured - good > MOST_DROPPED_SHARE * measured


def _count_good(budget: Budget, pair: Pair) -> int:
    return len(compare(pair, budget.relative)) if pair.order else 1


def _faults(budget: Budget, pairs: Sequence[Pair], dropped: Sequence[Pair]) -> Iterator[str]:
    if not pairs:
        yield "no pair is valid"
    for pair in pairs:
        yield from pair_faults(pair, budget)
    good, measured = count_pairs(budget, pairs, dropped)
    if are_too_many_dropped(good, measured):
        reasons = (
            fault
            for pair in dropped
            for fault in (pair_faults(pair, budget) or figure_faults(pair, budget))
        )
        reason = next(reasons, "requests without a bounded figure")
        yield f"{measured - good} of {measured} pairs were not valid: {reason}"
    if any(pair.order for pair in pairs) and good < budget.minimum_samples:
        yield f"{good} good pairs of requests, the budget asks for {budget.minimum_samples}"
    for arm in ("a", "b"):
        keys = [key_of(getattr(pair, arm)) for pair in pairs]
        for key in keys[1:]:
            for phrase in key_differences(key, keys[0]):
                yield f"{arm.upper()} changed between its runs: {phrase}"


def _remarks(pairs: Sequence[Pair]) -> Iterator[str]:
    late = [reasons for reasons in map(lateness_reasons, pairs) if reasons]
    if late:
        yield (
            f"the client itself was late in {len(late)} of {len(pairs)} stretches of measuring "
            f"({late[0][0]}); the coin deals that to A and B alike, and a pass is judged by the "
            "worst that it can have hidden"
        )
    a, b = prompt_tokens(pairs, "a"), prompt_tokens(pairs, "b")
    if a and b and abs(b - a) > SAME_LENGTH_SHARE * a:
        yield (
            f"the prompts had {a:.1f} tokens for A and {b:.1f} for B: part of any change is what a "
            "prompt of another length takes"
        )


def _judge(
    bound: RelativeBound,
    budget: Budget,
    pairs: Sequence[Pair],
    design: Design,
    faults: Sequence[str],
) -> BoundResult:
    metric = metric_named(bound.metric)
    good = len(pairs) if faults else count_pairs(budget, pairs)[0]
    found: list[Compared] = []
    doubt = next(iter(faults), "")
    if not doubt:
        try:
            found = [compared for pair in pairs for compared in _compare(bound, budget, pair)]
        except NoValidMeasurement as fault:
            doubt = fault.message
    if doubt:
        return _result(bound, metric, "invalid", f"{metric.name}: {doubt}", good)
    return _judged(bound, metric, found, design)


def _compare(bound: RelativeBound, budget: Budget, pair: Pair) -> list[Compared]:
    """Of one bound; two requests count for all bounds or for none."""
    if not pair.order:
        return [compared for (compared,) in compare(pair, (bound,))]
    place = budget.relative.index(bound)
    return [each[place] for each in compare(pair, budget.relative)]


def decide_shift(
    metric: Metric, shift: Shift, percent: float, worst_high: float = -math.inf
) -> Decision:
    """What a shift (a logarithm, positive for worse) means against a bound of so many percent.

    Args:
        metric: its direction is used.
        shift: as measured.
        percent: of the bound.
        worst_high: the upper limit where a late client hid all that it can have hidden.
    """
    allowed = metric.loss(1.0, metric.worsened(1.0, percent))
    if shift.low > 0.0 and shift.estimate > allowed:
        return "fail"
    return "pass" if max(shift.high, worst_high) <= allowed else "inconclusive"


def _judged(
    bound: RelativeBound, metric: Metric, found: Sequence[Compared], design: Design
) -> BoundResult:
    shift, worst_high = shift_and_worst(metric, found, design)
    percent, before = bound.worse_by_at_most_percent, median(each.before for each in found)
    decision, alike, hidden = decide_shift(metric, shift, percent, worst_high), "", ""
    z = dependence([each.loss(metric) for each in found])
    if decision != "inconclusive" and z > MOST_DEPENDENCE:
        decision = "inconclusive"
        alike = (
            f"; neighbouring pairs are alike ({z:.1f} standard deviations), so one of both "
            "processes was disturbed for long and this may be its place, not the change: hold both "
            "servers to the same processors (taskset -c), or take --serving in-turn"
        )
    elif decision == "inconclusive" and decide_shift(metric, shift, percent) == "pass":
        hidden = f", and {_change(metric, worst_high)} where the client hid all that it can have"
    figure, *ends = (metric.after(before, loss) for loss in (shift.estimate, shift.low, shift.high))
    low, high = (end if math.isfinite(end) and end > 0.0 else None for end in sorted(ends))
    limits = f"({_change(metric, shift.low)} to {_change(metric, shift.high)}{hidden})"
    return _result(
        bound,
        metric,
        decision,
        f"{metric.name} at concurrency {bound.concurrency} is {show(figure, metric)}, "
        f"{_change(metric, shift.estimate)} {limits} against A's {show(before, metric)} over "
        f"{shift.pairs} pairs, at most {percent:g} % worse "
        f"({metric.direction.replace('_', ' ')}){alike}",
        shift.pairs,
        figure=figure,
        limit=metric.worsened(before, percent),
        baseline=before,
        low=low,
        high=high,
    )


def shift_and_worst(
    metric: Metric, found: Sequence[Compared], design: Design
) -> tuple[Shift, float]:
    """The shift as measured, and its upper limit by the worst that the client can have hidden."""
    miss = {"low_miss": design.fail_miss, "high_miss": design.pass_miss}
    shift = shift_of([each.loss(metric) for each in found], **miss)
    if not any(each.late_before or each.late_after for each in found):
        return shift, shift.high
    return shift, shift_of([each.worst_loss(metric) for each in found], **miss).high


def _change(metric: Metric, shift: float) -> str:
    """A shift as the change of the metric itself, in percent."""
    if not math.isfinite(shift):
        return "no limit"
    return f"{(metric.after(1.0, shift) - 1.0) * 100.0:+.1f} %"


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
