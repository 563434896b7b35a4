"""The knee of concurrency: double the streams until throughput stops to grow, then narrow down."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.figures.scaling import LEAST_GAIN
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.search import (
    MOST_STEPS,
    Ramp,
    RampPoint,
    Step,
    judge_share,
    refuse,
    refuse_common,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KneeOrder:
    """What a ramp over concurrencies looks for.

    Attributes:
        most: concurrency that is never exceeded.
        requests: measured in each leg, but at least `requests_per_stream` for each stream.
        least_gain: by which a higher concurrency must beat a lower one in tokens/s to count.
        tolerance: the knee is narrowed down until its neighbours are nearer than this factor.
        share: with an SLO, the share of requests that must keep it; a concurrency that surely
            misses it is not exceeded.
        input_tokens: of every leg; 0 for the workload's.
    """

    most: int = 256
    requests: int = 64
    requests_per_stream: int = 4
    least_gain: float = LEAST_GAIN
    tolerance: float = 1.10
    share: float = 0.95
    input_tokens: int = 0

    def __post_init__(self) -> None:
        refuse(self.most < 1, "a ramp needs at least one stream", str(self.most))
        refuse(self.least_gain <= 1.0, "a gain must be a factor above 1", f"{self.least_gain:g}")
        refuse_common(self.share, self.tolerance)

    def count(self, concurrency: int) -> int:
        """Requests to measure at one concurrency."""
        return max(self.requests, self.requests_per_stream * concurrency)


def next_for_knee(points: Sequence[RampPoint], order: KneeOrder) -> Step | Ramp:
    """Double the concurrency until throughput stops to grow, then narrow the knee down.

    The knee is the least concurrency that no other one beats by `order.least_gain` in tokens/s,
    among those that do not surely miss the SLO, where there is one.

    Raises:
        InvalidInput: a point has no tokens/s: the server gives no usage, or no request was good.
    """
    if not points:
        return _step(1, order, "a single stream")
    rates = {point.leg.concurrency: _rate_of(point) for point in points}
    missed = {point.leg.concurrency: point for point in points if _is_missed(point, order)}
    usable = {level: rate for level, rate in rates.items() if level < min(missed, default=math.inf)}
    stop = _why_no_more_streams(len(points), rates, missed, order)
    if not stop:
        highest = max(rates)
        return _step(min(order.most, highest * 2), order, f"tokens/s still grew at {highest}")
    enough = max(usable.values(), default=0.0) / order.least_gain
    knee = min((level for level, rate in usable.items() if rate >= enough), default=None)
    between = _between(knee, rates, missed, order)
    if between and len(points) < MOST_STEPS:
        return _step(between, order, f"the knee lies near {between} streams")
    is_open = knee == max(rates) > 1
    return Ramp(
        goal="knee",
        leg=None if is_open or knee is None else _leg(knee, order),
        curve=tuple(points),
        reason=stop,
        notes=(f"no knee up to {knee} streams: throughput still grew there",) if is_open else (),
    )


def _is_missed(point: RampPoint, order: KneeOrder) -> bool:
    return point.kept is not None and judge_share(point, order.share) == "missed"


def _between(
    knee: int | None, rates: dict[int, float], missed: Collection[int], order: KneeOrder
) -> int:
    """A concurrency that tells the knee more closely; 0 when it is close enough.

    Below the knee there may be a smaller one. Above it too, when the limits cut it off.
    """
    if knee is None:
        return 0
    below = max((level for level in rates if level < knee), default=0)
    over = min((level for level in rates if level > knee), default=0)
    pairs = [(knee, over), (below, knee)] if over in missed else [(below, knee)]
    for low, high in pairs:
        middle = round(math.sqrt(low * high))
        if knee < max(rates) and low < middle < high and high > low * order.tolerance:
            return middle
    return 0


def _rate_of(point: RampPoint) -> float:
    if point.tokens_per_s is None:
        raise InvalidInput(
            f"{point.leg.title} has no tokens/s, and a knee is looked for in them",
            evidence=f"{point.requests} requests, {point.error_share:.0%} of them failed",
            next_step="The server must report its usage; look at the failures first.",
        )
    return point.tokens_per_s


def _leg(concurrency: int, order: KneeOrder) -> Leg:
    return Leg(concurrency=concurrency, input_tokens=order.input_tokens)


def _step(concurrency: int, order: KneeOrder, reason: str) -> Step:
    return Step(_leg(concurrency, order), order.count(concurrency), reason)


def _why_no_more_streams(
    steps: int, rates: dict[int, float], missed: Mapping[int, RampPoint], order: KneeOrder
) -> str:
    """Why the concurrency is not doubled again; empty when it is."""
    if missed:
        point = missed[min(missed)]
        return (
            f"at {min(missed)} streams {point.kept} of {point.requests} requests kept the limits, "
            f"less than {order.share:.0%}"
        )
    highest = max(rates)
    lower = max((rate for level, rate in rates.items() if level < highest), default=0.0)
    if rates[highest] <= lower * order.least_gain:
        return (
            f"{highest} streams bring {rates[highest]:,.0f} tokens/s, no more than "
            f"{order.least_gain:g} times the {lower:,.0f} of fewer"
        )
    if highest >= order.most:
        return f"{order.most} streams are the most that were allowed"
    if steps >= MOST_STEPS:
        return f"{MOST_STEPS} legs are the most of one ramp"
    return ""
