"""How well the measuring client was, kept with every measurement. What is not known reads -1."""

from typing import Literal

from trt_nemotron.document import Value
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.worker_health import WorkerHealth

ClockSource = Literal["packet_ring", "kernel_receive", "user_read"]
"""The most exact one first."""


class LoopLag(Value, frozen=True, kw_only=True):
    """How late the client was in one leg: its timer, and all that it did.

    Attributes:
        p99_ms: of how late its timer fired.
        queue_mean_ms: how long its thread, when it had something to do, waited for a processor; -1
            where the system does not tell (all but Linux).
        idle_share: of all processors of the machine while the leg was measured; -1 as above.
        rate_rps, input_tokens: of the leg, see `Leg`.
    """

    concurrency: int
    p99_ms: float
    rate_rps: float = 0.0
    input_tokens: int = 0
    queue_mean_ms: float = -1.0
    idle_share: float = -1.0

    @property
    def leg(self) -> Leg:
        """The leg it belongs to."""
        return Leg(
            concurrency=self.concurrency, rate_rps=self.rate_rps, input_tokens=self.input_tokens
        )


class FigureError(Value, frozen=True, kw_only=True):
    """How far one figure was from the truth when the client measured itself.

    Attributes:
        figure: as in a summary: `ttft_p50_ms`, `itl_p99_ms`, ...
        error_ms: what the client said minus what its loopback server had logged.
    """

    figure: str
    error_ms: float


class ScheduleLag(Value, frozen=True, kw_only=True):
    """How much later than meant the client itself sent, in one leg.

    In a closed loop from a response's last byte to the next request of its stream: a stream that
    should be busy and was not. In an open loop from the meant start to the sending; what waited
    because no more may be under way is in it.

    Attributes:
        rate_rps, input_tokens: of the leg, see `Leg`.
    """

    concurrency: int
    p50_ms: float
    p99_ms: float
    rate_rps: float = 0.0
    input_tokens: int = 0


class ClientHealth(Value, frozen=True, kw_only=True):
    """How well the client itself was, so that its own delay is not taken for the server's.

    Attributes:
        clock: the least exact clock that stamped any measured request.
        cpu_share: processor time of the client over wall time, 1.0 is one core.
        loop_lag_p99_ms: how late the client's own timer fired.
        floor_ttft_p50_ms: TTFT the client reports for a loopback server that answers at once.
        floor_ttft_p99_ms: the same at the highest concurrency of the run, as its p99.
        stamp_delay_p50_ms, stamp_delay_p99_ms: how much later than that server's own clock just
            before `send` its chunks were stamped, at the highest concurrency of the run.
        read_lag_p99_ms: user-space time of a read minus the kernel's stamp of it, during the run;
            -1 without kernel stamps.
        cpu_us_per_chunk: processor time of the measuring loop over the events that came, warm-up
            included.
        loop_lags: the same lateness for each leg on its own.
        clock_steps: steps of the wall clock seen; requests across one carry user-space stamps.
        niceness: scheduling priority the loop was given; 0 where raising it was not allowed.
        unstamped_reads: reads for which the kernel gave no stamp although it was asked to.
        clock_reason: why the clock is not a better one; empty for the best.
        measurement_error: of each figure, at the highest concurrency of the run, with its clock.
        read_lag_p50_ms: as `read_lag_p99_ms`. With packets the reader is late on purpose, and no
            figure depends on it.
        schedule_lags: for each leg on its own; none for conversations with pauses.
        merged_share: share of token chunks that came in one segment or read with the one before.
        lost_packets: packets that the capture ring had no room for.
        repeated_segments: segments that were captured and brought nothing new.
        void_requests: measured requests whose times give no figure, see `RequestRecord.void`.
        workers: each on its own, where several processes sent the load; `cpu_share` and the lags
            of the timer above are then those of the worst of them in each leg.
    """

    clock: ClockSource
    cpu_share: float
    loop_lag_p99_ms: float
    floor_ttft_p50_ms: float
    floor_ttft_p99_ms: float = -1.0
    stamp_delay_p50_ms: float = -1.0
    stamp_delay_p99_ms: float = -1.0
    read_lag_p99_ms: float = -1.0
    cpu_us_per_chunk: float = -1.0
    loop_lags: tuple[LoopLag, ...] = ()
    clock_steps: int = 0
    niceness: int = 0
    unstamped_reads: int = 0
    clock_reason: str = ""
    measurement_error: tuple[FigureError, ...] = ()
    read_lag_p50_ms: float = -1.0
    schedule_lags: tuple[ScheduleLag, ...] = ()
    merged_share: float = -1.0
    lost_packets: int = 0
    repeated_segments: int = 0
    void_requests: int = 0
    workers: tuple[WorkerHealth, ...] = ()
