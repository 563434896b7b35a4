"""Two servers in turn on one device: the order of measuring, and when to stop. Serving is not here.

The order within each pair is drawn by a fair coin from a recorded seed. That coin is what makes the
test exact: drift, a neighbour's load and a warming board fall on both sides with equal chance. The
pairs are better many and short than few and long: what disturbs a machine lasts for seconds, so two
short runs next to each other share more of it, and two neighbouring requests share most.
"""

import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.ab_judge import (
    are_too_many_dropped,
    count_pairs,
    judge_pairs,
    require_relative,
)
from trt_nemotron.measure.gate.ab_pair import Arm, Pair, figure_faults, pair_faults
from trt_nemotron.measure.gate.budget import Budget
from trt_nemotron.measure.gate.design import Design
from trt_nemotron.measure.gate.values import Verdict
from trt_nemotron.progress import SILENT, Progress

MeasureRun = Callable[[Arm, int], Measurement]
"""Makes one short run of an arm; told its number, which must become the seed of the prompts, so
that no prompt is sent twice."""
MeasureRound = Callable[[int, tuple[Arm, ...]], tuple[Measurement, Measurement]]
"""Sends one request to each arm that the order names, one after the other; told the number of the
round. Gives the run of A and that of B."""

SHORT_ROUND, SHORT_ROUNDS, LONG_ROUND = 12, 3, 48
"""Pairs of requests in each of the first rounds, how many those are, and pairs in each later one:
a first look comes soon, and later little time is spent between rounds. The number of a round alone
says its length, so that kept rounds can be judged by another budget."""
_PATIENCE = 8
"""Pairs measured before the share that was dropped is held against anything."""
_FEWEST_DROPPED = 3
LEAST_SPAN_S = 10.0
"""Of measuring by requests before a first look: what disturbs one process lasts for seconds, and
pairs that all lie within them cannot show it."""


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
    return tuple(itertools.islice(_coins(seed), pairs))


def order_of_round(number: int, coins: Iterator[tuple[Arm, Arm]]) -> tuple[Arm, ...]:
    """The order of the requests of a round: each two neighbours have a coin of their own."""
    size = SHORT_ROUND if number < SHORT_ROUNDS else LONG_ROUND
    return tuple(arm for pair in itertools.islice(coins, size) for arm in pair)


def run_ab(
    budget: Budget,
    design: Design,
    measure: MeasureRun,
    *,
    seed: int,
    progress: Progress = SILENT,
    clock: Callable[[], float] = time.monotonic,
) -> AbRun:
    """Measure pairs of runs until every relative bound is decided, or the cap is reached.

    A pair with a run that is not valid is dropped whole and measured again. When more than a
    quarter were dropped, the verdict is `invalid`, whatever the rest says.

    Args:
        budget: its relative bounds are judged.
        design: when to look and how sure to be.
        measure: makes one run.
        seed: of the coin.
        progress: told after each pair, and at each look of what is still undecided.
        clock: monotonic seconds; only what is told of the time to come depends on it.

    Raises:
        InvalidInput: the budget has no relative bound; nothing is measured then.
        TrtNemotronError: whatever `measure` raises; nothing is judged then.
    """

    def pairs() -> Iterator[Pair]:
        for number, order in enumerate(_coins(seed)):
            runs = {arm: measure(arm, 2 * number + place) for place, arm in enumerate(order)}
            yield Pair(first=order[0], a=runs["a"], b=runs["b"])

    return _run(budget, design, pairs(), seed, progress, clock)


def run_ab_by_requests(
    budget: Budget,
    design: Design,
    measure: MeasureRound,
    *,
    seed: int,
    progress: Progress = SILENT,
    clock: Callable[[], float] = time.monotonic,
) -> AbRun:
    """The same with requests in turn: each two neighbouring ones are a pair.

    A round with a fault is dropped whole; a pair of which one request has no figure is left out.
    """

    def rounds() -> Iterator[Pair]:
        coins = _coins(seed)
        for number in itertools.count():
            order = order_of_round(number, coins)
            a, b = measure(number, order)
            yield Pair(first=order[0], a=a, b=b, order=order)

    return _run(budget, design, rounds(), seed, progress, clock)


def _run(  # noqa: PLR0917 - called in two places, right above
    budget: Budget,
    design: Design,
    measured: Iterator[Pair],
    seed: int,
    progress: Progress,
    clock: Callable[[], float],
) -> AbRun:
    require_relative(budget)
    kept: list[Pair] = []
    dropped: list[Pair] = []
    begun = clock()
    progress.phase(f"measuring A and B in turn, first look at {design.looks[0]} pairs")
    judged, span_s = 0, 0.0
    for pair in measured:
        is_kept = not (pair_faults(pair, budget) or figure_faults(pair, budget))
        (kept if is_kept else dropped).append(pair)
        good, seen = count_pairs(budget, kept, dropped)
        span_s += pair.span_s
        pace_s = (clock() - begun) / seen
        progress.step(
            min(good, design.most_pairs), design.most_pairs, _time_to_look(good, design, pace_s)
        )
        if _is_hopeless(good, seen, dropped) or good >= design.most_pairs:
            break
        is_ripe = not pair.order or (good >= budget.minimum_samples and span_s >= LEAST_SPAN_S)
        if not is_ripe or are_too_many_dropped(good, seen):
            continue
        if any(judged < look <= good for look in design.looks):  # each counts once
            judged = good
            verdict = judge_pairs(budget, kept, design, seed=seed, dropped=dropped)
            if verdict.decision != "inconclusive":
                return AbRun(tuple(kept), tuple(dropped), verdict)
            progress.phase(_still_open(verdict, good))
    verdict = judge_pairs(budget, kept, design, seed=seed, dropped=dropped)
    return AbRun(tuple(kept), tuple(dropped), verdict)


def _coins(seed: int) -> Iterator[tuple[Arm, Arm]]:
    coin = random.Random(seed)  # noqa: S311 - it must be repeatable, not secret
    while True:
        yield ("a", "b") if coin.getrandbits(1) else ("b", "a")


def _is_hopeless(good: int, seen: int, dropped: Sequence[Pair]) -> bool:
    is_much = seen >= _PATIENCE and len(dropped) >= _FEWEST_DROPPED
    return is_much and are_too_many_dropped(good, seen)


def _time_to_look(good: int, design: Design, pace_s: float) -> str:
    """The unit of a step: `pairs (look at 22 in about 12 s)`."""
    ahead = next((look for look in design.looks if look > good), None)
    if ahead is None:
        return "pairs"
    return f"pairs (look at {ahead} in about {(ahead - good) * pace_s:.0f} s)"


def _still_open(verdict: Verdict, pairs: int) -> str:
    open_bounds = [
        f"{result.metric} at concurrency {result.concurrency}"
        for result in verdict.results
        if result.decision == "inconclusive"
    ]
    return f"undecided after {pairs} pairs: {', '.join(open_bounds)}"
