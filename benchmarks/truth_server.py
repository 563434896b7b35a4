"""A lean loopback server that logs every send: the truth for `client_accuracy.py`.

    python -I -S truth_server.py TOKENS TTFT_MS INTERVAL_MS

Prints its port and serves until standard input ends; then prints what it did as JSON: for every
request by its number (`{"n": 17}` in the body) when the kernel had received it, and the time just
before each token chunk was handed to the kernel, by the monotonic clock. One thread, absolute
deadlines, everything prebuilt: it holds some 50,000 chunks a second on one core.

On an idle core, the first system call after a pause takes 50 us longer than the next, and that
would be booked as the client's error. So the server wakes a little early, sends something to
itself, and waits in a loop for the moment.
"""

import heapq
import json
import re
import select
import socket
import struct
import sys
import time
from array import array

SO_TIMESTAMPNS = 35
EARLY_NS = 300_000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
NUMBER = re.compile(rb'"n": ?(\d+)')


def chunk(data: bytes) -> bytes:
    """`data` as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(delta: dict, reason: str | None = None) -> bytes:
    """One event as vLLM's and TensorRT-LLM's servers word it: some 200 bytes."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    tree = {
        "id": "chatcmpl-0123456789abcdef0123456789abcdef",
        "object": "chat.completion.chunk",
        "created": 1763900000,
        "model": "truth",
        "choices": [choice],
    }
    return b"data: " + json.dumps(tree, separators=(",", ":")).encode() + b"\n\n"


TOKEN = chunk(event({"content": " word"}))


def last(tokens: int) -> bytes:
    """Finish reason, usage, end marker, end of the body."""
    usage = {"prompt_tokens": 16, "completion_tokens": tokens, "total_tokens": 16 + tokens}
    counted = json.dumps({"choices": [], "usage": usage}).encode()
    parts = (event({}, "length"), b"data: " + counted + b"\n\n", b"data: [DONE]\n\n")
    return chunk(b"".join(parts)) + b"0\r\n\r\n"


class Stream:
    """One connection, and the answer that is owed on it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.times = array("q")
        self.received = b""

    def send(self, data: bytes) -> None:
        """All of it: what a socket buffer does not hold is waited for, which no bench provokes."""
        try:
            self.connection.sendall(data)
        except OSError:
            self.connection.close()


class Mirror:
    """A connection to ourselves, by which the way of a chunk is walked before it matters."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.near = socket.create_connection(listener.getsockname())
            self.far, _ = listener.accept()
        self.near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self) -> None:
        """One chunk there and out again."""
        self.near.sendall(TOKEN)
        self.far.recv(len(TOKEN))


class Server:
    """Answers every request with the same stream."""

    def __init__(self, tokens: int, ttft_ms: float, interval_ms: float) -> None:
        self.tokens = tokens
        self.ttft_ns, self.interval_ns = int(ttft_ms * 1e6), int(interval_ms * 1e6)
        self.last = last(tokens)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        # Connections inherit it: bytes that came before `accept` are stamped as well.
        self.listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.poll = select.epoll()
        self.streams: dict[int, Stream] = {}
        self.due: list[tuple[int, int]] = []
        self.log: dict[int, tuple[int, array]] = {}
        self.mirror = Mirror()

    def serve(self) -> None:
        """Until standard input ends."""
        self.poll.register(self.listener, select.EPOLLIN)
        self.poll.register(sys.stdin, select.EPOLLIN)
        while True:
            wait_s = None
            if self.due:
                wait_s = max(0, self.due[0][0] - EARLY_NS - time.monotonic_ns()) / 1e9
            # epoll counts in milliseconds, select in microseconds: it can wait for an epoll.
            if select.select([self.poll], [], [], wait_s)[0]:
                for number, _ in self.poll.poll(0):
                    if number == sys.stdin.fileno():
                        return
                    if number == self.listener.fileno():
                        self.accept()
                    else:
                        self.read(self.streams[number])
            self.send_due()

    def accept(self) -> None:
        """Take a connection."""
        connection, _ = self.listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.streams[connection.fileno()] = Stream(connection)
        self.poll.register(connection, select.EPOLLIN)

    def read(self, stream: Stream) -> None:
        """Take what came of a request, and begin to answer when it is whole."""
        try:
            data, ancillary, _, _ = stream.connection.recvmsg(65536, 64)
        except OSError:
            data, ancillary = b"", []
        if not data:
            self.poll.unregister(stream.connection)
            stream.connection.close()
            return
        now, wall = time.monotonic_ns(), time.time_ns()
        stream.received += data
        found = NUMBER.search(stream.received)
        if found is None or not stream.received.endswith(b"}"):
            return
        seconds, nanoseconds = struct.unpack("@ll", ancillary[0][2])
        received_ns = now - (wall - seconds * 10**9 - nanoseconds)
        stream.received = b""
        stream.times = array("q")
        self.log[int(found[1])] = (received_ns, stream.times)
        stream.send(HEAD + chunk(event({"role": "assistant", "content": ""})))
        heapq.heappush(self.due, (received_ns + self.ttft_ns, stream.connection.fileno()))

    def send_due(self) -> None:
        """One chunk for every stream whose time has come."""
        due, tokens, interval = self.due, self.tokens, self.interval_ns
        now = time.monotonic_ns()
        if not due or due[0][0] - now > EARLY_NS:
            return
        while due[0][0] > now:
            self.mirror.send()
            now = time.monotonic_ns()
        while due and due[0][0] <= now:
            at, number = due[0]
            stream = self.streams[number]
            times = stream.times
            times.append(time.monotonic_ns())
            stream.send(TOKEN)
            if len(times) == tokens:
                stream.send(self.last)
                heapq.heappop(due)
            else:
                heapq.heapreplace(due, (at + interval, number))


if __name__ == "__main__":
    server = Server(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
    print(server.listener.getsockname()[1], flush=True)
    server.serve()
    json.dump({n: [received, *times] for n, (received, times) in server.log.items()}, sys.stdout)
