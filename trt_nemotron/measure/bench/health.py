"""The client's own condition over a run, put together from every loop of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from operator import eq
from typing import get_args

from trt_nemotron.measure.bench.calibration import Floor
from trt_nemotron.measure.bench.client_health import ClientHealth, ClockSource, LoopLag, ScheduleLag
from trt_nemotron.measure.bench.figures.request_figures import token_chunks
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import RequestRecord
from trt_nemotron.measure.bench.wire.load import LoadResult
from trt_nemotron.measure.bench.wire.processors import Processors
from trt_nemotron.measure.bench.wire.run_queue import RunQueue
from trt_nemotron.measure.bench.wire.stamps import Stamps, percentile_ms
from trt_nemotron.measure.bench.worker_health import WorkerHealth

_CLOCKS: tuple[ClockSource, ...] = get_args(ClockSource)
"""The most exact one first."""


@dataclass(slots=True)
class HealthLog:
    """Collects, loop by loop, what `ClientHealth` is made of; lags are kept by leg."""

    lags_ns: dict[Leg, list[int]] = field(default_factory=dict)
    run_queues: dict[Leg, RunQueue] = field(default_factory=dict)
    processors: dict[Leg, Processors] = field(default_factory=dict)
    read_lags_ns: list[int] = field(default_factory=list)
    sources: set[ClockSource] = field(default_factory=set)
    unstamped: int = 0
    reads: int = 0
    cpu_ns: int = 0
    process_cpu_ns: int = 0
    wall_ns: int = 0
    niceness: int = 0
    schedule_lags_ns: dict[Leg, list[int]] = field(default_factory=dict)
    gaps: int = 0
    merged: int = 0
    void: int = 0
    lost_packets: int = 0
    repeated_segments: int = 0
    workers: dict[int, "HealthLog"] = field(default_factory=dict)

    def add_loop(self, leg: Leg, result: LoadResult) -> None:
        """Take over what a loop found of itself."""
        self.lags_ns.setdefault(leg, []).extend(result.lags_ns)
        self.run_queues[leg] = self.run_queues.get(leg, RunQueue()).plus(result.run_queue)
        self.processors[leg] = self.processors.get(leg, Processors()).plus(result.processors)
        self.niceness = result.niceness
        self.cpu_ns += result.cpu_ns
        self.process_cpu_ns += result.process_cpu_ns
        self.wall_ns += result.wall_ns
        if result.packets is not None:
            self.lost_packets += result.packets.lost
            self.repeated_segments += result.packets.repeated

    def add_request(self, record: RequestRecord, stamps: Stamps) -> None:
        """Take over how the chunks of a measured request were stamped."""
        self.reads += len(record.chunks)
        if record.is_warmup:
            return
        if stamps.void:
            self.void += 1
            return
        self.unstamped += stamps.unstamped
        self.read_lags_ns += stamps.lags
        if stamps.times:
            self.sources.add(stamps.source)
        times = [chunk.received_ns for chunk in token_chunks(record)]
        self.gaps += max(0, len(times) - 1)
        self.merged += sum(map(eq, times, times[1:]))

    def add_arrivals(self, leg: Leg, made: Iterable[tuple[RequestRecord, Stamps]]) -> None:
        """Take over how much later than meant each request of an open loop was sent."""
        self.schedule_lags_ns.setdefault(leg, []).extend(
            max(0, record.sent_ns - record.intended_ns)
            for record, stamps in made
            if not stamps.void
        )

    def add_streams(self, leg: Leg, stamped: Mapping[int, tuple[int, Stamps]]) -> None:
        """Take over how long each stream waited between a response and its next request.

        `stamped` has, for each exchange by its index, the index of the one before and its times.
        """
        self.schedule_lags_ns.setdefault(leg, []).extend(
            max(0, stamps.sent_ns - stamped[previous][1].finished_ns)
            for previous, stamps in stamped.values()
            if previous in stamped and not stamps.void and not stamped[previous][1].void
        )

    def conclude(self, floor: Floor, clock_steps: int, clock_reason: str = "") -> ClientHealth:
        """The client's health over the whole run."""
        return ClientHealth(
            clock=max(self.sources, key=_CLOCKS.index, default="user_read"),
            cpu_share=self.process_cpu_ns / self.wall_ns if self.wall_ns else 0.0,
            loop_lag_p99_ms=max(0.0, percentile_ms([*chain(*self.lags_ns.values())], 0.99)),
            floor_ttft_p50_ms=floor.ttft_p50_ms,
            floor_ttft_p99_ms=floor.ttft_p99_ms,
            stamp_delay_p50_ms=floor.delay_p50_ms,
            stamp_delay_p99_ms=floor.delay_p99_ms,
            read_lag_p99_ms=percentile_ms(self.read_lags_ns, 0.99),
            cpu_us_per_chunk=self.cpu_ns / 1e3 / self.reads if self.reads else -1.0,
            loop_lags=self._loop_lags(),
            clock_steps=clock_steps,
            niceness=self.niceness,
            unstamped_reads=self.unstamped,
            clock_reason=clock_reason,
            measurement_error=floor.errors,
            read_lag_p50_ms=percentile_ms(self.read_lags_ns, 0.50),
            schedule_lags=self._schedule_lags(),
            merged_share=self.merged / self.gaps if self.gaps else -1.0,
            lost_packets=self.lost_packets,
            repeated_segments=self.repeated_segments,
            void_requests=self.void,
            workers=self._workers(),
        )

    def _workers(self) -> tuple[WorkerHealth, ...]:
        return tuple(
            WorkerHealth(
                worker=worker,
                cpu_share=log.process_cpu_ns / log.wall_ns if log.wall_ns else 0.0,
                loop_lag_p99_ms=max(0.0, percentile_ms([*chain(*log.lags_ns.values())], 0.99)),
                read_lag_p99_ms=percentile_ms(log.read_lags_ns, 0.99),
            )
            for worker, log in self.workers.items()
        )

    def _loop_lags(self) -> tuple[LoopLag, ...]:
        return tuple(
            LoopLag(
                concurrency=leg.concurrency,
                p99_ms=max(0.0, percentile_ms(lags, 0.99)),
                queue_mean_ms=self.run_queues.get(leg, RunQueue()).mean_ms,
                idle_share=self.processors.get(leg, Processors()).idle_share,
                rate_rps=leg.rate_rps,
                input_tokens=leg.input_tokens,
            )
            for leg, lags in self.lags_ns.items()
        )

    def _schedule_lags(self) -> tuple[ScheduleLag, ...]:
        return tuple(
            ScheduleLag(
                concurrency=leg.concurrency,
                p50_ms=percentile_ms(lags, 0.50),
                p99_ms=percentile_ms(lags, 0.99),
                rate_rps=leg.rate_rps,
                input_tokens=leg.input_tokens,
            )
            for leg, lags in self.schedule_lags_ns.items()
            if lags
        )

    def merge(self, other: "HealthLog") -> None:
        """Add what another log has collected."""
        for leg, lags in other.lags_ns.items():
            self.lags_ns.setdefault(leg, []).extend(lags)
        for leg, queue in other.run_queues.items():
            self.run_queues[leg] = self.run_queues.get(leg, RunQueue()).plus(queue)
        for leg, processors in other.processors.items():
            self.processors[leg] = self.processors.get(leg, Processors()).plus(processors)
        self.read_lags_ns += other.read_lags_ns
        self.sources |= other.sources
        self.unstamped += other.unstamped
        self.reads += other.reads
        self.cpu_ns += other.cpu_ns
        self.process_cpu_ns += other.process_cpu_ns
        self.wall_ns += other.wall_ns
        self.niceness = other.niceness
        for leg, lags in other.schedule_lags_ns.items():
            self.schedule_lags_ns.setdefault(leg, []).extend(lags)
        self.gaps += other.gaps
        self.merged += other.merged
        self.void += other.void
        self.lost_packets += other.lost_packets
        self.repeated_segments += other.repeated_segments
        for worker, log in other.workers.items():
            self.workers.setdefault(worker, HealthLog()).merge(log)
