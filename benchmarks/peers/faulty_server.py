"""A server of which every second answer dies with an error inside the stream, after the first few.

What vLLM, sglang and TensorRT-LLM send when a request fails after its first token: the status was
200, so the error can only come as an event (`data: {"error": ...}`).
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DIES_AFTER = 16
SOUND_FIRST = 8
"""Requests that are answered well, so that no peer gives up over its probe or warm-up."""
INTERVAL_S = 0.002


class FaultyServer(ThreadingHTTPServer):
    """Counts what it answered; `kinds` is `good` or `failed` for each request, as they came."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.kinds: list[str] = []
        self._lock = threading.Lock()

    def next_kind(self) -> str:
        """Of the request that has just come."""
        with self._lock:
            number = len(self.kinds)
            self.kinds.append("failed" if number >= SOUND_FIRST and number % 2 else "good")
            return self.kinds[-1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
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
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        tokens = int(asked.get("max_tokens") or asked.get("max_completion_tokens") or 64)
        is_good = self.server.next_kind() == "good"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self._stream(tokens, is_good)
        except OSError:
            self.close_connection = True

    def _stream(self, tokens: int, is_good: bool) -> None:
        self._event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
        for _ in range(tokens if is_good else min(tokens, DIES_AFTER)):
            time.sleep(INTERVAL_S)
            self._event({"choices": [{"index": 0, "delta": {"content": " word"}}]})
        if is_good:
            self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]})
            counted = {"prompt_tokens": 16, "completion_tokens": tokens}
            self._event({"choices": [], "usage": {**counted, "total_tokens": 16 + tokens}})
        else:
            self._event({"error": {"message": "CUDA out of memory", "type": "x", "code": 500}})
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _event(self, tree: dict[str, Any]) -> None:
        base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        whole = tree if "error" in tree else {**base, **tree}
        self._chunk(b"data: " + json.dumps(whole).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()


@contextmanager
def faulty_server() -> Iterator[FaultyServer]:
    """One that runs in threads of ours."""
    with FaultyServer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
