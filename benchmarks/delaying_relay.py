"""A relay on 127.0.0.1 that passes a server's bytes on, later by a share of the time they took.

    python -I -S delaying_relay.py PORT FIRST_STRETCH NEXT_STRETCH

Answers of the server at PORT are passed on as if it were slower: the first bytes of an answer come
FIRST_STRETCH times as long after the request, and what follows NEXT_STRETCH times as long after
them. 1.0 changes nothing, so both arms of a comparison can stand behind the same relay. Prints its
own port and ends with its standard input.
"""

import heapq
import itertools
import selectors
import socket
import sys
import time


class Path:
    """A client's connection and the one to the server that answers it."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.asked_ns = 0
        self.first_ns = 0
        self.is_closed = False


class Relay:
    """One thread for any number of connections."""

    def __init__(self, port: int, first: float, later: float) -> None:
        self._upstream = ("127.0.0.1", port)
        self._first = first
        self._later = later
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._owed: list[tuple[int, int, Path, bytes]] = []
        self._order = itertools.count()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    def serve(self) -> None:
        """Relay until standard input ends."""
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._selector.register(sys.stdin, selectors.EVENT_READ, None)
        while True:
            for key, _ in self._selector.select(self._wait_s()):
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._pass_on(key.data, key.fileobj)
            while self._owed and self._owed[0][0] <= time.monotonic_ns():
                _, _, path, data = heapq.heappop(self._owed)
                self._deliver(path, data)

    def _wait_s(self) -> float | None:
        if not self._owed:
            return None
        return max(0.0, (self._owed[0][0] - time.monotonic_ns()) / 1e9)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        path = Path(client, socket.create_connection(self._upstream))
        for connection in (path.client, path.server):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(connection, selectors.EVENT_READ, path)

    def _pass_on(self, path: Path, source: socket.socket) -> None:
        if path.is_closed:
            return
        try:
            data = source.recv(65536)
        except OSError:
            data = b""
        now = time.monotonic_ns()
        if source is path.client:
            if not data:
                self._close(path)
                return
            path.asked_ns, path.first_ns = now, 0
            self._ask(path, data)
            return
        if not path.first_ns:
            path.first_ns = now
        due = (
            path.asked_ns
            + (path.first_ns - path.asked_ns) * self._first
            + (now - path.first_ns) * self._later
        )
        heapq.heappush(self._owed, (int(due), next(self._order), path, data))
        if not data:
            self._selector.unregister(path.server)

    def _ask(self, path: Path, data: bytes) -> None:
        try:
            path.server.sendall(data)
        except OSError:
            self._close(path)

    def _deliver(self, path: Path, data: bytes) -> None:
        if not data or path.is_closed:
            self._close(path)
            return
        try:
            path.client.sendall(data)
        except OSError:
            self._close(path)

    def _close(self, path: Path) -> None:
        if path.is_closed:
            return
        path.is_closed = True
        for connection in (path.client, path.server):
            if connection in self._selector.get_map():
                self._selector.unregister(connection)
            connection.close()


if __name__ == "__main__":
    relay = Relay(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
    print(relay.port, flush=True)
    relay.serve()
