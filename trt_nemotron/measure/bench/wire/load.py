"""What a loop is asked to do, and what it recorded."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from trt_nemotron.measure.bench.wire.capture import PacketTimes
from trt_nemotron.measure.bench.wire.processors import Processors
from trt_nemotron.measure.bench.wire.recording import Recording
from trt_nemotron.measure.bench.wire.run_queue import RunQueue


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every request of a loop, whatever its source.

    Attributes:
        streams: most requests under way at a time.
        timeout_ns: of one request.
        deadline_ns: monotonic time at which the whole run is given up.
        is_reusing: use a connection again where the server keeps it open; else each request gets a
            new one, opened before its clock starts.
        linger_ns: how long to watch at the end whether the server closes what it promised to keep.
        opened_ahead: connections opened before the clock runs; more are opened as they are needed,
            before they are. 0 for all `streams`.
    """

    streams: int
    timeout_ns: int
    deadline_ns: int
    is_reusing: bool = True
    linger_ns: int = 0
    opened_ahead: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """A closed loop of requests that are all known before; see `run_closed_loop`.

    Attributes:
        requests: prebuilt, sent in this order.
        concurrency: requests under way at a time.
        spread_ns: over which the first wave's sendings are spread, so that the streams do not start
            in step.
        timeout_ns, deadline_ns, is_reusing, linger_ns: see `Terms`.
    """

    requests: Sequence[bytes]
    concurrency: int
    spread_ns: int
    timeout_ns: int
    deadline_ns: int
    is_reusing: bool = True
    linger_ns: int = 0


@dataclass(slots=True)
class LoadResult:
    """What a loop recorded.

    Attributes:
        lags_ns: how late each tick was served.
        cpu_ns, wall_ns: of the loop's thread, and of the loop.
        run_queue: waiting of the loop's thread for a processor.
        processors: how much of the machine's was idle while the loop ran.
        process_cpu_ns: of the whole process while the loop ran.
        was_found_closed: whether the server closed a connection that it had promised to keep.
        niceness: of the loop's thread; below 0 where a higher priority was granted.
        packets: when the bytes passed the network, where packets were captured.
        intended_ns: of each exchange by its index, when a schedule meant to send it; empty without.
        held: requests that were sent late because as many were under way as may be.
        connections: how many were used.
    """

    exchanges: Recording = field(default_factory=Recording)
    lags_ns: list[int] = field(default_factory=list)
    are_kernel_stamps_asked: bool = True
    cpu_ns: int = 0
    process_cpu_ns: int = 0
    wall_ns: int = 0
    was_found_closed: bool = False
    niceness: int = 0
    packets: PacketTimes | None = None
    intended_ns: list[int] = field(default_factory=list)
    held: int = 0
    connections: int = 0
    run_queue: RunQueue = field(default_factory=RunQueue)
    processors: Processors = field(default_factory=Processors)
