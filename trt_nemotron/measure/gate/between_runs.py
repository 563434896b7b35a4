"""How far a run of an unchanged server may stray from a stored one, before that is a failure.

The limits of a median come from the requests of one run and say nothing of how much a second run
would differ. One stored run does not tell it either. So a failure against a stored baseline has to
exceed the bound from the *farthest* that unchanged runs go:

- where the store has runs enough of the same key, from the worst of them. If nothing changed, the
  new run is as likely as each of the others to be the worst of all n + 1, whatever the noise looks
  like, so it is with a chance of one in n + 1. To keep the stated rate over k bounds that takes
  n + 1 >= k / rate runs: 99 for one bound at one percent, 199 for two;
- else from `UNKNOWN_SCATTER` times the baseline.

What lies between is `inconclusive`: two servers measured in turn decide it (`ab.py`).
The rank rule is the distribution-free prediction limit, e.g.
https://en.wikipedia.org/wiki/Prediction_interval#Non-parametric_methods.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.budget import Budget, RelativeBound
from trt_nemotron.measure.gate.design import ALARM_RATE
from trt_nemotron.measure.gate.history import comparable_figures
from trt_nemotron.measure.gate.metrics import Metric, metric_named
from trt_nemotron.measure.gate.result import show

UNKNOWN_SCATTER = 2.5
"""Two runs of eight requests of one server on an overloaded machine differed by more than this
factor in one case of two hundred (`benchmarks/gate_rates.py --only stored`)."""


@dataclass(frozen=True, slots=True)
class Farthest:
    """The farthest that a run of an unchanged server goes.

    Attributes:
        figure: in the metric's unit.
        runs: earlier runs that it is the worst of; 0 where they were too few to tell.
    """

    figure: float
    runs: int = 0


def runs_needed(bounds: int, alarm_rate: float = ALARM_RATE) -> int:
    """Earlier runs from which on their worst keeps the rate over so many bounds together."""
    return math.ceil(bounds / alarm_rate - 1e-9) - 1


def farthest_of(metric: Metric, baseline: float, earlier: Sequence[float], bounds: int) -> Farthest:
    """From how far a new run has to be worse by the bound.

    Args:
        metric: its direction is used.
        baseline: the figure that is compared with; at least that is allowed in any case.
        earlier: figures of comparable runs of servers that nothing was wrong with.
        bounds: relative bounds of the budget, which share the rate.
    """
    if len(earlier) < runs_needed(bounds):
        return Farthest(metric.after(baseline, math.log(UNKNOWN_SCATTER)))
    worst = max((baseline, *earlier), key=lambda figure: metric.loss(baseline, figure))
    return Farthest(worst, len(earlier))


def find_farthest(
    bound: RelativeBound,
    budget: Budget,
    baseline: float,
    run: Measurement,
    history: Sequence[Measurement],
) -> Farthest:
    """The same from the kept runs, of which those count that may be compared with `run`."""
    earlier = [figure for _, figure in comparable_figures(bound, history, run)]
    return farthest_of(metric_named(bound.metric), baseline, earlier, len(budget.relative))


def is_beyond(metric: Metric, figure: float, percent: float, farthest: Farthest) -> bool:
    """Whether a run is worse by the bound than the farthest that unchanged ones go."""
    return not metric.is_within(figure, metric.worsened(farthest.figure, percent))


def why_undecided(bound: RelativeBound, budget: Budget, farthest: Farthest) -> str:
    """What stands between an excess over the bound and a failure, and what decides."""
    metric = metric_named(bound.metric)
    limit = metric.worsened(farthest.figure, bound.worse_by_at_most_percent)
    if farthest.runs:
        source = f"the worst of {farthest.runs} earlier runs and the bound"
    else:
        source = (
            f"as two runs of one server may differ by a factor of {UNKNOWN_SCATTER:g}, and fewer "
            f"than {runs_needed(len(budget.relative))} earlier runs say how much they do here"
        )
    return f"only beyond {show(limit, metric)} is it a failure ({source}); `gate --ab` decides"


def rate_remark(budget: Budget, baseline: Measurement | None) -> tuple[str, ...]:
    """What a verdict against a stored run can and cannot find; nothing where it has none."""
    if baseline is None or not budget.relative:
        return ()
    names = ", ".join(dict.fromkeys(metric_named(b.metric).name for b in budget.relative))
    remark = (
        f"{names}: judged by one run against a stored one, which finds what is coarse; a small "
        "change is found by `gate --ab` (docs/gating.md)"
    )
    return (remark,)
