"""The event loop: sends what a source says is due over a limited number of connections.

One thread, one selector, undisturbed by the rest of this process.
"""

import math
import select
import selectors
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from trt_nemotron.measure.bench.clock import Clock, WallClockTrack
from trt_nemotron.measure.bench.wire.address import Address
from trt_nemotron.measure.bench.wire.capture import Capture
from trt_nemotron.measure.bench.wire.connection import Connection
from trt_nemotron.measure.bench.wire.exchange import Exchange
from trt_nemotron.measure.bench.wire.load import Load, LoadResult, Terms
from trt_nemotron.measure.bench.wire.patience import Patience
from trt_nemotron.measure.bench.wire.pool import Pool
from trt_nemotron.measure.bench.wire.processors import read_processors
from trt_nemotron.measure.bench.wire.response_sizes import ResponseSizes
from trt_nemotron.measure.bench.wire.run_queue import read_run_queue
from trt_nemotron.measure.bench.wire.sources.closed import ClosedSource
from trt_nemotron.measure.bench.wire.sources.protocol import NEVER, Order, Source
from trt_nemotron.measure.bench.wire.sources.stock import Stock
from trt_nemotron.measure.bench.wire.undisturbed import undisturbed

MakePool = Callable[[Callable[[Address], Connection]], Pool]
"""Makes a pool of what connects to a server."""

TICK_NS = 5_000_000
"""Between two looks at the wall clock and the loop's own lag."""
LAZY_TICK_NS = 50_000_000
"""The same with captured packets, and between two readings of all that came meanwhile."""
_REST_NS = 50_000_000
"""Between two looks at time-outs and progress."""
_PROGRESS_NS = 200_000_000
CONNECT_TIMEOUT_NS = 10_000_000_000
_NS_PER_MS = 1_000_000
_HIGHEST_SELECT = 1024
"""select(2) takes no file descriptor from here on."""
_FEWEST_TO_COLLECT = 32
"""Requests of a loop from which on garbage is worth collecting before it."""


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
    """Send every request of `load`, each as soon as a stream is free: `run_loop`."""
    count = min(load.concurrency, len(load.requests))
    source = ClosedSource(Stock.of(load.requests), count, load.spread_ns)
    terms = Terms(count, load.timeout_ns, load.deadline_ns, load.is_reusing, load.linger_ns)
    return run_loop(
        address,
        source,
        terms,
        clock,
        track,
        on_progress,
        capture=capture,
        asks_for_stamps=asks_for_stamps,
    )


def run_loop(  # noqa: PLR0917 - as `run_closed_loop`
    address: Address,
    source: Source,
    terms: Terms,
    clock: Clock,
    track: WallClockTrack,
    on_progress: Callable[[int], None] | None = None,
    *,
    capture: Capture | None = None,
    asks_for_stamps: bool = True,
    make_pool: MakePool | None = None,
) -> LoadResult:
    """Send what `source` has, record what comes back; every socket is closed afterwards.

    `track` is sampled on every tick; `on_progress` is told the number of ended requests, five times
    a second at most. With a `capture`, times come from packets and bytes are read lazily; without
    one, the kernel is asked to stamp each read unless `asks_for_stamps` says no. `make_pool` makes
    the pool of connections where not all of them lead to `address`.

    Raises:
        EndpointUnfit: the server stopped answering.
        NoValidMeasurement: the deadline passed.
    """
    is_short = source.total is not None and source.total < _FEWEST_TO_COLLECT
    with (
        selectors.DefaultSelector() as selector,
        undisturbed(is_short=is_short) as niceness,
    ):
        loop = _Loop(
            address,
            source,
            terms,
            clock,
            track,
            selector,
            on_progress,
            capture,
            make_pool,
            asks_for_stamps=asks_for_stamps and capture is None,
        )
        loop.result.niceness = niceness
        try:
            loop.connect()
            loop.run()
        finally:
            loop.close()
    return loop.result


class _Loop:
    def __init__(  # noqa: PLR0917 - called in one place, right above
        self,
        address: Address,
        source: Source,
        terms: Terms,
        clock: Clock,
        track: WallClockTrack,
        selector: selectors.BaseSelector,
        on_progress: Callable[[int], None] | None,
        capture: Capture | None,
        make_pool: MakePool | None,
        *,
        asks_for_stamps: bool,
    ) -> None:
        self.result = LoadResult()
        self._source = source
        self._terms = terms
        self._clock = clock
        self._track = track
        self._selector = selector
        self._on_progress = on_progress
        self._capture = capture
        self._tick_length_ns = TICK_NS if capture is None else LAZY_TICK_NS
        self._sizes = ResponseSizes()
        self._patience = Patience(terms, source.total)
        self._started = 0
        self._ended: list[Connection] = []
        self._suspects: deque[Connection] = deque()
        self._full_until_ns = 0
        self._tick_ns = 0
        self._rest_ns = 0
        self._told_ns = 0
        self._selector_number = _number_of(selector)

        def connect(server: Address) -> Connection:
            return Connection(
                server,
                selector,
                clock,
                self._on_end,
                self._suspects.append,
                asks_for_stamps=asks_for_stamps,
                is_lazy=capture is not None,
            )

        self._pool = (
            Pool(partial(connect, address), terms.streams, is_reusing=terms.is_reusing)
            if make_pool is None
            else make_pool(connect)
        )

    def connect(self) -> None:
        """Open the connections that are needed at first, before any clock runs."""
        self._pool.open_ahead(self._terms.opened_ahead or self._terms.streams)
        patience_ns = min(CONNECT_TIMEOUT_NS, self._terms.timeout_ns)
        self._pool.await_open(self._selector, self._clock, self._clock.monotonic_ns() + patience_ns)

    def run(self) -> None:
        """Serve the source until it has no more and every request has ended."""
        self._source.begin(self._clock.monotonic_ns())  # may wait for others; only then do we count
        process_cpu, cpu = time.process_time_ns(), time.thread_time_ns()
        queue, processors = read_run_queue(), read_processors()
        begin = self._clock.monotonic_ns()
        self._track.sample()
        self._tick_ns = begin + self._tick_length_ns
        while self._is_unfinished:
            self._turn()
        self._track.sample()
        self.result.run_queue = read_run_queue().since(queue)
        self.result.processors = read_processors().since(processors)
        self._conclude(begin, cpu, process_cpu)

    @property
    def _is_unfinished(self) -> bool:
        return (
            len(self.result.exchanges) < self._started
            or self._source.next_due_ns(self._clock.monotonic_ns()) < NEVER
        )

    def _conclude(self, begin: int, cpu: int, process_cpu: int) -> None:
        self.result.wall_ns = self._clock.monotonic_ns() - begin
        self.result.cpu_ns = time.thread_time_ns() - cpu
        self.result.process_cpu_ns = time.process_time_ns() - process_cpu
        connections = self._pool.connections
        self.result.are_kernel_stamps_asked = all(c.has_kernel_stamps for c in connections)
        self.result.connections = len(connections)
        linger_ns = self._terms.linger_ns
        self._pool.watch(self._selector, self._clock, self._clock.monotonic_ns() + linger_ns)
        self.result.was_found_closed = any(c.was_found_closed for c in connections)
        if self._capture is not None:
            self.result.packets = self._capture.conclude()

    def close(self) -> None:
        """Close every socket."""
        self._pool.close()

    def _turn(self) -> None:
        """Wait for the next event, serve what there is, then begin what may begin."""
        armed = self._clock.monotonic_ns()
        due = self._source.next_due_ns(armed) if self._pool.has_room else NEVER
        woken = self._wait(armed, due)
        now = self._clock.monotonic_ns()
        if now >= self._tick_ns:
            self.result.lags_ns.append(max(0, now - max(self._tick_ns, woken)))
            self._tick(now)
        while self._suspects:
            self._suspects.popleft().examine()
            self._serve(0)
        if self._ended:
            self._put_back_ended()
        if self._pool.has_room:
            self._start_due()

    def _wait(self, armed: int, due: int) -> int:
        """Serve what comes until the next tick, or until a request is due.

        Returns:
            When the wait was to end: epoll counts in whole milliseconds, and lag is not rounding.
        """
        until = min(self._tick_ns, due)
        wait_ms = max(0, math.ceil((until - armed) / _NS_PER_MS))
        if due < self._tick_ns and wait_ms and self._selector_number < _HIGHEST_SELECT:
            # To the microsecond: a schedule's request is not to be late by a millisecond.
            select.select((self._selector_number,), (), (), (due - armed) / 1e9)
            wait_ms = 0
        self._serve(wait_ms / 1000)
        return armed + wait_ms * _NS_PER_MS if wait_ms else until

    def _serve(self, wait_s: float) -> None:
        """Serve what is there, or what comes first within `wait_s`."""
        for key, _ in self._selector.select(wait_s):
            key.data()

    def _put_back_ended(self) -> None:
        if not self._pool.has_room:
            self._full_until_ns = self._clock.monotonic_ns()
        ended, self._ended = self._ended, []
        self._pool.put_back(ended, is_opened_at_once=self._source.is_scheduled)

    def _start_due(self) -> None:
        source = self._source
        while self._pool.has_room:
            now = self._clock.monotonic_ns()
            if source.next_due_ns(now) > now:
                return
            self._start(source.take(now))

    def _start(self, order: Order) -> None:
        connection = self._pool.take()
        self._started += 1
        connection.expected_size = self._sizes.expected
        connection.start(order.number, order.request)
        if order.intended_ns >= 0:
            self.result.intended_ns.append(order.intended_ns)
            self.result.held += order.intended_ns < self._full_until_ns
            self._pool.add_spare()

    def _on_end(self, connection: Connection, exchange: Exchange) -> None:
        self.result.exchanges.append(exchange)
        self._ended.append(connection)
        self._source.on_end(exchange, exchange.ended_ns)
        if self._capture is not None and exchange.ending == "complete":
            self._sizes.add(len(exchange.received))
        ended, connections = len(self.result.exchanges), len(self._pool.connections)
        self._patience.on_end(exchange, ended, connections)

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
        self._pool.tend(now, self._terms.timeout_ns)
        if now > self._terms.deadline_ns and self._is_unfinished:
            raise self._patience.out_of_time(self._started, len(self.result.exchanges))
        if self._on_progress is not None and now >= self._told_ns:
            self._told_ns = now + _PROGRESS_NS
            self._on_progress(len(self.result.exchanges))


def _number_of(selector: selectors.BaseSelector) -> int:
    """The file descriptor on which a selector itself can be waited for; too high where none."""
    fileno = getattr(selector, "fileno", None)
    return int(fileno()) if fileno is not None else _HIGHEST_SELECT
