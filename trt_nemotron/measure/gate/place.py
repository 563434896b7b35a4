"""Where a bound stands: at so many streams or at a rate, and at a prompt length."""

import math
from dataclasses import dataclass

from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import Measurement


@dataclass(frozen=True, slots=True)
class Place:
    """What picks a leg of a run.

    Attributes:
        concurrency: streams of a closed loop; 0 for an open one.
        rate_rps: of an open loop, in requests per second; 0.0 for a closed one.
        input_tokens: wished prompt length; 0 where the run has one and the bound names none.
    """

    concurrency: int = 0
    rate_rps: float = 0.0
    input_tokens: int = 0

    @property
    def title(self) -> str:
        """As part of a sentence: `concurrency 8`, `4 requests/s and 1024 tokens in`."""
        base = (
            f"{self.rate_rps:g} requests/s" if self.rate_rps else f"concurrency {self.concurrency}"
        )
        return f"{base} and {self.input_tokens} tokens in" if self.input_tokens else base

    def holds(self, leg: Leg, usual_input_tokens: int) -> bool:
        """Whether `leg` is one of this place.

        The most that may be under way in an open loop is no load, so a concurrency means a closed
        one.
        """
        if self.rate_rps:
            is_load = math.isclose(leg.rate_rps, self.rate_rps, rel_tol=1e-9)
        else:
            is_load = leg.rate_rps == 0.0 and leg.concurrency == self.concurrency
        tokens = leg.input_tokens or usual_input_tokens
        return is_load and self.input_tokens in {0, tokens}


def legs_at(place: Place, measurement: Measurement) -> tuple[Leg, ...]:
    """The legs that were measured there, warm-up not counted, in the order of measuring."""
    usual = measurement.workload.input_tokens
    measured = (record.leg for record in measurement.records if not record.is_warmup)
    return tuple(leg for leg in dict.fromkeys(measured) if place.holds(leg, usual))


def leg_fault(place: Place, legs: tuple[Leg, ...]) -> str:
    """Why a place does not name one leg; empty when it does."""
    if not legs:
        return f"nothing was measured at {place.title}"
    if len(legs) > 1:
        titles = "; ".join(leg.title for leg in legs)
        return f"{place.title} was measured in {len(legs)} legs, so the bound names none: {titles}"
    return ""
