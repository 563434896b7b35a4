"""A line to the server: TCP, with TLS inside it where the address asks for that. Never blocks."""

import contextlib
import errno
import os
import selectors
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, cast

from trt_nemotron.measure.bench.clock import Clock
from trt_nemotron.measure.bench.wire.address import Address
from trt_nemotron.measure.bench.wire.stamps import ask_for_kernel_stamps

if TYPE_CHECKING:
    from trt_nemotron.measure.bench.wire.tls import TlsSocket

Socket: TypeAlias = "socket.socket | TlsSocket"


class Line:
    """Opens, looks after and closes one socket at a time; who has it sends and reads by it.

    Args:
        selector: the loop's; while the line is being opened it calls the line back.
        on_open: called once it is open, with its socket and how long that took in nanoseconds. The
            selector has the socket then, and what it calls back is to be set.
        on_refused: called with the reason when it could not be opened; it is closed then.
        asks_for_stamps: ask the kernel to stamp what the socket receives.

    Attributes:
        has_kernel_stamps: whether the kernel stamps it; of the last one when there is none.
        port: of our end of the last one that was open.
    """

    __slots__ = (
        "_address",
        "_asks_for_stamps",
        "_clock",
        "_least",
        "_on_open",
        "_on_refused",
        "_opened_ns",
        "_selector",
        "_socket",
        "has_kernel_stamps",
        "port",
    )

    def __init__(
        self,
        address: Address,
        selector: selectors.BaseSelector,
        clock: Clock,
        on_open: Callable[[Socket, int], None],
        on_refused: Callable[[str], None],
        *,
        asks_for_stamps: bool,
    ) -> None:
        self._address = address
        self._selector = selector
        self._clock = clock
        self._on_open = on_open
        self._on_refused = on_refused
        self._asks_for_stamps = asks_for_stamps
        self._opened_ns = 0
        self._least = 1
        self._socket: Socket | None = None
        self.has_kernel_stamps = False
        self.port = 0

    @property
    def is_closed(self) -> bool:
        """Whether it is neither open nor being opened."""
        return self._socket is None

    def open(self) -> None:
        """Begin to open it, after closing what was."""
        self.close()
        self._opened_ns = self._clock.monotonic_ns()
        self._least = 1
        raw = socket.socket(self._address.family, socket.SOCK_STREAM)
        self._socket = raw
        raw.setblocking(False)  # noqa: FBT003 - the standard library has no name for it
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.has_kernel_stamps = self._asks_for_stamps and ask_for_kernel_stamps(raw)
        status = raw.connect_ex(self._address.socket_address)
        if status not in {0, errno.EINPROGRESS}:
            self._refuse(os.strerror(status))
            return
        if self._address.tls is not None:
            from trt_nemotron.measure.bench.wire.tls import TlsSocket

            self._socket = TlsSocket(raw, self._address.tls, self._address.host)
        self._selector.register(self._socket, selectors.EVENT_WRITE, self._go_on)

    def wake_at(self, size: int) -> None:
        """Let the socket be readable only when as many bytes wait (`SO_RCVLOWAT`, socket(7))."""
        if self._socket is not None and size != self._least:
            self._least = size
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)

    def is_alive(self) -> bool:
        """Whether an idle line is still open: its server may have closed it meanwhile."""
        if self._socket is None:
            return False
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        return False  # closed, or bytes that nobody asked for

    def close(self) -> None:
        """Close the socket, if there is one."""
        if self._socket is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(self._socket)
            self._socket.close()
        self._socket = None

    def _go_on(self) -> None:
        """Called back while it is being opened."""
        if self._socket is None:
            return
        status = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if status:
            self._refuse(os.strerror(status))
            return
        if self._address.tls is not None and not self._shake_hands():
            return
        took_ns = self._clock.monotonic_ns() - self._opened_ns
        self.port = self._socket.getsockname()[1]
        self._on_open(self._socket, took_ns)

    def _shake_hands(self) -> bool:
        """Go on with the TLS handshake, and be called back until it is done."""
        connection = cast("TlsSocket", self._socket)
        try:
            is_done = connection.handshake()
        except OSError as fault:
            self._refuse(f"the TLS handshake failed: {fault.strerror or fault}")
            return False
        if not is_done:
            self._selector.modify(connection, selectors.EVENT_READ, self._go_on)
        return is_done

    def _refuse(self, fault: str) -> None:
        self.close()
        self._on_refused(fault)
