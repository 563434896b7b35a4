"""How many pairs are measured, when they are looked at, and how sure each look has to be.

The rate that is stated holds for the gate as a whole: it is shared out evenly over the bounds and
over the looks (Bonferroni), so no dependence between metrics or between looks can exceed it.
"""

import math
from dataclasses import dataclass

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.gate.signed_rank import fewest_pairs

ALARM_RATE = 0.01
"""How often, at most, the whole gate fails a change that changed nothing."""
MOST_PAIRS = 120
"""The cap of pairs of runs: what is not decided by then is `inconclusive`."""
MOST_REQUEST_PAIRS = 480
"""The cap of pairs of single requests."""
FEWEST_PAIRS = 5
LOOKS = 4


@dataclass(frozen=True, slots=True)
class Design:
    """When to look, and the miss rates of the limits at each look.

    Attributes:
        looks: numbers of pairs, rising; the last is the cap.
        fail_miss: how often the lower limit may lie over the truth, at one look of one bound.
        pass_miss: the same of the upper limit. It is not shared out over the bounds: a change that
            made one metric worse passes only if that one metric's limit missed.
    """

    alarm_rate: float
    looks: tuple[int, ...]
    fail_miss: float
    pass_miss: float

    @property
    def most_pairs(self) -> int:
        """The cap."""
        return self.looks[-1]


def make_design(
    bounds: int, *, alarm_rate: float = ALARM_RATE, most_pairs: int = MOST_PAIRS
) -> Design:
    """The design for a budget with so many relative bounds.

    Raises:
        InvalidInput: no such rate, nothing to judge, or a cap under which nothing could ever fail.
    """
    if not 0.0 < alarm_rate < 0.5 or bounds < 1:
        raise InvalidInput(
            f"no design judges {bounds} bounds at a false-alarm rate of {alarm_rate:g}",
            next_step="Give at least one relative bound and a rate between 0 and 0.5.",
        )
    fail_miss = alarm_rate / (bounds * LOOKS)
    first = max(FEWEST_PAIRS, fewest_pairs(fail_miss))
    if first > most_pairs:
        raise InvalidInput(
            f"{most_pairs} pairs cannot show a failure of {bounds} bounds at a false-alarm rate of "
            f"{alarm_rate:g}",
            evidence=f"the rarest outcome of {most_pairs} pairs has a chance of 1 in "
            f"{2**most_pairs:,}",
            next_step=f"Allow at least {first} pairs.",
        )
    growth = (most_pairs / first) ** (1.0 / (LOOKS - 1))
    looks = {math.floor(first * growth**place + 1e-9) for place in range(LOOKS - 1)}
    return Design(
        alarm_rate=alarm_rate,
        looks=tuple(sorted(looks | {most_pairs})),
        fail_miss=fail_miss,
        pass_miss=alarm_rate / LOOKS,
    )
