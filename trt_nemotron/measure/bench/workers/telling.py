"""What a run tells of each worker, and its times on the run's own clock."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from trt_nemotron.measure.bench.calibration import Floor
from trt_nemotron.measure.bench.client_health import ClientHealth, FigureError
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import RequestRecord
from trt_nemotron.measure.bench.worker_health import ClockOffset, WorkerHealth
from trt_nemotron.measure.bench.workers.far_clock import ClockSpan
from trt_nemotron.measure.bench.workers.messages import Done

CLOCK_OFFSET = "clock_offset_ms"
"""The entry in `ClientHealth.measurement_error` for the clocks of other machines."""


@dataclass(slots=True)
class WorkerTold:
    """What is known of a worker besides what it did in a leg.

    Attributes:
        machine: empty for ours.
        streams: its share at the highest concurrency.
        late_ns: at most, how much later than agreed it heard when to begin.
        spans: of its machine's clock, by leg.
    """

    machine: str
    streams: int = 0
    floor: Floor | None = None
    late_ns: int = 0
    spans: dict[Leg, ClockSpan] = field(default_factory=dict)


def describe_workers(client: ClientHealth, told: Sequence[WorkerTold]) -> ClientHealth:
    """A client's health with all that is known of its workers; the worst bound of their clocks is
    an entry of its measured error.
    """
    workers = tuple(_describe(worker, told[worker.worker]) for worker in client.workers)
    offsets = [offset for worker in workers for offset in worker.clock_offsets]
    errors = [error for error in client.measurement_error if error.figure != CLOCK_OFFSET]
    if offsets:
        worst = max(offset.bound_ms for offset in offsets)
        errors.append(FigureError(figure=CLOCK_OFFSET, error_ms=worst))
    return msgspec.structs.replace(client, workers=workers, measurement_error=tuple(errors))


def _describe(worker: WorkerHealth, told: WorkerTold) -> WorkerHealth:
    floor = told.floor
    return msgspec.structs.replace(
        worker,
        machine=told.machine,
        streams=told.streams,
        floor_ttft_p50_ms=floor.ttft_p50_ms if floor else -1.0,
        stamp_delay_p50_ms=floor.delay_p50_ms if floor else -1.0,
        stamp_delay_p99_ms=floor.delay_p99_ms if floor else -1.0,
        start_late_ms=told.late_ns / 1e6,
        clock_offsets=tuple(_offset(leg, span) for leg, span in told.spans.items()),
    )


def _offset(leg: Leg, span: ClockSpan) -> ClockOffset:
    return ClockOffset(
        concurrency=leg.concurrency,
        rate_rps=leg.rate_rps,
        input_tokens=leg.input_tokens,
        before_ms=span.before.ns / 1e6,
        before_bound_ms=span.before.bound_ns / 1e6,
        after_ms=span.after.ns / 1e6,
        after_bound_ms=span.after.bound_ns / 1e6,
        bound_ms=span.bound_ns / 1e6,
        is_stepped=span.is_stepped,
    )


def on_our_clock(done: Done, span: ClockSpan) -> Done:
    """What a worker recorded, put right by what its clock was found to differ after the leg.

    It counts from a zero that was moved to its clock by the measurement before the leg, so only
    the rest is left to move; every time of the leg by the same, so no latency changes.
    """
    rest_ns = span.before.ns - span.ns
    if not rest_ns:
        return done
    records = [_moved(record, rest_ns) for record in done.records]
    return msgspec.structs.replace(done, records=records)


def _moved(record: RequestRecord, by_ns: int) -> RequestRecord:
    chunks = tuple(
        msgspec.structs.replace(chunk, received_ns=chunk.received_ns + by_ns)
        for chunk in record.chunks
    )
    intended_ns = record.intended_ns + by_ns if record.intended_ns >= 0 else -1
    return msgspec.structs.replace(
        record,
        sent_ns=record.sent_ns + by_ns,
        finished_ns=record.finished_ns + by_ns,
        chunks=chunks,
        intended_ns=intended_ns,
    )
