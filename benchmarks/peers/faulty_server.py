"""A server whose answers are, after the first few, such as `faults` has them.

A sound shape is then every answer, since what is looked at is how it is timed; of the others every
second one is sound, so that it shows whether they are told apart.
"""

import json
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from benchmarks.peers.faults import ENDLESS_S, Ending, Fault, Part, plain

SOUND_FIRST = 8
"""Requests that are answered well, so that no peer gives up over its probe or warm-up."""
_RESET = struct.pack("ii", 1, 0)


class FaultyServer(ThreadingHTTPServer):
    """`struck` tells of each request, in the order in which they came, if it met the fault."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, fault: Fault) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.fault = fault
        self.struck: list[bool] = []
        self.is_ending = threading.Event()
        self._lock = threading.Lock()

    def next_parts(self) -> Iterator[Part]:
        """The answer to the request that has just come."""
        with self._lock:
            number = len(self.struck)
            is_turn = self.fault.is_sound or number % 2 == 1
            self.struck.append(number >= SOUND_FIRST and is_turn)
            return self.fault.parts() if self.struck[-1] else plain()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may go as they please."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultyServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Nothing."""

    def do_GET(self) -> None:
        """What clients ask before they begin."""
        body = json.dumps({"object": "list", "data": [{"id": "truth", "object": "model"}]})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_POST(self) -> None:
        """A stream, whole or not."""
        self.rfile.read(int(self.headers["Content-Length"]))
        try:
            self._send(self.server.next_parts())
        except OSError:
            self.close_connection = True

    def _send(self, parts: Iterable[Part]) -> None:
        due = time.monotonic()
        for part in parts:
            if isinstance(part, float):
                due += part
                time.sleep(max(0.0, due - time.monotonic()))
            elif isinstance(part, bytes):
                self.wfile.write(part)
            else:
                self._end(part)
                return

    def _end(self, how: Ending) -> None:
        self.close_connection = True
        if how is Ending.SILENCE:
            self.server.is_ending.wait(ENDLESS_S)
        elif how is Ending.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.wfile.close()
            self.rfile.close()
            self.connection.close()


@contextmanager
def faulty_server(fault: Fault) -> Iterator[FaultyServer]:
    """One that runs in threads of ours."""
    with FaultyServer(fault) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.is_ending.set()
            server.shutdown()
            thread.join()
