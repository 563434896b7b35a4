"""A server of known timing on 127.0.0.1, against which the client measures itself.

    python -I -S loopback_server.py EVENTS INTERVAL_MS

Prints its port on a line of its own and serves until its standard input ends, so it never outlives
whoever started it. Every request is answered at once with a stream of EVENTS chunks, INTERVAL_MS
apart; the text of each is two monotonic times: when the kernel had received the request, and just
before the chunk was sent. Run as a file of its own: nothing but the standard library's sockets is
imported.
"""

import selectors
import socket
import struct
import sys
import time

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@ll")
_FINISH = (
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}\n\n',
    b"data: [DONE]\n\n",
)


class _Client:
    """One connection: what of a request has come, and the stream that is owed."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = b""
        self.sent = 0
        self.due_ns = 0
        self.asked_ns = 0
        self.is_streaming = False


class LoopbackServer:
    """Serves any number of connections from one thread."""

    def __init__(self, events: int, interval_ns: int) -> None:
        self._events = events
        self._interval_ns = interval_ns
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)  # noqa: FBT003 - the standard library has no name for it
        self._clients: dict[socket.socket, _Client] = {}

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    def serve(self) -> None:
        """Serve until standard input ends."""
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select(self._timeout_s()):
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._read(self._clients[key.fileobj])
            now = time.monotonic_ns()
            for client in list(self._clients.values()):
                if client.is_streaming and client.due_ns <= now:
                    self._send_event(client)

    def _timeout_s(self) -> float | None:
        due = [client.due_ns for client in self._clients.values() if client.is_streaming]
        return max(0.0, (min(due) - time.monotonic_ns()) / 1e9) if due else None

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.platform == "linux":
            connection.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._clients[connection] = _Client(connection)
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, client: _Client) -> None:
        try:
            data, ancillary, _, _ = client.connection.recvmsg(65536, 64)
        except OSError:
            data, ancillary = b"", []
        if not data:
            self._drop(client)
            return
        client.received += data
        head, blank, body = client.received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if blank and len(body) >= int(length or b"0"):
            client.received = b""
            client.sent = 0
            client.is_streaming = True
            client.due_ns = time.monotonic_ns()
            client.asked_ns = _arrival_ns(ancillary)
            self._send(client, _HEAD)
            self._send_event(client)

    def _send_event(self, client: _Client) -> None:
        client.sent += 1
        text = b'data: {"choices":[{"index":0,"delta":{"content":"%d %d"}}]}\n\n'
        self._send(client, _chunk(text % (client.asked_ns, time.monotonic_ns())))
        client.due_ns += self._interval_ns
        if client.sent >= self._events:
            client.is_streaming = False
            self._send(client, b"".join(map(_chunk, _FINISH)) + b"0\r\n\r\n")

    def _send(self, client: _Client, data: bytes) -> None:
        try:
            client.connection.sendall(data)
        except OSError:
            self._drop(client)

    def _drop(self, client: _Client) -> None:
        if self._clients.pop(client.connection, None) is not None:
            self._selector.unregister(client.connection)
            client.connection.close()
        client.is_streaming = False


def _arrival_ns(ancillary: list[tuple[int, int, bytes]]) -> int:
    """When the kernel had received what was just read, by the monotonic clock; else now."""
    now, wall = time.monotonic_ns(), time.time_ns()
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack(data[: _TIMESPEC.size])
            ago: int = wall - seconds * 1_000_000_000 - nanoseconds
            return now - max(0, ago)
    return now


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


if __name__ == "__main__":
    server = LoopbackServer(int(sys.argv[1]), int(float(sys.argv[2]) * 1e6))
    print(server.port, flush=True)
    server.serve()
