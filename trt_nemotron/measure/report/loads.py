"""Along what the legs of a run differ: streams, requests per second, or prompt tokens."""

from collections.abc import Iterable
from dataclasses import dataclass

from trt_nemotron.measure.bench.leg import Leg


@dataclass(frozen=True, slots=True)
class Load:
    """The one axis of a plot over load.

    Attributes:
        name: what stands along it.
        title: what a legend calls it; a leg is then named by its number alone.
    """

    name: str
    title: str

    def of(self, leg: Leg) -> float:
        """Where a leg stands along it."""
        if self.title == "tokens in":
            return float(leg.input_tokens)
        return leg.rate_rps if self.title == "requests/s" else float(leg.concurrency)

    def rest(self, leg: Leg) -> str:
        """What else tells it from other legs, for a series; empty where nothing does."""
        if self.title != "tokens in":
            return f"{leg.input_tokens:,} tokens in" if leg.input_tokens else ""
        return Leg(concurrency=leg.concurrency, rate_rps=leg.rate_rps).title


STREAMS = Load("concurrent streams", "streams")
RATE = Load("offered requests per second", "requests/s")
PROMPT = Load("prompt tokens", "tokens in")


def load_of(legs: Iterable[Leg]) -> Load:
    """What they differ in; a ladder of prompt lengths first, because the rest may be one."""
    known = list(legs)
    if len({leg.input_tokens for leg in known}) > 1:
        return PROMPT
    return RATE if any(leg.rate_rps for leg in known) else STREAMS


def short_name(leg: Leg, load: Load, legs: Iterable[Leg]) -> str:
    """A leg in a legend: its number along the axis where that is enough."""
    alike = [other for other in legs if load.of(other) == load.of(leg)]
    return f"{load.of(leg):,g}" if len(alike) == 1 else leg.title
