"""A ramp chooses its own legs: where throughput stops to grow, or the highest rate under an SLO.

The two choosers are pure: all points so far in, the next step or the result out.

    search.point_of(summary: LegSummary) -> RampPoint
    search_knee.next_for_knee(points: Sequence[RampPoint], order: KneeOrder) -> Step | Ramp
    search_rate.next_for_rate(points: Sequence[RampPoint], order: RateOrder) -> Step | Ramp

A caller measures `Step.leg` with `Step.requests` requests, appends `point_of` of its summary (made
with the SLO), and asks again until it gets a `Ramp`. A leg may come twice: it is then measured anew
with more requests, and its last point is the one that counts.
"""

import math
from dataclasses import dataclass
from typing import Literal

from trt_nemotron.document import Value
from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.figures.binomial import share_of
from trt_nemotron.measure.bench.figures.summary import LegSummary
from trt_nemotron.measure.bench.leg import Leg

RAMP_CONFIDENCE = 0.95
"""That a rate is rightly called kept or missed, over all times it is looked at."""
MOST_LOOKS = 3
"""How often one rate is measured before it is left undecided; each time with twice the requests."""
MOST_STEPS = 40
"""Legs after which a ramp ends whatever it has found."""

Goal = Literal["knee", "rate"]
Standing = Literal["kept", "missed", "undecided"]


class RampPoint(Value, frozen=True, kw_only=True):
    """What one leg of a ramp showed.

    Attributes:
        requests: measured, good and bad.
        kept: good requests that kept the SLO; `None` without one.
        is_behind: whether fewer requests were sent or answered than the leg offered.
        ttft_p50_ms, tpot_p50_ms, service_e2e_p50_ms: `None` from too few requests.
    """

    leg: Leg
    requests: int
    kept: int | None = None
    tokens_per_s: float | None = None
    is_behind: bool = False
    error_share: float = 0.0
    ttft_p50_ms: float | None = None
    tpot_p50_ms: float | None = None
    service_e2e_p50_ms: float | None = None


class Ramp(Value, frozen=True, kw_only=True):
    """What a ramp has found.

    Attributes:
        leg: the knee, or the highest rate that surely keeps the SLO; `None` when there is none.
        curve: every leg measured, in the order of measuring.
        reason: why it stopped, one sentence.
        notes: what a reader should know besides.
    """

    goal: Goal
    leg: Leg | None
    curve: tuple[RampPoint, ...]
    reason: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """The next leg to measure, with so many requests, and why."""

    leg: Leg
    requests: int
    reason: str


def point_of(summary: LegSummary) -> RampPoint:
    """The point of a leg's figures, which were made with the SLO of the ramp."""
    return RampPoint(
        leg=summary.leg,
        requests=summary.requests,
        kept=summary.kept,
        tokens_per_s=summary.tokens_per_s,
        is_behind=summary.is_behind,
        error_share=summary.error_share,
        ttft_p50_ms=summary.ttft_ms.p50,
        tpot_p50_ms=summary.tpot_ms.p50,
        service_e2e_p50_ms=summary.service_e2e_ms.p50,
    )


def judge_share(point: RampPoint, share: float, confidence: float | None = None) -> Standing:
    """Whether `share` of the requests keep the SLO, as surely as `confidence` says.

    Raises:
        InvalidInput: the point was summarised without an SLO.
    """
    if point.kept is None:
        raise InvalidInput(
            f"{point.leg.title} was not judged by an SLO",
            next_step="Give one, for example --slo ttft_ms=500,tpot_ms=30.",
        )
    found = share_of(point.kept, point.requests, confidence or confidence_of_one_look())
    if found is None or point.is_behind or found.high < share:
        return "missed"
    return "kept" if found.low >= share else "undecided"


def confidence_of_one_look() -> float:
    """Looking several times gives chance several chances (Bonferroni)."""
    return 1.0 - (1.0 - RAMP_CONFIDENCE) / MOST_LOOKS


def refuse_common(share: float, tolerance: float) -> None:
    """Refuse what no ramp can be ordered with.

    Raises:
        InvalidInput: a share or a tolerance out of range.
    """
    refuse(not 0.0 < share < 1.0, "a share of good requests lies between 0 and 1", f"{share:g}")
    refuse(not 1.0 < tolerance < math.inf, "a tolerance is a factor above 1", f"{tolerance:g}")


def refuse(is_wrong: bool, message: str, evidence: str) -> None:
    """Refuse an order.

    Raises:
        InvalidInput: it is wrong.
    """
    if is_wrong:
        raise InvalidInput(message, evidence=evidence)
