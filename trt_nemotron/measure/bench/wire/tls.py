"""TLS over a socket of the measuring loop, with the socket's own methods.

The ciphertext is read from the socket ourselves and given to OpenSSL through memory, so that the
kernel can stamp each read as it does without TLS; the plaintext that a read completed has its
stamp. What cannot be had is a stamp of each packet: packets do not show where an event ends.
"""

import socket
import ssl
from collections.abc import Sequence
from typing import Any, cast

_READ_SIZE = 16 * 1024
"""Of ciphertext at a time: with what an unfinished record holds, no more than a connection's least
room for plaintext."""


def make_context() -> ssl.SSLContext:
    """What the system trusts, host names checked; `SSL_CERT_FILE` names another set of roots."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class TlsSocket:
    """A non-blocking socket that speaks TLS, as far as the measuring loop needs one.

    Every method raises what a socket's would; `ssl.SSLError` is an `OSError`.
    """

    __slots__ = ("_incoming", "_outgoing", "_raw", "_tls", "_unsent")

    def __init__(self, raw: socket.socket, context: ssl.SSLContext, name: str) -> None:
        self._raw = raw
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._unsent = b""

    def handshake(self) -> bool:
        """Go on with it; true when it is done, false when more must come from the server."""
        self._take_what_came()
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        self._flush()
        return True

    def send(self, data: memoryview) -> int:
        """Hand over all of `data`; called again with the same while it raises BlockingIOError."""
        if not self._unsent:
            self._tls.write(data)
            self._unsent = self._outgoing.read()
        while self._unsent:
            self._unsent = self._unsent[self._raw.send(self._unsent) :]
        return len(data)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Whether anything came; peeking only, which is all that is asked of it."""
        if flags != socket.MSG_PEEK:
            raise ValueError("this socket is read by recv_into")
        self._take_what_came()
        try:
            return self._tls.read(size)
        except ssl.SSLWantReadError:
            raise BlockingIOError from None
        except ssl.SSLZeroReturnError:
            return b""

    def recv_into(self, view: memoryview) -> int:
        """Plaintext, as much as one read completed."""
        return self.recvmsg_into((view,), 0)[0]

    def recvmsg_into(
        self, views: Sequence[memoryview], ancillary_size: int
    ) -> tuple[int, list[tuple[int, int, bytes]], int, Any]:
        """The same, with what the kernel said about the read."""
        data, ancillary, flags, address = self._raw.recvmsg(_READ_SIZE, ancillary_size)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        count = self._decrypt(views[0])
        if self._outgoing.pending:
            self._flush()
        if count == 0 and data:
            raise BlockingIOError
        return count, ancillary, flags, address

    def _decrypt(self, view: memoryview) -> int:
        count = 0
        try:
            while count < len(view):
                count += cast("int", self._tls.read(len(view) - count, view[count:]))
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass
        return count

    def _take_what_came(self) -> None:
        try:
            data = self._raw.recv(_READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        """A few hundred bytes of the handshake, which an empty socket buffer holds."""
        data = self._outgoing.read()
        if data:
            self._raw.send(data)

    def fileno(self) -> int:
        """Of the socket beneath."""
        return self._raw.fileno()

    def getsockname(self) -> Any:
        """Of the socket beneath."""
        return self._raw.getsockname()

    def getsockopt(self, level: int, name: int) -> int:
        """Of the socket beneath."""
        return self._raw.getsockopt(level, name)

    def setsockopt(self, level: int, name: int, value: int) -> None:
        """Of the socket beneath."""
        self._raw.setsockopt(level, name, value)

    def close(self) -> None:
        """Close it, without a farewell: nothing that is measured comes after."""
        self._raw.close()
