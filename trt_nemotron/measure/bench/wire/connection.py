"""One connection of the measuring loop: sends a prebuilt request, records bytes and stamps.

The hot path is `on_readable`: one system call, one clock reading, one append, and the cheap
question whether the response has ended. Nothing is parsed here.
"""

import contextlib
import errno
import os
import selectors
import socket
from collections.abc import Callable

from trt_nemotron.measure.bench.clock import Clock
from trt_nemotron.measure.bench.wire.address import Address
from trt_nemotron.measure.bench.wire.exchange import Ending, Exchange, Read
from trt_nemotron.measure.bench.wire.framing import EndDetector, NotHttp
from trt_nemotron.measure.bench.wire.stamps import ANCILLARY_SIZE, ask_for_kernel_stamps

FIRST_BUFFER_SIZE = 256 * 1024
_LEAST_ROOM = 32 * 1024
LARGEST_RESPONSE = 256 * 1024 * 1024


class Connection:
    """A connection to the server that carries one request at a time.

    Args:
        selector: the loop's; it calls back what is registered as its data.
        on_end: called with the exchange when a request has ended, in whatever way.

    Attributes:
        was_found_closed: whether the server has closed a connection that it had promised to keep.
    """

    __slots__ = (
        "_address",
        "_buffer",
        "_clock",
        "_connect_ns",
        "_detector",
        "_index",
        "_on_end",
        "_opened_ns",
        "_position",
        "_reads",
        "_request",
        "_selector",
        "_send_call_ns",
        "_sent_ns",
        "_socket",
        "_view",
        "has_kernel_stamps",
        "is_busy",
        "is_open",
        "started_ns",
        "was_found_closed",
    )

    def __init__(
        self,
        address: Address,
        selector: selectors.BaseSelector,
        clock: Clock,
        on_end: Callable[["Connection", Exchange], None],
    ) -> None:
        self._address = address
        self._selector = selector
        self._clock = clock
        self._on_end = on_end
        self._socket: socket.socket | None = None
        self._buffer = bytearray(FIRST_BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        self._request = memoryview(b"")
        self._detector = EndDetector()
        self._index = -1
        self._connect_ns = self._opened_ns = self._sent_ns = self._send_call_ns = 0
        self._position = 0
        self._reads: list[Read] = []
        self.has_kernel_stamps = False
        self.is_busy = False
        self.is_open = False
        self.started_ns = 0
        self.was_found_closed = False

    def open(self) -> None:
        """Begin to connect; `is_open` tells when that is done."""
        self.close()
        self._opened_ns = self._clock.monotonic_ns()
        self._socket = socket.socket(self._address.family, socket.SOCK_STREAM)
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library has no name for it
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.has_kernel_stamps = ask_for_kernel_stamps(self._socket)
        status = self._socket.connect_ex(self._address.socket_address)
        if status not in {0, errno.EINPROGRESS}:
            self._fail_to_connect(status)
            return
        self._selector.register(self._socket, selectors.EVENT_WRITE, self._on_connected)

    def start(self, index: int, request: bytes) -> None:
        """Send `request`, over the open connection where there is one, else over a new one."""
        self.is_busy = True
        self.started_ns = self._clock.monotonic_ns()
        self._index = index
        self._request = memoryview(request)
        self._detector = EndDetector()
        self._position = 0
        self._reads = []
        self._sent_ns = self._send_call_ns = 0
        if self.is_open and self._is_alive():
            self._send()
        elif self.is_open or self._socket is None:
            self.was_found_closed |= self.is_open
            self.open()
        # else it is still connecting, and `_on_connected` goes on

    def give_up(self, fault: str) -> None:
        """End the request that is under way as timed out and drop the connection."""
        self._end("timeout", fault)

    def close(self) -> None:
        """Close the socket, if there is one."""
        if self._socket is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(self._socket)
            self._socket.close()
        self._socket = None
        self.is_open = False

    def _on_connected(self) -> None:
        if self._socket is None:
            return
        status = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if status:
            self._fail_to_connect(status)
            return
        self._connect_ns = self._clock.monotonic_ns() - self._opened_ns
        self.is_open = True
        self._selector.modify(self._socket, selectors.EVENT_READ, self.on_readable)
        if self.is_busy:
            self._send()

    def _fail_to_connect(self, status: int) -> None:
        self.close()
        if self.is_busy:
            self._end("not_connected", os.strerror(status))

    def _is_alive(self) -> bool:
        """Whether an idle connection is still open: its server may have closed it meanwhile."""
        if self._socket is None:
            return False
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        return False  # closed, or bytes that nobody asked for

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
        if self._request:
            self._selector.modify(connection, selectors.EVENT_WRITE, self._send)
            return
        self._send_call_ns = self._clock.monotonic_ns() - before
        self._sent_ns = before
        self._selector.modify(connection, selectors.EVENT_READ, self.on_readable)

    def on_readable(self) -> None:  # noqa: PLR0911 - one function: it is the hot path
        """Read what is there: the hot path."""
        connection = self._socket
        if connection is None:
            return
        if not self.is_busy:  # closed by the server, or bytes that nobody asked for
            self.was_found_closed = True
            self.close()
            return
        position = self._position
        try:
            count, ancillary, _, _ = connection.recvmsg_into(
                (self._view[position:],), ANCILLARY_SIZE
            )
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
        try:
            if self._detector.is_ended(self._buffer, position):
                self._end("complete", "")
                return
        except NotHttp as fault:
            self._end("not_http", str(fault))
            return
        if len(self._buffer) - position < _LEAST_ROOM:
            self._grow()

    def _on_break(self, ending: Ending, fault: str) -> None:
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
        )
        self.is_busy = False
        self._connect_ns = 0
        head = self._detector.head
        if ending != "complete" or head is None or not head.is_reusable:
            self.close()
        self._on_end(self, exchange)
