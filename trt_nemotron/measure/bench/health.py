"""The client's own condition over a run, put together from every loop of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from trt_nemotron.measure.bench.calibration import Floor
from trt_nemotron.measure.bench.values import ClientHealth, ClockSource, LoopLag
from trt_nemotron.measure.bench.wire.loop import LoadResult
from trt_nemotron.measure.bench.wire.stamps import Stamps, percentile_ms


@dataclass(slots=True)
class HealthLog:
    """Collects, loop by loop, what `ClientHealth` is made of."""

    lags_ns: dict[int, list[int]] = field(default_factory=dict)
    read_lags_ns: list[int] = field(default_factory=list)
    sources: set[ClockSource] = field(default_factory=set)
    unstamped: int = 0
    reads: int = 0
    cpu_ns: int = 0
    process_cpu_ns: int = 0
    wall_ns: int = 0
    niceness: int = 0

    def add_loop(self, concurrency: int, result: LoadResult) -> None:
        """Take over what a loop found of itself."""
        self.lags_ns[concurrency] = result.lags_ns
        self.niceness = result.niceness
        self.cpu_ns += result.cpu_ns
        self.process_cpu_ns += result.process_cpu_ns
        self.wall_ns += result.wall_ns
        self.reads += sum(len(exchange.reads) for exchange in result.exchanges)

    def add_stamps(self, stamps: Sequence[Stamps]) -> None:
        """Take over how the chunks of measured requests were stamped."""
        for stamp in stamps:
            self.unstamped += stamp.unstamped
            self.read_lags_ns += stamp.lags
            if stamp.times:
                self.sources.add(stamp.source)

    def conclude(self, floor: Floor, clock_steps: int) -> ClientHealth:
        """The client's health over the whole run."""
        is_kernel = self.sources == {"kernel_receive"}
        return ClientHealth(
            clock="kernel_receive" if is_kernel else "user_read",
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
        )

    def _loop_lags(self) -> tuple[LoopLag, ...]:
        return tuple(
            LoopLag(concurrency=concurrency, p99_ms=max(0.0, percentile_ms(lags, 0.99)))
            for concurrency, lags in self.lags_ns.items()
        )

    def merge(self, other: "HealthLog") -> None:
        """Add what another log has collected."""
        self.lags_ns |= other.lags_ns
        self.read_lags_ns += other.read_lags_ns
        self.sources |= other.sources
        self.unstamped += other.unstamped
        self.reads += other.reads
        self.cpu_ns += other.cpu_ns
        self.process_cpu_ns += other.process_cpu_ns
        self.wall_ns += other.wall_ns
        self.niceness = other.niceness
