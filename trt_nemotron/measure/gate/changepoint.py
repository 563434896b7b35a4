"""Slow creep: whether the runs of a history became worse somewhere, by ranks alone.

Each split of the history into earlier and later runs is asked how often a later run is worse than
an earlier one; the most telling split is the change. By ranks, one stalled run moves nothing. A
creep of one percent a run has no one place of change, but shows all the same.

Method: A. N. Pettitt, "A non-parametric approach to the change-point problem", Applied Statistics
28 (1979). The rate is that of one look at one history whose runs are exchangeable; see
docs/gating.md for what it is when they are not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from trt_nemotron.measure.gate.budget import SMALLEST_RELATIVE_BOUND_PERCENT
from trt_nemotron.measure.gate.metrics import Metric

FEWEST_RUNS = 10
ALARM_RATE = 0.01
WINDOW = 60
"""Runs looked back at: older ones are another machine's life."""


@dataclass(frozen=True, slots=True)
class Change:
    """Where a history became worse.

    Attributes:
        place: index of the first run after the change.
        before, after: medians on both sides, in the metric's unit.
        chance: how often a history without any change would show as much, at most.
    """

    place: int
    before: float
    after: float
    chance: float


def find_change(
    metric: Metric,
    history: Sequence[float],
    *,
    alarm_rate: float = ALARM_RATE,
    floor_percent: float = SMALLEST_RELATIVE_BOUND_PERCENT,
) -> Change | None:
    """The change for the worse in `history` (oldest first), if there is one that matters.

    Nothing is found in fewer than `FEWEST_RUNS` runs; only the last `WINDOW` are looked at.

    Args:
        metric: says which way is worse.
        history: one figure of each run.
        alarm_rate: of one look.
        floor_percent: the medians must differ by more than this.
    """
    start = max(0, len(history) - WINDOW)
    runs = history[start:]
    if len(runs) < FEWEST_RUNS:
        return None
    split, strength = _most_telling_split(metric, runs)
    chance = _chance(strength, len(runs))
    before, after = median(runs[:split]), median(runs[split:])
    is_large = not metric.is_within(after, metric.worsened(before, floor_percent))
    if chance > alarm_rate or not is_large:
        return None
    return Change(place=start + split, before=before, after=after, chance=chance)


def _most_telling_split(metric: Metric, runs: Sequence[float]) -> tuple[int, int]:
    """The split with the most pairs of which the later one is worse, less those where better."""
    found, strength = (1, 0), 0
    for place, run in enumerate(runs[:-1]):
        # Moving this run to the earlier side: its pairs with all the others change sides.
        strength += sum(_sign(metric, run, other) for other in runs)
        if strength > found[1]:
            found = (place + 1, strength)
    return found


def _sign(metric: Metric, earlier: float, later: float) -> int:
    """1 when `later` is worse, -1 when it is better."""
    return int(not metric.is_within(later, earlier)) - int(not metric.is_within(earlier, later))


def _chance(strength: int, runs: int) -> float:
    """Pettitt's bound on how often one direction is so strong without any change."""
    return math.exp(-6.0 * strength**2 / (runs**3 + runs**2))
