"""Two servers in turn on one device: the order of measuring, and when to stop. Serving is not here.

The order within each pair is drawn by a fair coin from a recorded seed. That coin is what makes the
test exact: drift, a neighbour's load and a warming board fall on both sides with equal chance. The
pairs are better many and short than few and long: what disturbs a machine lasts for seconds, so two
short runs next to each other share more of it.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.ab_judge import (
    MOST_DROPPED_SHARE,
    Pair,
    figure_faults,
    judge_pairs,
    pair_faults,
    require_relative,
)
from trt_nemotron.measure.gate.budget import Budget
from trt_nemotron.measure.gate.design import Design
from trt_nemotron.measure.gate.values import Verdict
from trt_nemotron.progress import SILENT, Progress

Arm = Literal["a", "b"]

_PATIENCE = 8
"""Pairs measured before that share is held against anything."""


@dataclass(frozen=True, slots=True)
class AbRun:
    """Everything that was measured, and the verdict."""

    pairs: tuple[Pair, ...]
    dropped: tuple[Pair, ...]
    verdict: Verdict


def order_of_arms(seed: int, pairs: int) -> tuple[tuple[Arm, Arm], ...]:
    """Which arm of each pair is measured first.

    The same seed gives the same order, and a longer order begins with the shorter one.
    """
    coin = random.Random(seed)  # noqa: S311 - it must be repeatable, not secret
    return tuple(("a", "b") if coin.getrandbits(1) else ("b", "a") for _ in range(pairs))


def run_ab(
    budget: Budget,
    design: Design,
    measure: Callable[[Arm, int], Measurement],
    *,
    seed: int,
    progress: Progress = SILENT,
    clock: Callable[[], float] = time.monotonic,
) -> AbRun:
    """Measure pairs until every relative bound of `budget` is decided, or the cap is reached.

    A pair with a run that is not valid is dropped whole and measured again. When more than a
    quarter were dropped, the verdict is `invalid`, whatever the rest says.

    Args:
        budget: its relative bounds are judged.
        design: when to look and how sure to be.
        measure: makes one short run of an arm; told its number, which must become the seed of the
            prompts, so that no prompt is sent twice.
        seed: of the coin.
        progress: told after each pair, and at each look of what is still undecided.
        clock: monotonic seconds; only what is told of the time to come depends on it.

    Raises:
        InvalidInput: the budget has no relative bound; nothing is measured then.
        TrtNemotronError: whatever `measure` raises; nothing is judged then.
    """
    require_relative(budget)
    kept: list[Pair] = []
    dropped: list[Pair] = []
    order = order_of_arms(seed, 2 * design.most_pairs + _PATIENCE)
    begun = clock()
    progress.phase(f"measuring A and B in turn, first look at {design.looks[0]} pairs")
    for number, (first, second) in enumerate(order):
        runs = {first: measure(first, 2 * number), second: measure(second, 2 * number + 1)}
        pair = Pair(first=first, a=runs["a"], b=runs["b"])
        is_kept = not (pair_faults(pair, budget) or figure_faults(pair, budget))
        (kept if is_kept else dropped).append(pair)
        pace_s = (clock() - begun) / (number + 1)
        progress.step(len(kept), design.most_pairs, _time_to_look(len(kept), design, pace_s))
        if _is_hopeless(kept, dropped) or len(kept) == design.most_pairs:
            break
        if is_kept and len(kept) in design.looks:
            verdict = judge_pairs(budget, kept, design, seed=seed, dropped=dropped)
            if verdict.decision != "inconclusive":
                return AbRun(tuple(kept), tuple(dropped), verdict)
            progress.phase(_still_open(verdict, len(kept)))
    verdict = judge_pairs(budget, kept, design, seed=seed, dropped=dropped)
    return AbRun(tuple(kept), tuple(dropped), verdict)


def _is_hopeless(kept: Sequence[Pair], dropped: Sequence[Pair]) -> bool:
    measured = len(kept) + len(dropped)
    return measured >= _PATIENCE and len(dropped) > MOST_DROPPED_SHARE * measured


def _time_to_look(kept: int, design: Design, pace_s: float) -> str:
    """The unit of a step: `pairs (look at 22 in about 12 s)`."""
    ahead = next((look for look in design.looks if look > kept), None)
    if ahead is None:
        return "pairs"
    return f"pairs (look at {ahead} in about {(ahead - kept) * pace_s:.0f} s)"


def _still_open(verdict: Verdict, pairs: int) -> str:
    open_bounds = [
        f"{result.metric} at concurrency {result.concurrency}"
        for result in verdict.results
        if result.decision == "inconclusive"
    ]
    return f"undecided after {pairs} pairs: {', '.join(open_bounds)}"
