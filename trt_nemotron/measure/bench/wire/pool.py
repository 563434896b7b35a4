"""The connections of a loop: which of them are free, and when another one is opened."""

import selectors
from collections.abc import Callable, Iterable

from trt_nemotron.measure.bench.clock import Clock
from trt_nemotron.measure.bench.wire.connection import Connection

SPARE_CONNECTIONS = 4
"""Open and free, kept ready by a loop whose connections grow with need."""

_LINGER_WAIT_S = 0.005
_OPENING_WAIT_S = 0.05


class Pool:
    """Connections of one loop, which serves the selector that they are registered with.

    Args:
        make: a new connection, not opened.
        most: connections at a time.
        is_reusing: use a connection again where the server keeps it open; else open it anew.

    Attributes:
        connections: every one that was made.
    """

    __slots__ = ("_free", "_is_reusing", "_make", "_most", "connections")

    def __init__(self, make: Callable[[], Connection], most: int, *, is_reusing: bool) -> None:
        self._make = make
        self._most = most
        self._is_reusing = is_reusing
        self._free: list[Connection] = []
        self.connections: list[Connection] = []

    @property
    def has_room(self) -> bool:
        """Whether a connection is free, or one more may be opened."""
        return bool(self._free) or len(self.connections) < self._most

    def open_ahead(self, count: int) -> None:
        """Begin to open `count` connections, and no more than there may be."""
        for _ in range(min(count, self._most)):
            self._add()
        self._free.reverse()  # the first one opened is the first one used

    def await_open(self, selector: selectors.BaseSelector, clock: Clock, until_ns: int) -> None:
        """Wait until each connection is open or refused; what is refused is tried again, and then
        counted, when its first request is due.
        """
        while selector.get_map() and not all(it.is_open for it in self.connections):
            for key, _ in selector.select(_OPENING_WAIT_S):
                key.data()
            if clock.monotonic_ns() > until_ns:
                return

    def take(self) -> Connection:
        """A free connection, or a new one; there must be room."""
        if not self._free:
            self._add()
        return self._free.pop()

    def add_spare(self) -> None:
        """Open one more where few are free."""
        if len(self._free) < SPARE_CONNECTIONS and len(self.connections) < self._most:
            self._add()

    def put_back(self, ended: Iterable[Connection], *, is_opened_at_once: bool) -> None:
        """Connections whose requests have ended can be used again.

        Args:
            ended: these.
            is_opened_at_once: open what was closed now, and not when its next request is due.
        """
        for connection in ended:
            if not self._is_reusing or connection.was_found_closed:
                connection.close()
            if is_opened_at_once and not connection.is_open:
                connection.open()
            self._free.append(connection)

    def tend(self, now_ns: int, timeout_ns: int) -> None:
        """Let busy connections do what can wait; give up those that are busy for too long."""
        for connection in self.connections:
            if connection.is_busy:
                connection.on_tick()
            if connection.is_busy and now_ns - connection.started_ns > timeout_ns:
                connection.give_up(f"not ended after {timeout_ns / 1e9:g} s")

    def watch(self, selector: selectors.BaseSelector, clock: Clock, until_ns: int) -> None:
        """See until then whether the server closes connections that it promised to keep."""
        while any(it.is_open for it in self.connections) and clock.monotonic_ns() < until_ns:
            for key, _ in selector.select(_LINGER_WAIT_S):
                key.data()

    def close(self) -> None:
        """Close every socket."""
        for connection in self.connections:
            connection.close()

    def _add(self) -> None:
        connection = self._make()
        self.connections.append(connection)
        self._free.append(connection)
        connection.open()
