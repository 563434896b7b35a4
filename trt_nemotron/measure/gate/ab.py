"""Two servers in turn on one device: the order of measuring, and when to stop. Serving is not here.

The order within each pair is drawn by a fair coin from a recorded seed. That coin is what makes the
test exact: drift, a neighbour's load and a warming board fall on both sides with equal chance. The
pairs are better many and short than few and long: what disturbs a machine lasts for seconds, so two
short runs next to each other share more of it.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.ab_judge import (
    MOST_DROPPED_SHARE,
    Pair,
    judge_pairs,
    pair_faults,
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
        progress: told after each pair.

    Raises:
        TrtNemotronError: whatever `measure` raises; nothing is judged then.
    """
    kept: list[Pair] = []
    dropped: list[Pair] = []
    order = order_of_arms(seed, 2 * design.most_pairs + _PATIENCE)
    for number, (first, second) in enumerate(order):
        runs = {first: measure(first, 2 * number), second: measure(second, 2 * number + 1)}
        pair = Pair(first=first, a=runs["a"], b=runs["b"])
        is_kept = not pair_faults(pair, budget)
        (kept if is_kept else dropped).append(pair)
        progress.step(len(kept), design.most_pairs, "pairs")
        if _is_hopeless(kept, dropped) or len(kept) == design.most_pairs:
            break
        if is_kept and len(kept) in design.looks:
            verdict = judge_pairs(budget, kept, design, seed=seed, dropped=dropped)
            if verdict.decision != "inconclusive":
                return AbRun(tuple(kept), tuple(dropped), verdict)
    verdict = judge_pairs(budget, kept, design, seed=seed, dropped=dropped)
    return AbRun(tuple(kept), tuple(dropped), verdict)


def _is_hopeless(kept: Sequence[Pair], dropped: Sequence[Pair]) -> bool:
    measured = len(kept) + len(dropped)
    return measured >= _PATIENCE and len(dropped) > MOST_DROPPED_SHARE * measured
