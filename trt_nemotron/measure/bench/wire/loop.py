"""The event loop: a closed loop of requests over a fixed number of connections.

One thread, one selector. While it runs, garbage collection is off and other threads of this process
hand the interpreter back at once, so that nothing of our own delays a stamp.
"""

import gc
import math
import os
import selectors
import sys
import time
from bisect import insort
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from trt_nemotron.errors import EndpointUnfit, NoValidMeasurement
from trt_nemotron.measure.bench.clock import Clock, WallClockTrack
from trt_nemotron.measure.bench.wire.address import Address
from trt_nemotron.measure.bench.wire.capture import Capture, PacketTimes
from trt_nemotron.measure.bench.wire.connection import Connection
from trt_nemotron.measure.bench.wire.exchange import Exchange

TICK_NS = 5_000_000
"""Between two looks at the wall clock and the loop's own lag."""
LAZY_TICK_NS = 50_000_000
"""The same with captured packets, and between two readings of all that came meanwhile."""
_REST_NS = 50_000_000
"""Between two looks at time-outs and progress."""
_EXPECTED_QUANTILE = 0.1
"""Of the sizes of earlier responses. One response in ten is shorter, and its end is seen at the
next tick; of the others some last chunks are read one by one."""
_PROGRESS_NS = 200_000_000
CONNECT_TIMEOUT_NS = 10_000_000_000
FEWEST_FAILURES_TO_STOP = 3
_SWITCH_INTERVAL_S = 0.0001
_NICENESS = -10
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Load:
    """A closed loop.

    Attributes:
        requests: prebuilt, sent in this order.
        concurrency: requests under way at a time.
        spread_ns: over which the first wave's sendings are spread, so that the streams do not start
            in step.
        timeout_ns: of one request.
        deadline_ns: monotonic time at which the whole run is given up.
        is_reusing: use a connection again where the server keeps it open; else each request gets a
            new one, opened before its clock starts.
        linger_ns: how long to watch at the end whether the server closes what it promised to keep.
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
        process_cpu_ns: of the whole process while the loop ran.
        was_found_closed: whether the server closed a connection that it had promised to keep.
        niceness: of the loop's thread; below 0 where a higher priority was granted.
        packets: when the bytes passed the network, where packets were captured.
    """

    exchanges: list[Exchange] = field(default_factory=list)
    lags_ns: list[int] = field(default_factory=list)
    are_kernel_stamps_asked: bool = True
    cpu_ns: int = 0
    process_cpu_ns: int = 0
    wall_ns: int = 0
    was_found_closed: bool = False
    niceness: int = 0
    packets: PacketTimes | None = None


def run_closed_loop(
    address: Address,
    load: Load,
    clock: Clock,
    track: WallClockTrack,
    on_progress: Callable[[int], None] | None = None,
    *,
    capture: Capture | None = None,
    asks_for_stamps: bool = True,
) -> LoadResult:
    """Send every request of `load` and record what comes back; every socket is closed afterwards.

    `track` is sampled on every tick; `on_progress` is told the number of ended requests, five times
    a second at most. With a `capture`, times come from packets and bytes are read lazily; without
    one, the kernel is asked to stamp each read unless `asks_for_stamps` says no.

    Raises:
        EndpointUnfit: the server stopped answering.
        NoValidMeasurement: the deadline passed.
    """
    with selectors.DefaultSelector() as selector, undisturbed() as niceness:
        loop = _ClosedLoop(load, clock, track, selector, on_progress, capture)
        loop.result.niceness = niceness
        try:
            loop.connect(address, asks_for_stamps=asks_for_stamps and capture is None)
            loop.run()
        finally:
            loop.close()
    return loop.result


@contextmanager
def undisturbed() -> Iterator[int]:
    """Nothing of our own interrupts: no garbage collection, other threads give way at once.

    Where the system allows it, this thread also goes before others on a busy machine: it needs
    little time, but at once. Yields its niceness.
    """
    was_enabled = gc.isenabled()
    interval = sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, min(usual, _NICENESS))
    try:
        yield os.getpriority(os.PRIO_PROCESS, 0)
    finally:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, usual)
        sys.setswitchinterval(interval)
        gc.unfreeze()
        if was_enabled:
            gc.enable()


class _ClosedLoop:
    def __init__(  # noqa: PLR0917 - called in one place, right above
        self,
        load: Load,
        clock: Clock,
        track: WallClockTrack,
        selector: selectors.BaseSelector,
        on_progress: Callable[[int], None] | None,
        capture: Capture | None,
    ) -> None:
        self.result = LoadResult()
        self._load = load
        self._clock = clock
        self._track = track
        self._selector = selector
        self._on_progress = on_progress
        self._capture = capture
        self._tick_length_ns = TICK_NS if capture is None else LAZY_TICK_NS
        self._sizes: list[int] = []
        self._next = 0
        self._failures = 0
        self._ready: list[Connection] = []
        self._waiting: list[tuple[int, Connection]] = []
        self._tick_ns = 0
        self._rest_ns = 0
        self._told_ns = 0
        self._connections: list[Connection] = []

    def connect(self, address: Address, *, asks_for_stamps: bool) -> None:
        """Open every connection, before any clock runs."""
        self._connections = [
            Connection(
                address,
                self._selector,
                self._clock,
                self._on_end,
                asks_for_stamps=asks_for_stamps,
                is_lazy=self._capture is not None,
            )
            for _ in range(min(self._load.concurrency, len(self._load.requests)))
        ]
        for connection in self._connections:
            connection.open()
        self._await_connections()

    def run(self) -> None:
        """Keep the connections busy until every request has ended."""
        process_cpu, cpu = time.process_time_ns(), time.thread_time_ns()
        begin = self._clock.monotonic_ns()
        self._schedule_first_wave(begin)
        self._track.sample()
        self._tick_ns = begin + self._tick_length_ns
        while self._is_unfinished:
            self._turn()
        self._track.sample()
        self._conclude(begin, cpu, process_cpu)

    @property
    def _is_unfinished(self) -> bool:
        return len(self.result.exchanges) < len(self._load.requests)

    def _conclude(self, begin: int, cpu: int, process_cpu: int) -> None:
        self.result.wall_ns = self._clock.monotonic_ns() - begin
        self.result.cpu_ns = time.thread_time_ns() - cpu
        self.result.process_cpu_ns = time.process_time_ns() - process_cpu
        self.result.are_kernel_stamps_asked = all(c.has_kernel_stamps for c in self._connections)
        end = self._clock.monotonic_ns() + self._load.linger_ns
        while any(c.is_open for c in self._connections) and self._clock.monotonic_ns() < end:
            for key, _ in self._selector.select(0.005):
                key.data()
        self.result.was_found_closed = any(c.was_found_closed for c in self._connections)
        if self._capture is not None:
            self.result.packets = self._capture.conclude()

    def close(self) -> None:
        """Close every socket."""
        for connection in self._connections:
            connection.close()

    def _await_connections(self) -> None:
        """Wait until each connection is open or refused; what is refused is tried again, and then
        counted, when its first request is due.
        """
        give_up = self._clock.monotonic_ns() + min(CONNECT_TIMEOUT_NS, self._load.timeout_ns)
        while self._selector.get_map() and not all(c.is_open for c in self._connections):
            for key, _ in self._selector.select(0.05):
                key.data()
            if self._clock.monotonic_ns() > give_up:
                return

    def _schedule_first_wave(self, begin: int) -> None:
        gap = self._load.spread_ns // max(1, len(self._connections))
        self._waiting = [
            (begin + place * gap, connection) for place, connection in enumerate(self._connections)
        ]

    def _turn(self) -> None:
        """Wait for the next event, serve what there is, then begin what may begin."""
        armed = self._clock.monotonic_ns()
        due = min(self._tick_ns, self._waiting[0][0]) if self._waiting else self._tick_ns
        # epoll counts in whole milliseconds: ask for no fraction, so that lag is not rounding.
        timeout_ms = max(0, math.ceil((due - armed) / _NS_PER_MS))
        for key, _ in self._selector.select(timeout_ms / 1000):
            key.data()
        now = self._clock.monotonic_ns()
        if now >= self._tick_ns:
            woken = armed + timeout_ms * _NS_PER_MS if timeout_ms else self._tick_ns
            asked = max(self._tick_ns, woken)
            self.result.lags_ns.append(max(0, now - asked))
            self._tick(now)
        if self._ready:
            self._start_ready()
        if self._waiting:
            self._start_waiting()

    def _start_ready(self) -> None:
        ready, self._ready = self._ready, []
        for connection in ready:
            if not self._load.is_reusing or connection.was_found_closed:
                connection.close()
            self._start_next(connection)

    def _start_waiting(self) -> None:
        now = self._clock.monotonic_ns()
        while self._waiting and self._waiting[0][0] <= now:
            self._start_next(self._waiting.pop(0)[1])

    def _start_next(self, connection: Connection) -> None:
        if self._next < len(self._load.requests):
            index, self._next = self._next, self._next + 1
            if self._sizes:
                place = int(_EXPECTED_QUANTILE * len(self._sizes))
                connection.expected_size = self._sizes[place]
            connection.start(index, self._load.requests[index])

    def _on_end(self, connection: Connection, exchange: Exchange) -> None:
        self.result.exchanges.append(exchange)
        self._ready.append(connection)
        if self._capture is not None and exchange.ending == "complete":
            insort(self._sizes, len(exchange.received))
        is_lost = exchange.ending in {"timeout", "not_connected", "reset"} or not exchange.received
        self._failures = self._failures + 1 if is_lost else 0
        if self._failures >= max(FEWEST_FAILURES_TO_STOP, len(self._connections)):
            self._stop(exchange)

    def _stop(self, exchange: Exchange) -> None:
        done = len(self.result.exchanges) - self._failures
        raise EndpointUnfit(
            f"the server stopped answering: {self._failures} requests in a row failed, "
            f"after {done} that were answered",
            evidence=f"{exchange.ending.replace('_', ' ')}: {exchange.fault}",
            next_step="Look at the server's log; nothing of this run was kept.",
        )

    def _tick(self, now: int) -> None:
        self._tick_ns = now + self._tick_length_ns
        self._track.sample()
        if self._capture is not None:
            self._capture.drain()
        if now >= self._rest_ns:
            self._rest_ns = now + _REST_NS
            self._rest(now)

    def _rest(self, now: int) -> None:
        """What need not be looked at on every tick."""
        for connection in self._connections:
            if connection.is_busy:
                connection.on_tick()
            if connection.is_busy and now - connection.started_ns > self._load.timeout_ns:
                connection.give_up(f"not ended after {self._load.timeout_ns / 1e9:g} s")
        if now > self._load.deadline_ns and self._is_unfinished:
            raise NoValidMeasurement(
                "the run took longer than it was given",
                evidence=f"{len(self.result.exchanges)} of {len(self._load.requests)} requests of "
                f"concurrency {self._load.concurrency} had ended",
                next_step="Ask for fewer requests or tokens, or give it more time.",
            )
        if self._on_progress is not None and now >= self._told_ns:
            self._told_ns = now + _PROGRESS_NS
            self._on_progress(len(self.result.exchanges))
