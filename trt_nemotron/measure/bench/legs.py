"""The legs of a run, and who chooses the next one: a fixed list, or a search that looks back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trt_nemotron.measure.bench.client_health import ClientHealth
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import RequestRecord, Workload


@dataclass(frozen=True, slots=True)
class LegOrder:
    """A leg to measure.

    Attributes:
        requests: to measure, warm-up not counted; a soak and a trace have as many as they have.
    """

    leg: Leg
    requests: int


@dataclass(frozen=True, slots=True)
class LegResult:
    """A leg that was measured.

    Attributes:
        records: warm-up included, in the order of their indices.
        client: its health in this leg alone.
    """

    leg: Leg
    records: tuple[RequestRecord, ...]
    client: ClientHealth


Chooser = Callable[[Sequence[LegResult]], LegOrder | None]
"""Every leg measured so far in, the next one out, or that it is enough. A leg that comes again is
measured anew, and its last result is the one that is kept."""


def plan_legs(workload: Workload) -> tuple[Leg, ...]:
    """Every leg that a workload asks for, shorter prompts first."""
    lengths = workload.input_ladder or (0,)
    if workload.arrivals == "closed":
        return tuple(
            Leg(concurrency=concurrency, input_tokens=length)
            for length in lengths
            for concurrency in workload.concurrencies
        )
    return tuple(
        Leg(concurrency=workload.concurrencies[0], rate_rps=rate, input_tokens=length)
        for length in lengths
        for rate in workload.rates_rps
    )


def fixed_legs(workload: Workload) -> Chooser:
    """One leg after the other, whatever they show."""
    legs = plan_legs(workload)

    def choose(results: Sequence[LegResult]) -> LegOrder | None:
        if len(results) == len(legs):
            return None
        return LegOrder(legs[len(results)], workload.requests_per_concurrency)

    return choose
