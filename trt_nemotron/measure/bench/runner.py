"""A whole measurement: calibrate the client, rehearse, then leg after leg."""

import math
import time
from collections.abc import Sequence

from trt_nemotron.errors import NoValidMeasurement
from trt_nemotron.measure.bench.calibration import Floor, measure_floor
from trt_nemotron.measure.bench.clock import Clock, SystemClock, WallClockTrack
from trt_nemotron.measure.bench.clock_choice import ClockChoice, ClockWish, choose_clock
from trt_nemotron.measure.bench.figures.validity import find_lag_reasons
from trt_nemotron.measure.bench.health import HealthLog
from trt_nemotron.measure.bench.interlocutor import Interlocutor
from trt_nemotron.measure.bench.leg_source import LegPlan
from trt_nemotron.measure.bench.legs import Chooser, LegOrder, LegResult, fixed_legs
from trt_nemotron.measure.bench.record import Expectation, make_record
from trt_nemotron.measure.bench.rehearsal import (
    FittedLength,
    LengthRefused,
    Rehearsal,
    fit_length,
    rehearse,
)
from trt_nemotron.measure.bench.values import (
    Environment,
    Leg,
    Measurement,
    RequestRecord,
    Workload,
)
from trt_nemotron.measure.bench.wire.address import resolve_address
from trt_nemotron.measure.bench.wire.load import LoadResult, Terms
from trt_nemotron.measure.bench.wire.loop import SPARE_CONNECTIONS, run_loop
from trt_nemotron.measure.bench.wire.sources.protocol import Source
from trt_nemotron.measure.bench.wire.stamps import Stamps
from trt_nemotron.measure.bench.workload import check_workload
from trt_nemotron.openai.dialect import Dialect
from trt_nemotron.progress import SILENT, Progress

MOST_ATTEMPTS = 3
"""How often a closed loop is run in which the client could not keep up."""


def run_bench(
    url: str,
    model: str,
    workload: Workload,
    dialect: Dialect,
    environment_facts: Environment,
    *,
    clock: Clock | None = None,
    progress: Progress = SILENT,
    api_key: str = "",
    profile: str = "",
    clock_wish: ClockWish = "auto",
    trace_s: Sequence[float] = (),
    choose_next: Chooser | None = None,
) -> Measurement:
    """Measure a server under `workload`.

    Nothing is written. An interruption (Ctrl-C) ends it at once, closes every socket and keeps
    nothing: half a measurement looks like a whole one.

    `clock_wish` asks for a source of stamps; by default the best one is taken, see `clock_choice`.
    `url` is the server's root, with or without `/v1`; an empty `model` leaves the choice to the
    server; `environment_facts` come from `environment.describe_environment`.

    `trace_s` are the arrivals of a workload that plays a trace, in seconds from its beginning.
    `choose_next` chooses each leg by those before it; without one, the workload's own are measured
    in their order. Prompt lengths that the server refuses end the run where a shorter one was
    measured, which is noted; the shorter ones are kept.

    Raises:
        InvalidInput: a URL or a workload that cannot be measured.
        EndpointUnfit: not reachable, not an OpenAI endpoint, or it stopped answering on the way.
        NoValidMeasurement: it answers, but no request of some concurrency ended well.
        EnvironmentUnfit: the client could not calibrate itself, or has not the clock wished for.
    """
    clock = clock or SystemClock()
    check_workload(workload)
    started_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock.realtime_ns() // 10**9))
    interlocutor = Interlocutor(
        address=resolve_address(url),
        model=model,
        dialect=dialect,
        workload=workload,
        run=str(clock.realtime_ns()),
        api_key=api_key,
    )
    progress.phase("measuring the client itself")
    choice = choose_clock(interlocutor.address, clock_wish)
    floor = measure_floor(max(workload.concurrencies), clock, choice)
    progress.phase("rehearsing: prompt length, output length")
    rehearsal = rehearse(interlocutor, clock)
    run = _Run(interlocutor, rehearsal, floor, choice, clock, progress, trace_s)
    records = run.run_legs(choose_next or fixed_legs(workload))
    return Measurement(
        url=interlocutor.address.root,
        started_at=started_at,
        workload=workload,
        environment=environment_facts,
        client=run.health.conclude(floor, len(run.track.steps), choice.reason),
        records=tuple(records),
        dialect=dialect.name,
        profile=profile,
        is_length_fixed=interlocutor.is_length_fixed,
        notes=(*rehearsal.notes, *dict.fromkeys(run.notes)),
    )


class _Run:
    def __init__(  # noqa: PLR0917 - called in one place, right above
        self,
        interlocutor: Interlocutor,
        rehearsal: Rehearsal,
        floor: Floor,
        choice: ClockChoice,
        clock: Clock,
        progress: Progress,
        trace_s: Sequence[float],
    ) -> None:
        self.track = WallClockTrack(clock)
        self.health = HealthLog()
        self.notes: list[str] = []
        self._interlocutor = interlocutor
        self._rehearsal = rehearsal
        self._floor = floor
        self._choice = choice
        self._clock = clock
        self._progress = progress
        self._trace_s = trace_s
        self._next_index = rehearsal.first.requests
        self._origin_ns = clock.monotonic_ns()
        self._lengths: dict[int, FittedLength] = {}
        workload = interlocutor.workload
        self._deadline_ns = self._origin_ns + int(workload.total_timeout_s * 1e9)

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
        self.health.merge(health)
        client = health.conclude(self._floor, len(self.track.steps), self._choice.reason)
        return LegResult(order.leg, tuple(records), client)

    def _was_late(self, order: LegOrder, records: list[RequestRecord], health: HealthLog) -> bool:
        client = health.conclude(self._floor, 0)
        return any(find_lag_reasons(order.leg.concurrency, _good(records), client))

    def _attempt(
        self, order: LegOrder, length: FittedLength
    ) -> tuple[list[RequestRecord], HealthLog]:
        plan = LegPlan(
            order, self._interlocutor, self._rehearsal, length, self._next_index, self._trace_s
        )
        source = plan.source()
        result = self._load(plan, source)
        self._next_index += len(result.exchanges)
        health = HealthLog()
        health.add_loop(order.leg.concurrency, result)
        made = self._records(plan, source, result)
        records = [record for record, _ in made]
        for record, stamps in made:
            health.add_request(record, stamps)
        self._add_schedule(plan, result, made, health)
        _refuse_without_good(records, order.leg)
        if result.held:
            self.notes.append(
                f"{order.leg.title}: {result.held} of {len(records)} requests waited in the "
                f"client because {order.leg.concurrency} were under way, the most that may be; "
                f"their waiting counts in TTFT and E2E"
            )
        return sorted(records, key=lambda record: record.index), health

    def _add_schedule(
        self,
        plan: LegPlan,
        result: LoadResult,
        made: Sequence[tuple[RequestRecord, Stamps]],
        health: HealthLog,
    ) -> None:
        """How late the client itself was: of a stream that was free, or of a schedule."""
        concurrency = plan.order.leg.concurrency
        if not plan.is_closed:
            health.schedule_lags_ns[concurrency] = [
                max(0, record.sent_ns - record.intended_ns)
                for record, stamps in made
                if not stamps.void
            ]
        elif not self._interlocutor.workload.think_s:
            health.add_schedule(
                concurrency,
                {
                    exchange.index: (exchange.previous, stamps)
                    for exchange, (_, stamps) in zip(result.exchanges, made, strict=True)
                },
            )

    def _load(self, plan: LegPlan, source: Source) -> LoadResult:
        workload, leg = self._interlocutor.workload, plan.order.leg
        total = source.total
        warmup = plan.warmup * (workload.turns if plan.is_closed else 1)
        what = f"{workload.soak_s:g} s" if total is None else f"{total - warmup} requests"
        self._progress.phase(f"{leg.title}: {what}")
        begun = self._clock.monotonic_ns()

        def tell(done: int) -> None:
            if total is not None:
                self._progress.step(done, total, "requests")
                return
            seconds = int((self._clock.monotonic_ns() - begun) / 1e9)
            soak = max(1, int(workload.soak_s))
            self._progress.step(min(seconds, soak), soak, "s")

        terms = Terms(
            streams=leg.concurrency,
            timeout_ns=int(workload.timeout_s * 1e9),
            deadline_ns=self._deadline_ns,
            is_reusing=plan.length.keeps_connections,
            opened_ahead=0 if plan.is_closed else _needed(plan),
        )
        address = self._interlocutor.address
        with self._choice.capture(address, leg.concurrency) as capture:
            return run_loop(
                address,
                source,
                terms,
                self._clock,
                self.track,
                tell,
                capture=capture,
                asks_for_stamps=self._choice.source == "kernel_receive",
            )

    def _records(
        self, plan: LegPlan, source: Source, result: LoadResult
    ) -> list[tuple[RequestRecord, Stamps]]:
        interlocutor = self._interlocutor
        expectation = Expectation(interlocutor.expected_tokens, interlocutor.dialect.sends_done)
        return [
            make_record(
                exchange,
                plan.place(exchange.index, source, result, self._origin_ns),
                expectation,
                self.track,
                are_kernel_stamps_asked=result.are_kernel_stamps_asked,
                packets=result.packets,
            )
            for exchange in result.exchanges
        ]


def _needed(plan: LegPlan) -> int:
    """Connections that a schedule keeps busy when the server is as fast as it was alone."""
    busy = plan.order.leg.rate_rps * plan.length.duration_ns / 1e9
    return min(plan.order.leg.concurrency, math.ceil(busy) + SPARE_CONNECTIONS)


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
