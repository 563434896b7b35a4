"""A double of an OpenAI server on a real loopback socket: right, or wrong in one named way.

Without a fault it answers a suite's own cases as the suite expects, whole or as a stream, with
thinking, tools and JSON, refuses what must be refused, has four slots, and frees a slot when its
client goes away. Each entry of `FAULTS` makes it wrong in exactly that way. It can also speak as
`transformers serve` 5.23.0 does, with what that server lacks.
"""

import json
import os
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.measure.smoke.fault_kinds import (
    FAULTS,
    MODEL,
    SAID_FAULTS,
    STREAM_FAULTS,
    USAGE_FAULTS,
    Stream,
    event_of,
    speak_as_transformers,
)
from tests.measure.smoke.model_double import Knowledge, Request, Said, fragments_of, tokens_of
from trt_nemotron.measure.smoke.suite import SUITES_FOLDER

CONTEXT_TOKENS = 4096
SLOTS = 4
PACE_S = 0.002
"""Time of one token, for answers of fixed length only: all others are given at once."""


class FaultServer(socketserver.ThreadingTCPServer):
    """The server; listens from `start` to `stop`."""

    daemon_threads = True
    block_on_close = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(
        self,
        suite: Path,
        fault: str = "",
        *,
        slots: int = SLOTS,
        tells_slots: bool = True,
        is_transformers: bool = False,
    ) -> None:
        if fault and fault not in FAULTS:
            raise ValueError(f"no fault {fault!r}")
        self.fault = fault
        self.knowledge = Knowledge(suite)
        self.is_transformers = is_transformers
        self.slots = threading.BoundedSemaphore(slots)
        self.told_slots = slots if tells_slots else None
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.in_flight: dict[int, Said] = {}
        self.chats = 0
        self.requests: list[Request] = []
        self.headers: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.die()
        self._thread.join()
        self.server_close()

    def die(self) -> None:
        """Stop listening and end all that goes on, as a process does that is killed."""
        self.stopping.set()
        self.socket.close()
        if threading.current_thread() is not self._thread:
            self.shutdown()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may go away at any time."""

    def get_request(self) -> tuple[socket.socket, Any]:
        """After `die` the selector may still hand over the closed socket."""
        if self.stopping.is_set():
            raise OSError("stopping")
        return super().get_request()


class Handler(socketserver.StreamRequestHandler):
    """One connection, one request."""

    server: FaultServer
    timeout = 30

    def handle(self) -> None:
        method, path, headers, body = self._read()
        self.server.headers.append(headers)
        fault = self.server.fault
        if fault == "web_page":
            self._send(200, b"<html><body>Welcome!</body></html>", "text/html")
        elif fault == "redirects":
            self._send(302, b"", extra="Location: http://127.0.0.1:1/\r\n")
        elif method == "POST" and path == "/v1/chat/completions":
            self._chat(body)
        else:
            self._get(path)

    def _read(self) -> tuple[str, str, dict[str, str], bytes]:
        method, path, _ = self.rfile.readline().decode().split(" ", 2)
        headers = {}
        while line := self.rfile.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return method, path, headers, self.rfile.read(int(headers.get("content-length", 0)))

    # --- about the server

    def _get(self, path: str) -> None:
        server = self.server
        if path == "/health":
            self._json(500 if server.fault == "health_500" else 200, {"status": "ok"})
        elif path == "/props" and server.told_slots is not None:
            self._json(200, {"total_slots": server.told_slots})
        elif path == "/openapi.json" and server.is_transformers:
            routes = ("/v1/chat/completions", "/load_model", "/reset")
            self._json(200, {"paths": {route: {} for route in routes}})
        elif path == "/v1/models" and server.is_transformers:
            self._send(500, b"Internal Server Error")
        elif path == "/v1/models":
            self._json(200, {"object": "list", "data": self._models()})
        else:
            self._refuse(404, "no such path")

    def _models(self) -> object:
        fault = self.server.fault
        if fault in {"model_list_malformed", "model_list_empty"}:
            return "double" if fault == "model_list_malformed" else []
        name = "other" if fault == "model_list_wrong" else MODEL
        return [{"id": name, "object": "model", "meta": {"n_ctx": CONTEXT_TOKENS}}]

    # --- chats

    def _chat(self, body: bytes) -> None:
        server, fault = self.server, self.server.fault
        with server.lock:
            server.chats += 1
            is_dying = fault == "dies_after_five" and server.chats > 5
        request, complaint = _checked(body)
        if is_dying or (complaint and fault == "malformed_kills" and body != b"{}"):
            server.die()
        elif complaint and fault == "malformed_is_200":
            self._answer({"messages": [], "max_tokens": 1})
        elif complaint:
            is_500 = fault == "malformed_is_500" or server.is_transformers
            self._refuse(500 if is_500 else 400, complaint)
        elif server.is_transformers and "ignore_eos" in request:
            self._refuse(422, "unexpected field ignore_eos")
        elif fault in {"status_400", "status_429", "status_503", "status_500"}:
            self._refuse(int(fault[-3:]), "too many tokens")
        elif fault == "error_with_200":
            self._json(200, {"error": {"message": "out of memory"}})
        elif not self._refuses_overlong(request):
            server.requests.append(request)
            self._answer(request)

    def _refuses_overlong(self, request: Request) -> bool:
        fault = self.server.fault
        tokens = _prompt_tokens(request)
        is_accepted = fault == "overlong_accepted" or self.server.is_transformers
        if tokens <= CONTEXT_TOKENS or is_accepted:
            return False
        if fault == "overlong_kills":
            self.server.die()
        elif fault == "overlong_is_unclear":
            self._refuse(400, "no")
        else:
            told = f"the prompt has {tokens} tokens, the context {CONTEXT_TOKENS}"
            self._refuse(500 if fault == "overlong_is_500" else 400, told)
        if fault == "overlong_refused_then_dies":
            self.server.die()
        return True

    def _answer(self, request: Request) -> None:
        server, fault = self.server, self.server.fault
        while not server.slots.acquire(timeout=0.02):
            if server.stopping.is_set():
                return
        try:
            if fault == "slow":
                server.stopping.wait(30)
            if fault == "hang_before_headers":
                server.stopping.wait(30)
                return
            if "generation_config" in request:
                request["ignore_eos"] = True
            said = server.knowledge.say(request)
            if fault in SAID_FAULTS and not request.get("ignore_eos"):
                said = SAID_FAULTS[fault](said, request)
            if fault in {"parallel_mixed", "parallel_garbled"}:
                said = self._mixed(said)
            if request.get("stream") and fault != "ignores_stream":
                self._stream(request, said)
            else:
                self._whole(request, said)
        finally:
            server.slots.release()

    def _mixed(self, said: Said) -> Said:
        """The answer of another request that is under way, if there is one."""
        server, me = self.server, threading.get_ident()
        with server.lock:
            server.in_flight[me] = said
        server.stopping.wait(0.015)
        with server.lock:
            others = [other for key, other in sorted(server.in_flight.items()) if key != me]
        server.stopping.wait(0.015)
        with server.lock:
            del server.in_flight[me]
        if others and server.fault == "parallel_garbled":
            return replace(said, reasoning=said.reasoning or "Hm.")
        return others[0] if others else said

    def _whole(self, request: Request, said: Said) -> None:
        if self.server.fault == "drips_headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not self.server.stopping.wait(0.02):
                self.wfile.write(b"X-Wait: 1\r\n")
            return
        message: dict[str, Any] = {"role": said.role, "content": said.content}
        if said.reasoning:
            message["reasoning_content"] = f"{said.reasoning}\n"
        if said.calls:
            message["tool_calls"] = [
                {"id": said.call_id, "type": "function", "function": {"name": n, "arguments": a}}
                for n, a in said.calls
            ]
        choice = {"index": 0, "message": message, "finish_reason": said.finish_reason or None}
        tree = {"object": "chat.completion", "model": MODEL, "choices": [choice]}
        usage = self._usage(request, said)
        self._json(200, tree | ({"usage": usage} if usage else {}))

    def _usage(self, request: Request, said: Said) -> dict[str, int] | None:
        prompt = _prompt_tokens(request)
        usage = {"prompt_tokens": prompt, "completion_tokens": said.tokens}
        usage["total_tokens"] = prompt + said.tokens
        change = USAGE_FAULTS.get(self.server.fault)
        return change(usage) if change else usage

    # --- streams

    def _stream(self, request: Request, said: Said) -> None:
        fault = self.server.fault
        stream = Stream([event_of({"role": said.role, "content": None}), *_deltas(said)])
        stream.events.append(event_of({}, said.finish_reason or None))
        usage = self._usage(request, said)
        if usage and request.get("stream_options", {}).get("include_usage"):
            stream.events.append({"choices": [], "usage": usage})
        if self.server.is_transformers:
            speak_as_transformers(stream, usage)
        if fault in STREAM_FAULTS:
            STREAM_FAULTS[fault](stream)
        is_chunked = fault != "fin_unframed"
        framing = "Transfer-Encoding: chunked" if is_chunked else "X-Framing: none"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {stream.content_type}\r\n{framing}\r\n"
        self.wfile.write(f"{head}Connection: close\r\n\r\n".encode())
        if fault == "hang_after_headers":
            self.server.stopping.wait(30)
            return
        is_paced = bool(request.get("ignore_eos"))
        try:
            for data in self._spoiled(stream):
                self._send_event(data, is_chunked)
                if is_paced and self.server.stopping.wait(PACE_S):
                    return
        except OSError:
            if fault == "cancelled_keeps_slot":
                self.server.stopping.wait(PACE_S * request["max_tokens"])
            return
        self.wfile.write(b"0\r\n\r\n" if is_chunked else b"")

    def _spoiled(self, stream: Stream) -> Iterator[bytes]:
        """The bytes of every event, until the fault has its way with the connection."""
        fault = self.server.fault
        for place, event in enumerate(stream.events):
            if place == 3 and fault in MID_STREAM:
                yield from MID_STREAM[fault](self)
                return
            yield _encoded(event)
        if stream.has_done:
            yield b"data: [DONE]\n\n"
        yield from map(_encoded, stream.after_done)

    def _send_event(self, data: bytes, is_chunked: bool) -> None:
        """Send an event, cut in two inside its first character beyond ASCII, if it has one."""
        framed = b"%x\r\n%s\r\n" % (len(data), data) if is_chunked else data
        cut = next((place + 1 for place, byte in enumerate(framed) if byte > 127), 0)
        if cut:
            self.connection.sendall(framed[:cut])
            self.server.stopping.wait(0.002)
        self.connection.sendall(framed[cut:])

    def break_off(self) -> Iterator[bytes]:
        """End the connection without the end of the body."""
        yield from ()
        raise ConnectionAbortedError

    def reset(self) -> Iterator[bytes]:
        """End the connection with RST."""
        self.server.stopping.wait(0.02)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())
        yield from ()
        raise ConnectionAbortedError

    def hang(self) -> Iterator[bytes]:
        """Say nothing more."""
        self.server.stopping.wait(30)
        yield from ()

    def go_on(self) -> Iterator[bytes]:
        """Text without end."""
        while not self.server.stopping.wait(0.001):
            yield _encoded(event_of({"content": " on"}))

    def drip(self) -> Iterator[bytes]:
        """Comments without end, which keep a connection from looking idle."""
        while not self.server.stopping.wait(0.02):
            yield b": wait\n\n"

    # --- replies

    def _refuse(self, status: int, message: str) -> None:
        self._json(status, {"error": {"message": message, "code": status}})

    def _json(self, status: int, tree: object) -> None:
        self._send(status, json.dumps(tree, ensure_ascii=False).encode(), "application/json")

    def _send(
        self, status: int, body: bytes, content_type: str = "text/plain", extra: str = ""
    ) -> None:
        head = f"HTTP/1.1 {status} Status\r\nContent-Type: {content_type}\r\n{extra}"
        head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self.wfile.write(head.encode() + body)


MID_STREAM: dict[str, Callable[[Handler], Iterator[bytes]]] = {
    "hang_mid_stream": Handler.hang,
    "never_ends": Handler.go_on,
    "drips_for_ever": Handler.drip,
    "fin_mid_stream": Handler.break_off,
    "fin_unframed": Handler.break_off,
    "reset_mid_stream": Handler.reset,
    "in_band_error": lambda _: iter([b'data: {"error": {"message": "out of memory"}}\n\n']),
    "broken_event": lambda _: iter([b'data: {"choices": [{"delta": {"content": "\n\n']),
}


StartFaultServer = Callable[..., FaultServer]
"""`start(fault="", **options)`: a server that listens, right or with one fault."""


@contextmanager
def fault_servers() -> Iterator[StartFaultServer]:
    """Starts servers that know the suite `embedded`; all end with the block."""

    def start(fault: str = "", **options: Any) -> FaultServer:
        server = FaultServer(SUITES_FOLDER / "embedded.yaml", fault, **options)
        server.start()
        stack.callback(server.stop)
        return server

    with ExitStack() as stack:
        yield start


def _encoded(event: object) -> bytes:
    return b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"


def _deltas(said: Said) -> Iterator[dict[str, Any]]:
    for token in tokens_of(f"{said.reasoning}\n" if said.reasoning else ""):
        yield event_of({"reasoning_content": token})
    for token in tokens_of(said.content):
        yield event_of({"content": token})
    for index, (name, arguments) in enumerate(said.calls):
        first = {"index": index, "id": said.call_id, "type": "function"}
        yield event_of({"tool_calls": [first | {"function": {"name": name, "arguments": ""}}]})
        for part in fragments_of(arguments):
            yield event_of({"tool_calls": [{"index": index, "function": {"arguments": part}}]})


def _prompt_tokens(request: Request) -> int:
    return 4 + len(json.dumps([request["messages"], request.get("tools")]).split())


def _checked(body: bytes) -> tuple[Request, str]:
    """The request, and what is wrong with it."""
    try:
        tree = json.loads(body)
    except ValueError:
        return {}, "the body is not JSON"
    if not isinstance(tree, dict) or not isinstance(tree.get("messages"), list):
        return {}, "`messages` must be a list"
    if not all(isinstance(turn.get("content"), str) for turn in tree["messages"]):
        return {}, "`content` must be a string"
    for name in ("max_tokens", "temperature"):
        if not isinstance(tree.get(name, 0), (int, float)):
            return {}, f"`{name}` must be a number"
    return tree, ""
