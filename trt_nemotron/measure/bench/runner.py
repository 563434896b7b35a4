"""A whole measurement: calibrate the client, rehearse, then a closed loop for each concurrency."""

import time
from dataclasses import dataclass

from trt_nemotron.errors import NoValidMeasurement
from trt_nemotron.measure.bench.calibration import Floor, measure_floor
from trt_nemotron.measure.bench.clock import Clock, SystemClock, WallClockTrack
from trt_nemotron.measure.bench.clock_choice import ClockChoice, ClockWish, choose_clock
from trt_nemotron.measure.bench.figures.validity import find_lag_reasons
from trt_nemotron.measure.bench.health import HealthLog
from trt_nemotron.measure.bench.record import Expectation, Place, make_record
from trt_nemotron.measure.bench.rehearsal import Interlocutor, Rehearsal, rehearse
from trt_nemotron.measure.bench.values import (
    Environment,
    Measurement,
    RequestRecord,
    Workload,
)
from trt_nemotron.measure.bench.wire.address import resolve_address
from trt_nemotron.measure.bench.wire.exchange import Exchange
from trt_nemotron.measure.bench.wire.loop import Load, LoadResult, run_closed_loop
from trt_nemotron.measure.bench.wire.stamps import Stamps
from trt_nemotron.measure.bench.workload import check_workload
from trt_nemotron.openai.dialect import Dialect
from trt_nemotron.progress import SILENT, Progress

MOST_ATTEMPTS = 3
"""How often a closed loop is run in which the client could not keep up."""
_LONGEST_SPREAD_NS = 1_000_000_000


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
) -> Measurement:
    """Measure a server under `workload`.

    Nothing is written. An interruption (Ctrl-C) ends it at once, closes every socket and keeps
    nothing: half a measurement looks like a whole one.

    `clock_wish` asks for a source of stamps; by default the best one is taken, see `clock_choice`.
    `url` is the server's root, with or without `/v1`; an empty `model` leaves the choice to the
    server; `environment_facts` come from `environment.describe_environment`.

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
    session = _Run(interlocutor, rehearsal, floor, choice, clock, progress)
    records = [record for level in workload.concurrencies for record in session.measure(level)]
    return Measurement(
        url=interlocutor.address.root,
        started_at=started_at,
        workload=workload,
        environment=environment_facts,
        client=session.health.conclude(floor, len(session.track.steps), choice.reason),
        records=tuple(records),
        dialect=dialect.name,
        profile=profile,
        notes=(*rehearsal.notes, *session.notes),
    )


@dataclass(frozen=True, slots=True)
class _Level:
    """The requests of one concurrency: `warmup` first, then the measured ones, without a pause."""

    concurrency: int
    warmup: int
    measured: int

    @property
    def total(self) -> int:
        return self.warmup + self.measured


class _Run:
    def __init__(  # noqa: PLR0917 - called in one place, right above
        self,
        interlocutor: Interlocutor,
        rehearsal: Rehearsal,
        floor: Floor,
        choice: ClockChoice,
        clock: Clock,
        progress: Progress,
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
        self._next_index = rehearsal.requests
        self._origin_ns = clock.monotonic_ns()
        workload = interlocutor.workload
        self._deadline_ns = self._origin_ns + int(workload.total_timeout_s * 1e9)

    def measure(self, concurrency: int) -> list[RequestRecord]:
        """Records of one closed loop, warm-up included, in the order of their sending.

        When the machine was too busy for the client to keep up, the loop is run again, which is
        noted. Only the client's own lateness decides that, never a figure of the server.
        """
        workload = self._interlocutor.workload
        level = _Level(
            concurrency=concurrency,
            warmup=max(workload.warmup_requests, concurrency),
            measured=workload.requests_per_concurrency,
        )
        attempts = 1
        records, health = self._attempt(level)
        while attempts < MOST_ATTEMPTS and self._was_late(concurrency, records, health):
            attempts += 1
            records, health = self._attempt(level)
        if attempts > 1:
            self.notes.append(
                f"concurrency {concurrency}: measured {attempts} times because the machine was "
                f"too busy for the client; the last time is kept"
            )
        self.health.merge(health)
        return records

    def _was_late(self, concurrency: int, records: list[RequestRecord], health: HealthLog) -> bool:
        client = health.conclude(self._floor, 0)
        return any(find_lag_reasons(concurrency, _good(records), client))

    def _attempt(self, level: _Level) -> tuple[list[RequestRecord], HealthLog]:
        self._progress.phase(f"concurrency {level.concurrency}: {level.measured} requests")
        first_index = self._next_index
        self._next_index += level.total
        result = self._load(level, first_index)
        health = HealthLog()
        health.add_loop(level.concurrency, result)
        made = [self._record(exchange, level, first_index, result) for exchange in result.exchanges]
        records = [record for record, _ in made]
        for record, stamps in made:
            health.add_request(record, stamps)
        health.add_schedule(
            level.concurrency,
            {
                exchange.index: (exchange.previous, stamps)
                for exchange, (_, stamps) in zip(result.exchanges, made, strict=True)
            },
        )
        _refuse_without_good(records, level.concurrency)
        return sorted(records, key=lambda record: record.index), health

    def _load(self, level: _Level, first_index: int) -> LoadResult:
        workload, rehearsal = self._interlocutor.workload, self._rehearsal
        requests = [
            self._interlocutor.request(
                first_index + place, rehearsal.words, workload.output_tokens, rehearsal.extra
            )
            for place in range(level.total)
        ]
        load = Load(
            requests=requests,
            concurrency=level.concurrency,
            spread_ns=min(rehearsal.duration_ns, _LONGEST_SPREAD_NS),
            timeout_ns=int(workload.timeout_s * 1e9),
            deadline_ns=self._deadline_ns,
            is_reusing=rehearsal.keeps_connections,
        )
        address = self._interlocutor.address
        with self._choice.capture(address, level.concurrency) as capture:
            return run_closed_loop(
                address,
                load,
                self._clock,
                self.track,
                lambda done: self._progress.step(done, level.total, "requests"),
                capture=capture,
                asks_for_stamps=self._choice.source == "kernel_receive",
            )

    def _record(
        self,
        exchange: Exchange,
        level: _Level,
        first_index: int,
        result: LoadResult,
    ) -> tuple[RequestRecord, Stamps]:
        return make_record(
            exchange,
            Place(
                index=first_index + exchange.index,
                concurrency=level.concurrency,
                is_warmup=exchange.index < level.warmup,
                origin_ns=self._origin_ns,
            ),
            Expectation(
                self._interlocutor.workload.output_tokens, self._interlocutor.dialect.sends_done
            ),
            self.track,
            are_kernel_stamps_asked=result.are_kernel_stamps_asked,
            packets=result.packets,
        )


def _good(records: list[RequestRecord]) -> list[RequestRecord]:
    return [record for record in records if not record.is_warmup and record.gives_figures]


def _refuse_without_good(records: list[RequestRecord], concurrency: int) -> None:
    if _good(records):
        return
    measured = [record for record in records if not record.is_warmup]
    first = measured[0]
    raise NoValidMeasurement(
        f"none of {len(measured)} requests at concurrency {concurrency} ended well",
        evidence=f"{first.outcome}: {first.error or first.void}",
        next_step="Look at the server's log; try a lower --concurrency.",
    )
