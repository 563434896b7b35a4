"""One leg, or a share of it, run once in this process: loaded, then made into records."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from trt_nemotron.measure.bench.clock import Clock, WallClockTrack
from trt_nemotron.measure.bench.clock_choice import ClockChoice
from trt_nemotron.measure.bench.health import HealthLog
from trt_nemotron.measure.bench.leg_source import LegPlan
from trt_nemotron.measure.bench.record import Expectation, make_record
from trt_nemotron.measure.bench.values import RequestRecord
from trt_nemotron.measure.bench.wire.load import LoadResult, Terms
from trt_nemotron.measure.bench.wire.loop import run_loop
from trt_nemotron.measure.bench.wire.pool import SPARE_CONNECTIONS
from trt_nemotron.measure.bench.wire.sources.meeting import Meet, MeetingSource
from trt_nemotron.measure.bench.wire.sources.protocol import Source
from trt_nemotron.measure.bench.wire.stamps import Stamps


@dataclass(frozen=True, slots=True)
class Conditions:
    """What holds for every leg that this process runs.

    Attributes:
        track: of this process; it goes on from leg to leg.
        origin_ns: the run's zero.
        deadline_ns: monotonic time at which the whole run is given up.
    """

    choice: ClockChoice
    clock: Clock
    track: WallClockTrack
    origin_ns: int
    deadline_ns: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of running a leg once.

    Attributes:
        records: in the order of sending.
        used: numbers below this one are used up, for prompts that must not come again.
        held: requests that waited because as many were under way as may be.
    """

    records: list[RequestRecord]
    health: HealthLog
    used: int
    held: int


def attempt_leg(
    plan: LegPlan,
    conditions: Conditions,
    tell: Callable[[int], None],
    *,
    around: AbstractContextManager[None] | None = None,
    meet: Meet | None = None,
    beat: Callable[[], None] = lambda: None,
) -> Attempt:
    """Send what `plan` says and read what came back.

    Args:
        plan: the leg, or a worker's share of it.
        conditions: of this process.
        tell: told the number of ended requests, a few times a second.
        around: entered before the load and left after it, before anything is read.
        meet: when the first request is due; without it, at once.
        beat: called for each request that is read afterwards, to show that we live.

    Raises:
        EndpointUnfit: the server stopped answering.
        NoValidMeasurement: the deadline passed.
    """
    source = plan.source()
    driven = source if meet is None else MeetingSource(source, meet, plan.delay_ns)
    with around or nullcontext():
        result = _load(plan, driven, conditions, tell)
    health = HealthLog()
    health.add_loop(plan.order.leg, result)
    made = _make_records(plan, source, result, conditions, health=health, beat=beat)
    _add_schedule(plan, result, made, health)
    records = sorted((record for record, _ in made), key=lambda record: record.index)
    last = len(result.exchanges)
    return Attempt(records, health, plan.share.number(last - 1) + 1 if last else 0, result.held)


def _load(
    plan: LegPlan, source: Source, conditions: Conditions, tell: Callable[[int], None]
) -> LoadResult:
    workload, choice = plan.interlocutor.workload, conditions.choice
    leg = plan.order.leg
    terms = Terms(
        streams=plan.streams,
        timeout_ns=int(workload.timeout_s * 1e9),
        deadline_ns=conditions.deadline_ns,
        is_reusing=plan.length.keeps_connections,
        opened_ahead=0 if plan.is_closed else _needed(plan),
    )
    address = plan.interlocutor.address
    # The ring shows the packets of every worker, so it needs room for all streams.
    with choice.capture(address, leg.concurrency) as capture:
        return run_loop(
            address,
            source,
            terms,
            conditions.clock,
            conditions.track,
            tell,
            capture=capture,
            asks_for_stamps=choice.source == "kernel_receive",
        )


def _needed(plan: LegPlan) -> int:
    """Connections that a schedule keeps busy when the server is as fast as it was alone."""
    busy = plan.order.leg.rate_rps * plan.length.duration_ns / 1e9 / plan.share.workers
    return min(plan.streams, math.ceil(busy) + SPARE_CONNECTIONS)


def _make_records(
    plan: LegPlan,
    source: Source,
    result: LoadResult,
    conditions: Conditions,
    *,
    health: HealthLog,
    beat: Callable[[], None],
) -> list[tuple[RequestRecord, Stamps]]:
    """Every record with its stamps; of what they were made from, only what is asked for later."""
    interlocutor = plan.interlocutor
    expectation = Expectation(interlocutor.expected_tokens, interlocutor.dialect.sends_done)
    made = []
    for exchange in result.exchanges.take():
        record, stamps = make_record(
            exchange,
            plan.place(exchange.index, source, result, conditions.origin_ns),
            expectation,
            conditions.track,
            are_kernel_stamps_asked=result.are_kernel_stamps_asked,
            packets=result.packets,
        )
        health.add_request(record, stamps)
        made.append((record, replace(stamps, times=(), ends=(), lags=())))
        beat()
    return made


def _add_schedule(
    plan: LegPlan,
    result: LoadResult,
    made: Sequence[tuple[RequestRecord, Stamps]],
    health: HealthLog,
) -> None:
    """How late the client itself was: of a stream that was free, or of a schedule."""
    leg = plan.order.leg
    if not plan.is_closed:
        health.add_arrivals(leg, made)
    elif not plan.interlocutor.workload.think_s:
        health.add_streams(
            leg,
            {
                exchange.index: (exchange.previous, stamps)
                for exchange, (_, stamps) in zip(result.exchanges, made, strict=True)
            },
        )
