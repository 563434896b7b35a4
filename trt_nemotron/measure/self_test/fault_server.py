"""A chat server on 127.0.0.1 that is as slow, as wrong or as faulty as it is told to be.

    python -I -S fault_server.py '{"ttft_ms": 10, "tpot_ms": 1, ...}'

Prints its port and serves until its standard input ends, so it never outlives whoever started it.
Each answer has as many tokens as were asked for, by an absolute schedule: the n-th is due
`ttft_ms + n * tpot_ms` after the request. Every `every`-th of the measured requests (the first
`spared` ones are the client's rehearsal) is broken as `fault` says. Run as a file of its own:
nothing but the standard library's sockets is imported.
"""

import json
import selectors
import socket
import sys
import time

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_SPIN_NS = 150_000
"""Before an event is due the clock is asked in turn; sleeping is not that exact."""


class Stream:
    """An answer that is owed."""

    def __init__(self, begun_ns: int, tokens: int, fault: str) -> None:
        self.begun_ns = begun_ns
        self.tokens = tokens
        self.fault = fault
        self.sent = 0


class FaultServer:
    """Serves any number of connections from one thread."""

    def __init__(self, timing: dict) -> None:  # type: ignore[type-arg] # JSON
        self._timing = timing
        self._started_ns = time.monotonic_ns()
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._received: dict[socket.socket, bytes] = {}
        self._streams: dict[socket.socket, Stream] = {}
        self._requests = 0

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
            for key, _ in self._selector.select(self._wait_s()):
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._read(key.fileobj)
            for connection, stream in list(self._streams.items()):
                if self._due_ns(stream) <= time.monotonic_ns():
                    self._send_next(connection, stream)

    def _wait_s(self) -> float | None:
        due = [self._due_ns(stream) for stream in self._streams.values()]
        if not due:
            return None
        return max(0.0, (min(due) - _SPIN_NS - time.monotonic_ns()) / 1e9)

    def _due_ns(self, stream: Stream) -> int:
        timing = self._timing
        first_ms = timing["ttft_ms"]
        if stream.fault == "slow_first":
            first_ms *= timing["factor"]
        later_ms = stream.sent * timing["tpot_ms"]
        if stream.fault == "stall" and stream.sent >= stream.tokens // 2:
            later_ms += timing["stall_ms"]
        age_s = (stream.begun_ns - self._started_ns) / 1e9
        slowing = 1.0 + timing["slowing_per_s"] * age_s
        return stream.begun_ns + int((first_ms + later_ms) * slowing * 1e6)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received[connection] = b""
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            return
        self._received[connection] += data
        head, blank, body = self._received[connection].partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if not blank or len(body) < int(length or b"0"):
            return
        self._received[connection] = b""
        if head.startswith(b"GET"):
            self._answer(connection, 200, {"data": [{"id": "known-timing"}]})
            return
        self._begin(connection, json.loads(body)["max_tokens"])

    def _begin(self, connection: socket.socket, tokens: int) -> None:
        timing = self._timing
        self._requests += 1
        number = self._requests - timing["spared"]
        is_broken = number > 0 and timing["every"] > 0 and number % timing["every"] == 0
        fault = timing["fault"] if is_broken else ""
        if fault == "http_error":
            self._answer(connection, 500, {"error": {"message": "injected", "code": 500}})
            return
        made = tokens // 2 if fault == "wrong_length" else tokens
        self._streams[connection] = Stream(time.monotonic_ns(), made, fault)
        self._send(connection, _HEAD)

    def _send_next(self, connection: socket.socket, stream: Stream) -> None:
        if stream.fault in {"in_band_error", "cut_off"} and stream.sent == stream.tokens // 2:
            self._break_off(connection, stream.fault)
            return
        stream.sent += 1
        delta = {"index": 0, "delta": {"content": f"t{stream.sent} "}}
        self._send(connection, _event({"choices": [delta]}))
        if stream.sent < stream.tokens:
            return
        self._streams.pop(connection, None)
        cached = self._timing["prompt_tokens"] if self._timing["fault"] == "cached" else 0
        usage = {
            "prompt_tokens": self._timing["prompt_tokens"],
            "completion_tokens": stream.tokens,
            "total_tokens": self._timing["prompt_tokens"] + stream.tokens,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        finish = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}], "usage": usage}
        self._send(connection, _event(finish) + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    def _break_off(self, connection: socket.socket, fault: str) -> None:
        self._streams.pop(connection, None)
        if fault == "in_band_error":
            error = {"error": {"message": "injected: out of memory", "code": 500}}
            self._send(connection, _event(error) + b"0\r\n\r\n")
        else:
            self._drop(connection)

    def _answer(self, connection: socket.socket, status: int, tree: object) -> None:
        body = json.dumps(tree).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
        self._send(connection, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def _send(self, connection: socket.socket, data: bytes) -> None:
        try:
            connection.sendall(data)
        except OSError:
            self._drop(connection)

    def _drop(self, connection: socket.socket) -> None:
        self._streams.pop(connection, None)
        if self._received.pop(connection, None) is not None:
            self._selector.unregister(connection)
            connection.close()


def _event(tree: object) -> bytes:
    return _chunk(b"data: " + json.dumps(tree).encode() + b"\n\n")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


if __name__ == "__main__":
    server = FaultServer(json.loads(sys.argv[1]))
    print(server.port, flush=True)
    server.serve()
