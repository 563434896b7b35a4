"""The highest rate under an SLO: double it until it is missed, then halve the way back.

A rate is kept when the share of good requests surely reaches the goal, and missed when it surely
does not, or when the server fell behind. In between it is measured again with twice the requests,
up to `MOST_LOOKS` times. A rate left undecided counts as not kept: that errs to the safe side.

A queue takes its time to grow. So a leg goes on for many times a request's own time, and the result
is measured once more, for twice as long, before it is believed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trt_nemotron.measure.bench.figures.percentiles import samples_needed
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.search import (
    MOST_LOOKS,
    MOST_STEPS,
    Ramp,
    RampPoint,
    Standing,
    Step,
    confidence_of_one_look,
    judge_share,
    refuse,
    refuse_common,
)

_FACTOR = 2.0
"""By which the rate grows or shrinks until it is bracketed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateOrder:
    """What a ramp over rates looks for.

    Attributes:
        first: rate to begin with, requests per second.
        concurrency: most requests under way at a time, of every leg.
        share: of requests that must keep the SLO.
        requests: of a first look; raised to what a decision takes when every request is good, and
            to what `least_turns` asks for.
        least_turns: how many times a request's own time a leg goes on for, at least.
        most_requests: of one leg, whatever the other fields ask for.
        least, most: rates that are never left, requests per second.
        tolerance: narrowed down until a rate that is kept and one that is not are nearer than this
            factor.
        input_tokens: of every leg; 0 for the workload's.
    """

    first: float
    concurrency: int
    share: float = 0.95
    requests: int = 100
    least_turns: float = 50.0
    most_requests: int = 20_000
    least: float = 0.01
    most: float = 10_000.0
    tolerance: float = 1.10
    input_tokens: int = 0

    def __post_init__(self) -> None:
        refuse(
            not 0.0 < self.least <= self.first <= self.most < math.inf,
            "rates of a ramp must rise from the least over the first to the most",
            f"{self.least:g}, {self.first:g}, {self.most:g}",
        )
        refuse_common(self.share, self.tolerance)

    def leg(self, rate_rps: float) -> Leg:
        """The leg with one rate."""
        return Leg(concurrency=self.concurrency, rate_rps=rate_rps, input_tokens=self.input_tokens)

    def count(self, rate_rps: float, looks: int, e2e_ms: float) -> int:
        """Requests of the next look at a rate after so many, where a request takes `e2e_ms`."""
        decisive = samples_needed(self.share, confidence_of_one_look())
        lasting = math.ceil(rate_rps * self.least_turns * e2e_ms / 1e3)
        return int(min(self.most_requests, max(self.requests, decisive, lasting) << looks))


def next_for_rate(points: Sequence[RampPoint], order: RateOrder) -> Step | Ramp:
    """Double the rate until the SLO is missed, then halve the way between kept and missed.

    A rate is kept when the share of good requests surely reaches `order.share`, and missed when it
    surely does not, or when the rate offered was not reached. In between it is measured longer, up
    to `MOST_LOOKS` times; left undecided it counts as not kept, which errs to the safe side.

    Raises:
        InvalidInput: a point was summarised without an SLO.
    """
    if not points:
        return _step(order.first, points, order, "the first rate")
    again = _why_again(points, order)
    if again and len(points) < MOST_STEPS:
        return _step(points[-1].leg.rate_rps, points, order, again)
    standings = _standings(points, order)
    kept = max((at for at, standing in standings.items() if standing == "kept"), default=0.0)
    over = min(
        (at for at, standing in standings.items() if standing != "kept" and at > kept),
        default=math.inf,
    )
    following = _next_rate(kept, over, order)
    if following is not None and len(points) < MOST_STEPS:
        return _step(following, points, order, _why_rate(kept, over))
    if kept and _looks(points, kept) == 1 and len(points) < MOST_STEPS:
        return _step(kept, points, order, f"{kept:g} requests/s once more, to be sure")
    return _conclude(points, standings, kept, over, order)


def _why_again(points: Sequence[RampPoint], order: RateOrder) -> str:
    """Why the last rate is measured again; empty when it is settled."""
    last = points[-1]
    looks = _looks(points, last.leg.rate_rps)
    if looks >= MOST_LOOKS or judge_share(last, order.share) == "missed":
        return ""
    if last.requests < order.count(last.leg.rate_rps, 0, _shortest_e2e_ms(points)):
        return f"{last.leg.rate_rps:g} requests/s were not offered for long enough"
    if judge_share(last, order.share) == "undecided":
        return f"{last.leg.rate_rps:g} requests/s is not decided yet"
    return ""


def _looks(points: Sequence[RampPoint], rate: float) -> int:
    return sum(point.leg.rate_rps == rate for point in points)


def _shortest_e2e_ms(points: Sequence[RampPoint]) -> float:
    """What a request takes where nobody waits; 0.0 while it is not known."""
    known = [p.service_e2e_p50_ms for p in points if p.service_e2e_p50_ms is not None]
    return min(known, default=0.0)


def _standings(points: Sequence[RampPoint], order: RateOrder) -> dict[float, Standing]:
    """Of each rate by its last look."""
    return {point.leg.rate_rps: judge_share(point, order.share) for point in points}


def _step(rate: float, points: Sequence[RampPoint], order: RateOrder, reason: str) -> Step:
    count = order.count(rate, _looks(points, rate), _shortest_e2e_ms(points))
    return Step(order.leg(rate), count, reason)


def _next_rate(kept: float, over: float, order: RateOrder) -> float | None:
    """The rate to measure between what is kept and what is not; nothing when they are near."""
    if math.isinf(over):
        following = min(order.most, kept * _FACTOR)
        return following if following > kept else None
    if not kept:
        following = max(order.least, over / _FACTOR)
        return following if following < over else None
    if over <= kept * order.tolerance:
        return None
    following = float(f"{math.sqrt(kept * over):.3g}")
    return following if kept < following < over else None


def _why_rate(kept: float, over: float) -> str:
    if math.isinf(over):
        return f"{kept:g} requests/s is kept"
    if not kept:
        return f"{over:g} requests/s is not kept"
    return f"the limit lies between {kept:g} and {over:g} requests/s"


def _conclude(
    points: Sequence[RampPoint],
    standings: dict[float, Standing],
    kept: float,
    over: float,
    order: RateOrder,
) -> Ramp:
    undecided = sorted(rate for rate, standing in standings.items() if standing == "undecided")
    notes = []
    if undecided:
        rates = ", ".join(f"{rate:g}" for rate in undecided)
        notes.append(
            f"not decided after {MOST_LOOKS} times of measuring, so taken as not kept: {rates} "
            f"requests/s"
        )
    return Ramp(
        goal="rate",
        leg=order.leg(kept) if kept else None,
        curve=tuple(points),
        reason=_why_done(len(points), kept, over, order),
        notes=tuple(notes),
    )


def _why_done(steps: int, kept: float, over: float, order: RateOrder) -> str:
    if math.isinf(over):
        return f"{kept:g} requests/s is kept, and no higher rate was allowed"
    if not kept and over <= order.least:
        return f"not even {order.least:g} requests/s keeps the limits"
    if steps >= MOST_STEPS:
        return f"{MOST_STEPS} legs are the most of one ramp"
    return (
        f"{kept:g} requests/s is kept by {order.share:.0%} of the requests, {over:g} requests/s is "
        f"not"
    )
