"""One process of a client that has several: how well it was, and how its machine's clock stood."""

from trt_nemotron.document import Value


class ClockOffset(Value, frozen=True, kw_only=True):
    """How far another machine's monotonic clock was from ours in one leg.

    Measured as NTP does (RFC 5905, section 8): several exchanges, of which the one of the least
    round trip counts; the other clock was read within it, so half of it is a bound and no estimate.

    Attributes:
        concurrency, rate_rps, input_tokens: of the leg, see `leg.Leg`.
        before_ms, after_ms: that clock minus ours, before the leg and after it.
        before_bound_ms, after_bound_ms: by how much each may be wrong.
        bound_ms: by how much times of this leg may be wrong on our clock, drift included.
        is_stepped: whether it moved by more than two clocks may drift apart.
    """

    concurrency: int
    before_ms: float
    before_bound_ms: float
    after_ms: float
    after_bound_ms: float
    bound_ms: float
    is_stepped: bool = False
    rate_rps: float = 0.0
    input_tokens: int = 0


class WorkerHealth(Value, frozen=True, kw_only=True):
    """One process of a client that has several; see `client_health.ClientHealth`.

    Attributes:
        machine: the address of another machine that it ran on; empty for ours.
        streams: that were its share at the highest concurrency of the run; 0 in older files.
        floor_ttft_p50_ms, stamp_delay_p50_ms, stamp_delay_p99_ms: as this process measured itself,
            with its share of the streams, at the same time as the others; -1 in older files.
        start_late_ms: how much later than agreed it heard when to begin, in its worst leg.
        clock_offsets: of its machine's clock in each leg; none for our own machine.
    """

    worker: int
    cpu_share: float
    loop_lag_p99_ms: float
    read_lag_p99_ms: float
    machine: str = ""
    streams: int = 0
    floor_ttft_p50_ms: float = -1.0
    stamp_delay_p50_ms: float = -1.0
    stamp_delay_p99_ms: float = -1.0
    start_late_ms: float = 0.0
    clock_offsets: tuple[ClockOffset, ...] = ()
