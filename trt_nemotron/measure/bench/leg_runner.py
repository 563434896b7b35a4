"""Leg after leg of one run: rehearsed where it must be, loaded, recorded, repeated when late."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trt_nemotron.errors import NoValidMeasurement
from trt_nemotron.measure.bench.attempt import Conditions, attempt_leg
from trt_nemotron.measure.bench.beside import Beside
from trt_nemotron.measure.bench.calibration import Floor
from trt_nemotron.measure.bench.client_health import ClientHealth
from trt_nemotron.measure.bench.figures.request_figures import measure_request
from trt_nemotron.measure.bench.figures.validity import find_lag_reasons
from trt_nemotron.measure.bench.health import HealthLog
from trt_nemotron.measure.bench.interlocutor import Interlocutor
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.leg_source import LegPlan
from trt_nemotron.measure.bench.legs import Chooser, LegOrder, LegResult
from trt_nemotron.measure.bench.rehearsal import (
    FittedLength,
    LengthRefused,
    Rehearsal,
    fit_length,
)
from trt_nemotron.measure.bench.values import RequestRecord
from trt_nemotron.progress import Progress

if TYPE_CHECKING:
    from trt_nemotron.measure.bench.workers.crew import Crew

MOST_ATTEMPTS = 3
"""How often a closed loop is run in which the client could not keep up."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds for every leg of a run.

    Attributes:
        floor: of the client, with the clock of the run.
        beside: what is looked at on both sides of each leg.
        trace_s: arrivals to play, in seconds.
        crew: who sends the load; without it, this process.
    """

    interlocutor: Interlocutor
    rehearsal: Rehearsal
    floor: Floor
    conditions: Conditions
    beside: Beside
    progress: Progress
    trace_s: Sequence[float] = ()
    crew: "Crew | None" = None


class LegRunner:
    """Runs the legs of one run.

    Attributes:
        notes: what happened on the way that no record shows.
    """

    def __init__(self, setting: Setting) -> None:
        self.notes: list[str] = []
        self._setting = setting
        self._interlocutor = setting.interlocutor
        self._conditions = setting.conditions
        self._rehearsal = setting.rehearsal
        self._clock = setting.conditions.clock
        self._progress = setting.progress
        self._health = HealthLog()
        self._next_index = setting.rehearsal.first.requests
        self._lengths: dict[int, FittedLength] = {}

    @property
    def client(self) -> ClientHealth:
        """The client's health over all legs so far."""
        return self._conclude(self._health)

    def _conclude(self, health: HealthLog) -> ClientHealth:
        conditions = self._conditions
        steps = len(conditions.track.steps)
        client = health.conclude(self._setting.floor, steps, conditions.choice.reason)
        crew = self._setting.crew
        return client if crew is None else crew.describe(client)

    def run_legs(self, choose_next: Chooser) -> list[RequestRecord]:
        """Records of every leg, in the order of measuring; of a leg that came twice, the last."""
        results: list[LegResult] = []
        while (order := choose_next(results)) is not None:
            try:
                length = self._length(order.leg)
            except LengthRefused as fault:
                if not results:
                    raise
                self.notes.append(
                    f"prompts of {order.leg.input_tokens} tokens and more were not measured: "
                    f"{fault.evidence or fault}"
                )
                break
            results.append(self._measure(order, length))
        kept = {result.leg: result.records for result in results}
        return [record for records in kept.values() for record in records]

    def _length(self, leg: Leg) -> FittedLength:
        """The prompt length of a leg; the first time it is rehearsed."""
        workload = self._interlocutor.workload
        wished = leg.input_tokens or workload.input_tokens
        if not self._lengths:
            first = (*workload.input_ladder, workload.input_tokens)[0]
            self._lengths[first] = self._rehearsal.first
            self.notes += self._rehearsal.first.notes
        if wished not in self._lengths:
            self._progress.phase(f"rehearsing a prompt of {wished} tokens")
            rehearsal = self._rehearsal
            found = fit_length(
                self._interlocutor,
                wished,
                rehearsal.extra,
                rehearsal.model,
                self._next_index,
                self._clock,
                self._conditions.choice,
            )
            self._next_index = found.requests
            self._lengths[wished] = found
            self.notes += found.notes
        return self._lengths[wished]

    def _measure(self, order: LegOrder, length: FittedLength) -> LegResult:
        """One leg.

        When the machine was too busy for the client to keep up, a closed loop is run again, which
        is noted. Only the client's own lateness decides that, never a figure of the server.
        """
        attempts = 1
        records, health = self._attempt(order, length)
        is_repeatable = (
            self._interlocutor.workload.arrivals == "closed"
            and not self._interlocutor.workload.soak_s
        )
        while is_repeatable and attempts < MOST_ATTEMPTS and self._was_late(order, records, health):
            attempts += 1
            records, health = self._attempt(order, length)
        if attempts > 1:
            self.notes.append(
                f"{order.leg.title}: measured {attempts} times because the machine was "
                f"too busy for the client; the last time is kept"
            )
        self._health.merge(health)
        return LegResult(order.leg, tuple(records), self._conclude(health))

    def _was_late(self, order: LegOrder, records: list[RequestRecord], health: HealthLog) -> bool:
        figures = [measure_request(record) for record in _good(records)]
        return any(find_lag_reasons(order.leg, figures, self._conclude(health)))

    def _attempt(
        self, order: LegOrder, length: FittedLength
    ) -> tuple[list[RequestRecord], HealthLog]:
        plan = LegPlan(
            order,
            self._interlocutor,
            self._rehearsal,
            length,
            self._next_index,
            self._setting.trace_s,
        )
        crew = self._setting.crew
        attempt_this = attempt_leg if crew is None else crew.attempt
        around = self._setting.beside.around(order.leg)
        attempt = attempt_this(plan, self._conditions, self._teller(plan), around=around)
        self._next_index += attempt.used
        records = attempt.records
        _refuse_without_good(records, order.leg)
        if attempt.held:
            self.notes.append(
                f"{order.leg.title}: {attempt.held} of {len(records)} requests waited in the "
                f"client because {order.leg.concurrency} were under way, the most that may be; "
                f"their waiting counts in TTFT and E2E"
            )
        return records, attempt.health

    def _teller(self, plan: LegPlan) -> Callable[[int], None]:
        """Announce a leg; what is returned shows how far it is."""
        workload, total = self._interlocutor.workload, plan.total
        warmup = plan.warmup * (workload.turns if plan.is_closed else 1)
        what = f"{workload.soak_s:g} s" if total is None else f"{total - warmup} requests"
        self._progress.phase(f"{plan.order.leg.title}: {what}")
        begun = self._clock.monotonic_ns()

        def tell(done: int) -> None:
            if total is not None:
                self._progress.step(done, total, "requests")
                return
            seconds = int((self._clock.monotonic_ns() - begun) / 1e9)
            soak = max(1, int(workload.soak_s))
            self._progress.step(min(seconds, soak), soak, "s")

        return tell


def _good(records: list[RequestRecord]) -> list[RequestRecord]:
    return [record for record in records if not record.is_warmup and record.gives_figures]


def _refuse_without_good(records: list[RequestRecord], leg: Leg) -> None:
    if _good(records):
        return
    measured = [record for record in records if not record.is_warmup] or records
    first = measured[0]
    raise NoValidMeasurement(
        f"none of {len(measured)} requests at {leg.title} ended well",
        evidence=f"{first.outcome}: {first.error or first.void}",
        next_step="Look at the server's log; try a lower --concurrency.",
    )
