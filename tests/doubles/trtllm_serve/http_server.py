"""The server's routes, answered out of llama.cpp's server behind them.

Routes: tensorrt_llm/serve/openai_server.py. The socket is bound before anything loads and listens
only after it (`launch_server`), so that until then connections are refused.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.doubles.trtllm_serve.answers import chunks, error_body, whole_answer
from tests.doubles.trtllm_serve.faults import Faults
from tests.doubles.trtllm_serve.requests import (
    BadRequest,
    ChatRequest,
    TextRequest,
    for_engine,
    read_request,
)

_KINDS = {"/v1/chat/completions": ChatRequest, "/v1/completions": TextRequest}
_BACKLOG = 128


@dataclass(frozen=True)
class Served:
    """What the routes need to know.

    Attributes:
        engine: root of llama.cpp's server.
    """

    engine: str
    model: str
    release: str
    routes: frozenset[str]
    has_guide: bool
    has_tool_parser: bool
    has_iteration_stats: bool
    faults: Faults


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that holds the address and does not listen yet.

    Raises:
        RuntimeError: the address is taken.
    """
    if port <= 0:
        raise AssertionError("Port must be specified if disagg cluster config is not provided")
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        held.bind((host, port))
    except OSError as fault:
        held.close()
        raise RuntimeError(f"Failed to bind socket to {host}:{port}: {fault}") from fault
    return held


def serve(held: socket.socket, served: Served) -> ThreadingHTTPServer:
    """A server on a socket that is bound already; the caller lets it run."""
    handler = type("Handler", (_Handler,), {"served": served})
    server = ThreadingHTTPServer(held.getsockname()[:2], handler, bind_and_activate=False)
    server.socket.close()
    server.socket = held
    server.daemon_threads = True
    held.listen(_BACKLOG)
    return server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    served: Served

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's word
        client, line = self.client_address[0], format % args
        print(f"INFO:     {client} - {line}", flush=True)

    def do_GET(self) -> None:
        self._rest_if_mute()
        path = urlsplit(self.path).path
        if path not in self.served.routes or path in _KINDS:
            self._send(404, {"detail": "Not Found"})
        elif path == "/health":
            self._send_text(200, "")
        elif path == "/health_generate":
            self._generate()
        elif path == "/v1/models":
            card = {"id": self.served.model, "object": "model", "created": int(time.time()),
                    "owned_by": "tensorrt_llm"}  # fmt: skip
            self._send(200, {"object": "list", "data": [card]})
        elif path == "/version":
            self._send(200, {"version": self.served.release})
        elif path == "/metrics":
            self._send(200, [{"iter": 0}] if self.served.has_iteration_stats else [])
        else:
            self._send(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        self._rest_if_mute()
        if self.served.faults.crashes:
            print("RuntimeError: Executor worker returned error", file=sys.stderr, flush=True)
            os._exit(1)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = _KINDS.get(urlsplit(self.path).path)
        if kind is None:
            self._send(404, {"detail": "Not Found"})
            return
        try:
            request = read_request(json.loads(raw), kind)
        except (BadRequest, ValueError) as fault:
            self._send(400, error_body(str(fault)))
            return
        body = for_engine(
            request,
            has_guide=self.served.has_guide,
            has_tool_parser=self.served.has_tool_parser,
        )
        self._forward(body, request.stream_options if request.stream else None)

    def _forward(self, body: dict[str, Any], options: Any) -> None:
        path = urlsplit(self.path).path
        connection, reply = self._ask(path, body)
        try:
            if reply.status != 200:
                told = json.loads(reply.read() or b"{}").get("error", {})
                self._send(400 if reply.status < 500 else 500,
                           error_body(str(told.get("message", reply.reason))))  # fmt: skip
            elif body.get("stream"):
                self._stream(chunks(reply, self.served.model, options))
            else:
                self._send(200, whole_answer(json.loads(reply.read()), self.served.model))
        finally:
            connection.close()

    def _generate(self) -> None:
        body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1, "temperature": 0}
        connection, reply = self._ask("/v1/chat/completions", body)
        status = reply.status
        connection.close()
        if status == 200:
            self._send_text(200, "Generation health check OK")
        else:
            self._send_text(500, "Generation health check failed")

    def _ask(self, path: str, body: Any) -> tuple[http.client.HTTPConnection, Any]:
        address = urlsplit(self.served.engine)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=600)
        headers = {"Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body).encode(), headers)
        return connection, connection.getresponse()

    def _rest_if_mute(self) -> None:
        while self.served.faults.is_mute:
            time.sleep(3600)

    def _stream(self, events: Iterable[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for event in events:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _send(self, status: int, tree: Any) -> None:
        self._send_bytes(status, json.dumps(tree).encode(), "application/json")

    def _send_text(self, status: int, text: str) -> None:
        self._send_bytes(status, text.encode(), "text/plain; charset=utf-8")

    def _send_bytes(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
