"""What several workers found, as one: everything of all, and of every bound the worst."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import get_args

import msgspec

from trt_nemotron.measure.bench.attempt import Attempt
from trt_nemotron.measure.bench.calibration import Floor
from trt_nemotron.measure.bench.client_health import ClockSource, FigureError
from trt_nemotron.measure.bench.health import HealthLog
from trt_nemotron.measure.bench.values import RequestRecord
from trt_nemotron.measure.bench.wire.processors import Processors
from trt_nemotron.measure.bench.wire.run_queue import RunQueue
from trt_nemotron.measure.bench.wire.stamps import percentile_ms
from trt_nemotron.measure.bench.workers.messages import Done

_CLOCKS: tuple[ClockSource, ...] = get_args(ClockSource)
"""The most exact one first."""


def merge(done: Sequence[Done], first_index: int, *, is_closed: bool) -> Attempt:
    """The shares of a leg as one, its requests numbered as they were sent, or meant to be."""
    parts = [(worker, record) for worker, part in enumerate(done) for record in part.records]
    parts.sort(key=lambda part: _moment(part[1], is_closed=is_closed))
    records = [
        msgspec.structs.replace(record, index=first_index + place, worker=worker)
        for place, (worker, record) in enumerate(parts)
    ]
    health = merge_health([part.health for part in done])
    used = max(len(records), *(part.used for part in done))
    return Attempt(records, health, used, sum(part.held for part in done))


def _moment(record: RequestRecord, *, is_closed: bool) -> tuple[int, int]:
    return (record.sent_ns if is_closed else record.intended_ns, record.index)


def merge_health(logs: Sequence[HealthLog]) -> HealthLog:
    """Logs of processes that ran the same leg at the same time: the share of a core, the timer's
    lags, the waiting for a processor and the idle share of the worst of them, else all of all.
    """
    whole = HealthLog()
    for log in logs:
        whole.merge(log)
    busiest = max(logs, key=lambda log: log.process_cpu_ns / max(1, log.wall_ns))
    latest = max(logs, key=lambda log: percentile_ms([*chain(*log.lags_ns.values())], 0.99))
    kept_waiting = max(logs, key=lambda log: _sum_of_queues(log).mean_ms)
    least_idle = min(logs, key=_idle_share)
    return replace(
        whole,
        process_cpu_ns=busiest.process_cpu_ns,
        wall_ns=busiest.wall_ns,
        lags_ns=latest.lags_ns,
        run_queues=kept_waiting.run_queues,
        processors=least_idle.processors,
        workers=dict(enumerate(logs)),
    )


def _sum_of_queues(log: HealthLog) -> RunQueue:
    whole = RunQueue()
    for queue in log.run_queues.values():
        whole = whole.plus(queue)
    return whole


def _idle_share(log: HealthLog) -> float:
    """Of its machine; what nobody knows is no lower than what somebody does."""
    whole = Processors()
    for processors in log.processors.values():
        whole = whole.plus(processors)
    return whole.idle_share if whole.idle_share >= 0.0 else 1.0


def worst_floor(floors: Sequence[Floor]) -> Floor:
    """A floor that is true of each worker: of every figure the worst that one of them found."""
    errors: dict[str, FigureError] = {}
    for error in chain.from_iterable(floor.errors for floor in floors):
        known = errors.setdefault(error.figure, error)
        if abs(error.error_ms) > abs(known.error_ms):
            errors[error.figure] = error
    return Floor(
        clock=least_exact([floor.clock for floor in floors]),
        ttft_p50_ms=max(floor.ttft_p50_ms for floor in floors),
        ttft_p99_ms=max(floor.ttft_p99_ms for floor in floors),
        delay_p50_ms=max(floor.delay_p50_ms for floor in floors),
        delay_p99_ms=max(floor.delay_p99_ms for floor in floors),
        errors=tuple(errors.values()),
    )


def least_exact(clocks: Sequence[ClockSource]) -> ClockSource:
    """The one that may be said of all."""
    return max(clocks, key=_CLOCKS.index)
