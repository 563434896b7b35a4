"""What an A/B gate will find, said before it is run: its power by the noise between runs.

How much two neighbouring runs of one server differ is not known before; so the power is given for
several amounts of it. The noise is taken as normal, which real noise is not: docs/gating.md has
the rates over recorded noise.
"""

import math
import random
from dataclasses import dataclass

from trt_nemotron.measure.gate.ab_judge import decide_shift
from trt_nemotron.measure.gate.design import Design
from trt_nemotron.measure.gate.metrics import Metric
from trt_nemotron.measure.gate.signed_rank import shift_of

SPREADS_PERCENT = (0.5, 2.0, 5.0, 10.0)
"""Standard deviation of one run's median: a quiet board, a usual one, a busy one, a loaded one."""
_DRAWS = 200


@dataclass(frozen=True, slots=True)
class Power:
    """What becomes of a true change.

    Attributes:
        spread_percent: standard deviation of a run's figure.
        caught: share of the gates that fail it.
        pairs: that half of those took at most.
    """

    spread_percent: float
    caught: float
    pairs: int


def power_at(
    metric: Metric, design: Design, bound_percent: float, change_percent: float, spread: float
) -> Power:
    """How often a metric that became worse by `change_percent` is found so, by simulation.

    Args:
        metric: its direction is used.
        design: looks and miss rates.
        bound_percent: of the relative bound.
        change_percent: the truth.
        spread: in percent, of one run's figure.
    """
    coin = random.Random(1)  # noqa: S311 - the same table each time
    change = metric.loss(1.0, metric.worsened(1.0, change_percent))
    deviation = math.sqrt(2.0) * math.log1p(spread / 100.0)
    taken = sorted(
        pairs
        for pairs in (
            _pairs_to_fail(metric, design, bound_percent, change, deviation, coin)
            for _ in range(_DRAWS)
        )
        if pairs
    )
    return Power(spread, len(taken) / _DRAWS, taken[len(taken) // 2] if taken else 0)


def _pairs_to_fail(  # noqa: PLR0917 - called in one place, right above
    metric: Metric,
    design: Design,
    bound_percent: float,
    change: float,
    deviation: float,
    coin: random.Random,
) -> int:
    """Pairs after which one simulated gate failed; 0 when it did not."""
    losses: list[float] = []
    for look in design.looks:
        losses += [coin.gauss(change, deviation) for _ in range(look - len(losses))]
        shift = shift_of(losses, low_miss=design.fail_miss, high_miss=design.pass_miss)
        decision = decide_shift(metric, shift, bound_percent)
        if decision != "inconclusive":
            return look if decision == "fail" else 0
    return 0
