"""One connection of the measuring loop: sends a prebuilt request, records bytes and stamps.

The hot path is `on_readable`: one system call, one clock reading, one append, and the cheap
question whether the response may have ended. Nothing is parsed here.

A lazy connection is one whose times come from captured packets. It asks the kernel to wake us only
when as many bytes are there as the response will probably have (`Line.wake_at`), and is otherwise
read on every tick of the loop.
"""

import selectors
from collections.abc import Callable

from trt_nemotron.measure.bench.clock import Clock
from trt_nemotron.measure.bench.wire.address import Address
from trt_nemotron.measure.bench.wire.exchange import AncillaryData, Ending, Exchange, Read
from trt_nemotron.measure.bench.wire.framing import EndDetector, NotHttp
from trt_nemotron.measure.bench.wire.line import Line, Socket
from trt_nemotron.measure.bench.wire.stamps import ANCILLARY_SIZE

FIRST_BUFFER_SIZE = 256 * 1024
_LEAST_ROOM = 32 * 1024
LARGEST_RESPONSE = 256 * 1024 * 1024
_NEAR_READS = 4
"""So many more reads like the last one may be missing when a lazy connection's end is near."""
_NO_STAMP: AncillaryData = []
_LARGEST_WAIT = 1024 * 1024
"""Bytes that may wait in the kernel before a lazy connection is read, tick or no tick."""


class Connection:
    """A connection to the server that carries one request at a time.

    Args:
        selector: the loop's; it calls back what is registered as its data.
        on_end: called with the exchange when a request has ended, in whatever way.
        on_suspicion: called when a response may be whole; `examine` is due then, once what waits to
            be read has been read. That takes as long as the response is, 0.2 ms for 256 tokens, and
            of streams that end together each would be read as much later than the one before.

    Attributes:
        expected_size: of the response, for a lazy connection; 0 when nothing is known yet.
        was_found_closed: whether the server has closed a connection that it had promised to keep.
    """

    __slots__ = (
        "_buffer",
        "_clock",
        "_connect_ns",
        "_detector",
        "_index",
        "_is_lazy",
        "_is_silent",
        "_is_suspect",
        "_line",
        "_on_end",
        "_on_suspicion",
        "_position",
        "_previous",
        "_reads",
        "_received",
        "_request",
        "_requested",
        "_selector",
        "_send_call_ns",
        "_sent_ns",
        "_socket",
        "_view",
        "expected_size",
        "has_kernel_stamps",
        "is_busy",
        "started_ns",
        "was_found_closed",
    )

    def __init__(
        self,
        address: Address,
        selector: selectors.BaseSelector,
        clock: Clock,
        on_end: Callable[["Connection", Exchange], None],
        on_suspicion: Callable[["Connection"], None],
        *,
        asks_for_stamps: bool = True,
        is_lazy: bool = False,
    ) -> None:
        self._selector = selector
        self._clock = clock
        self._on_end = on_end
        self._on_suspicion = on_suspicion
        self._line = Line(
            address,
            selector,
            clock,
            self._on_open,
            self._on_refused,
            asks_for_stamps=asks_for_stamps,
        )
        self._buffer = bytearray(FIRST_BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        self._request = memoryview(b"")
        self._detector = EndDetector()
        self._index = self._previous = -1
        self._connect_ns = self._sent_ns = self._send_call_ns = 0
        self._received = self._requested = self._position = 0
        self._reads: list[Read] = []
        self._is_lazy = is_lazy
        self._is_silent = self._is_suspect = False
        self._socket: Socket | None = None
        self.expected_size = self.started_ns = 0
        self.has_kernel_stamps = self.is_busy = self.was_found_closed = False

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent at once."""
        return self._socket is not None

    def open(self) -> None:
        """Begin to connect; `is_open` tells when that is done."""
        self._socket = None
        self._received = self._requested = 0
        self._line.open()
        self.has_kernel_stamps = self._line.has_kernel_stamps

    def start(self, index: int, request: bytes) -> None:
        """Send `request`, over the open connection where there is one, else over a new one."""
        self.is_busy = True
        self.started_ns = self._clock.monotonic_ns()
        self._request = memoryview(request)
        self._detector = EndDetector()
        self._position = 0
        self._reads = []
        self._is_silent = False
        self._previous = self._index
        self._index = index
        self._sent_ns = self._send_call_ns = 0
        if self.is_open and self._line.is_alive():
            self._send()
        elif self.is_open or self._line.is_closed:
            self.was_found_closed |= self.is_open
            self.open()
        # else it is still connecting, and `_on_open` goes on

    def on_tick(self) -> None:
        """What can wait: lazy reading, and a look at the framing when nothing more came."""
        before = self._position
        if self._is_lazy and self.is_open:
            self.on_readable()
        if not self.is_busy:
            return
        if self._position != before or self._is_silent or not before:
            self._is_silent = self._is_silent and self._position == before
            return
        self._is_silent = True
        self._is_suspect = True
        self.examine()

    def examine(self) -> None:
        """End the request if its response is whole; nothing where that was not suspected."""
        if not self._is_suspect:
            return
        self._is_suspect = False
        try:
            is_ended = self._detector.is_ended(self._buffer, self._position)
        except NotHttp as fault:
            self._end("not_http", str(fault))
            return
        if is_ended:
            self._end("complete", "")

    def give_up(self, fault: str) -> None:
        """End the request that is under way as timed out and drop the connection."""
        self._end("timeout", fault)

    def close(self) -> None:
        """Close the socket, if there is one."""
        self._socket = None
        self._line.close()

    def _on_open(self, opened: Socket, took_ns: int) -> None:
        self._socket = opened
        self._connect_ns = took_ns
        self._selector.modify(opened, selectors.EVENT_READ, self.on_readable)
        if self.is_busy:
            self._send()

    def _on_refused(self, fault: str) -> None:
        if self.is_busy:
            self._end("not_connected", fault)

    def _send(self) -> None:
        connection = self._socket
        if connection is None:
            return
        before = self._clock.monotonic_ns()
        try:
            count = connection.send(self._request)
        except (BlockingIOError, InterruptedError):
            count = 0
        except OSError as fault:
            self._end("reset", f"while sending: {fault.strerror}")
            return
        self._request = self._request[count:]
        self._requested += count
        if self._request:
            self._selector.modify(connection, selectors.EVENT_WRITE, self._send)
            return
        self._send_call_ns = self._clock.monotonic_ns() - before
        self._sent_ns = before
        if self._is_lazy:
            self._set_waiting()
        if self._selector.get_key(connection).events != selectors.EVENT_READ:
            self._selector.modify(connection, selectors.EVENT_READ, self.on_readable)

    def _set_waiting(self) -> None:
        """Let a lazy connection wake us when what is still expected is there."""
        missing = self.expected_size - self._position if self.expected_size else _LARGEST_WAIT
        self._line.wake_at(min(max(1, missing), _LARGEST_WAIT))

    def on_readable(self) -> None:  # noqa: C901 - one function: it is the hot path
        """Read what is there: the hot path."""
        connection = self._socket
        if connection is None:
            return
        if not self.is_busy:  # closed by the server, or bytes that nobody asked for
            if not self._line.is_alive():
                self.was_found_closed = True
                self.close()
            return
        position = self._position
        try:
            if self.has_kernel_stamps:
                count, ancillary, _, _ = connection.recvmsg_into(
                    (self._view[position:],), ANCILLARY_SIZE
                )
            else:
                count, ancillary = connection.recv_into(self._view[position:]), _NO_STAMP
        except (BlockingIOError, InterruptedError):
            return
        except OSError as fault:
            self._on_break("reset", fault.strerror or str(fault))
            return
        now = self._clock.monotonic_ns()
        if count == 0:
            self._on_break("closed", "the server closed the connection")
            return
        position += count
        self._position = position
        self._reads.append(Read(position, now, ancillary))
        if not self._is_suspect and self._detector.may_be_ended(self._buffer, position):
            self._is_suspect = True
            self._on_suspicion(self)
        if len(self._buffer) - position < _LEAST_ROOM:
            self._grow()
        # Only near the end: until then what is expected cannot be there before the next tick.
        if self._is_lazy and self.expected_size - position < _NEAR_READS * count:
            self._set_waiting()

    def _on_break(self, ending: Ending, fault: str) -> None:
        self.examine()
        if not self.is_busy:  # it was whole before that
            return
        head = self._detector.head
        if ending == "closed" and head is not None and head.body == "until_close":
            self._end("complete", "")
        else:
            self._end(ending, fault)

    def _grow(self) -> None:
        if len(self._buffer) >= LARGEST_RESPONSE:
            self._end("not_http", f"a response of more than {LARGEST_RESPONSE} bytes")
            return
        grown = bytearray(2 * len(self._buffer))
        grown[: self._position] = self._view[: self._position]
        self._buffer, self._view = grown, memoryview(grown)

    def _end(self, ending: Ending, fault: str) -> None:
        now = self._clock.monotonic_ns()
        exchange = Exchange(
            index=self._index,
            connect_ns=self._connect_ns,
            sent_ns=self._sent_ns or now,
            send_call_ns=self._send_call_ns,
            ended_ns=now,
            received=bytes(self._view[: self._position]),
            reads=tuple(self._reads),
            ending=ending,
            fault=fault,
            port=self._line.port,
            request_end=self._requested,
            response_begin=self._received,
            previous=self._previous,
        )
        self._received += self._position
        self.is_busy = self._is_suspect = False
        self._connect_ns = 0
        head = self._detector.head
        if ending != "complete" or head is None or not head.is_reusable:
            self.close()
        self._on_end(self, exchange)
