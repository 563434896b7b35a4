"""A ramp chooses a run's legs: figures of each leg in, the search's next step out."""

from collections.abc import Sequence
from functools import partial

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.figures.failures import RAMP_MARK
from trt_nemotron.measure.bench.figures.summarise import summarise_leg
from trt_nemotron.measure.bench.figures.summary import Slo
from trt_nemotron.measure.bench.legs import LegOrder, LegResult
from trt_nemotron.measure.bench.search import Ramp, RampPoint, Step, point_of
from trt_nemotron.measure.bench.search_knee import KneeOrder, next_for_knee
from trt_nemotron.measure.bench.search_rate import RateOrder, next_for_rate
from trt_nemotron.measure.bench.values import Workload
from trt_nemotron.progress import SILENT, Progress


class RampChooser:
    """Chooses legs until the search has its answer.

    Args:
        order: what is looked for.
        slo: the limits that requests are to keep; a search for a rate cannot do without.

    Attributes:
        ramp: what was found; `None` while it is looked for.
    """

    def __init__(
        self, order: KneeOrder | RateOrder, slo: Slo | None, progress: Progress = SILENT
    ) -> None:
        if isinstance(order, RateOrder):
            if slo is None:
                raise InvalidInput(
                    "a ramp over rates looks for the highest one that keeps limits",
                    next_step="Give --slo, for example ttft_ms=500,tpot_ms=30.",
                )
            self._next = partial(next_for_rate, order=order)
        else:
            self._next = partial(next_for_knee, order=order)
        self.ramp: Ramp | None = None
        self._slo = slo
        self._progress = progress
        self._points: list[RampPoint] = []

    def __call__(self, results: Sequence[LegResult]) -> LegOrder | None:
        """The next leg; nothing when `ramp` is there."""
        for result in results[len(self._points) :]:
            measured = [record for record in result.records if not record.is_warmup]
            self._points.append(point_of(summarise_leg(result.leg, measured, self._slo)))
        found: Step | Ramp = self._next(self._points)
        if isinstance(found, Ramp):
            self.ramp = found
            return None
        self._progress.note(f"{found.leg.title}: {found.reason}")
        return LegOrder(found.leg, found.requests)


def order_of(workload: Workload) -> KneeOrder | RateOrder:
    """What a ramp with this workload looks for: a knee over streams up to its concurrency, or a
    rate from its first one on.

    Raises:
        InvalidInput: a workload that leaves a ramp no choice.
    """
    if workload.input_ladder or workload.soak_s or workload.arrivals == "trace":
        raise InvalidInput(
            "a ramp chooses its own legs",
            next_step="Leave out --input-ladder, --soak and --trace with --ramp.",
        )
    most = max(workload.concurrencies)
    if workload.arrivals == "closed":
        return KneeOrder(most=most, requests=workload.requests_per_concurrency)
    return RateOrder(
        first=workload.rates_rps[0],
        concurrency=most,
        requests=workload.requests_per_concurrency,
    )


def ramp_note(ramp: Ramp) -> str:
    """What a ramp found, as a note of its measurement."""
    what = "knee" if ramp.goal == "knee" else "highest rate under the limits"
    found = f"the {what} is at {ramp.leg.title}" if ramp.leg else f"no {what} was found"
    return f"{RAMP_MARK}{found}: {ramp.reason}"
