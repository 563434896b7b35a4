"""A server double: real HTTP on loopback, with the faults that real servers have.

Run as a program; its argument list carries a marker by which a test finds it and all it started.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--marker", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--model", default="double")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--listen-after", type=float, default=0.0)
    parser.add_argument("--healthy-after", type=float, default=0.0)
    parser.add_argument("--crash-at-start", default="")
    parser.add_argument("--never-listen", action="store_true")
    parser.add_argument("--ignore-sigterm", action="store_true")
    parser.add_argument("--grandchild", choices=["", "group", "session", "stubborn"], default="")
    parser.add_argument("--no-token", choices=["", "hang", "empty", "error", "die"], default="")
    parser.add_argument("--no-health", action="store_true")
    parser.add_argument("--no-models", action="store_true")
    parser.add_argument("--key-variable", default="")
    return parser.parse_args(arguments)


class Handler(BaseHTTPRequestHandler):
    server: "Server"

    def do_GET(self) -> None:
        options = self.server.options
        if self.path == "/health" and not options.no_health:
            is_healthy = time.monotonic() - self.server.began >= options.healthy_after
            self._answer(200 if is_healthy else 503, {"status": "ok" if is_healthy else "loading"})
        elif self.path == "/v1/models":
            names = [] if options.no_models else [options.model]
            self._answer(200, {"object": "list", "data": [{"id": name} for name in names]})
        elif self.path == "/health_generate":
            self._answer(200, {})
        elif self.path == "/write":
            self._answer(
                200, {path: try_to_write(path) for path in ("/", "/bundle", "/tmp", "/cache")}
            )
        elif self.path == "/status":
            self._answer(200, {"status": Path("/proc/self/status").read_text()})
        elif self.path == "/crash":
            print("fatal: CUDA error: an illegal memory access", flush=True)
            os._exit(42)
        elif self.path == "/env":
            self._answer(200, dict(os.environ))
        else:
            self._answer(404, {"error": "no such route"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        variable = self.server.options.key_variable
        if variable and self.headers.get("Authorization") != f"Bearer {os.environ[variable]}":
            self._answer(401, {"error": "a key, please"})
            return
        fault = self.server.options.no_token
        if fault == "hang":
            print("hanging", flush=True)
            time.sleep(3600)
        elif fault == "die":
            print("fatal: out of frobs", flush=True)
            os._exit(41)
        elif fault == "error":
            self._answer(500, {"error": "invalid layer type"})
        else:
            text = "" if fault == "empty" else "Hello"
            usage = {"prompt_tokens": 3, "completion_tokens": 0 if fault == "empty" else 1}
            message = {"role": "assistant", "content": text}
            self._answer(200, {"choices": [{"index": 0, "message": message}], "usage": usage})

    def _answer(self, status: int, tree: dict[str, Any]) -> None:
        body = json.dumps(tree).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited
        print(format % args, flush=True)


def try_to_write(folder: str) -> str:
    try:
        Path(folder, "written").write_text("x")
    except OSError as fault:
        return str(fault.strerror)
    return "written"


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__((options.host, options.port), Handler)
        self.options = options
        self.began = time.monotonic()


def start_grandchild(kind: str, marker: str) -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    program = f"{stubborn if kind == 'stubborn' else ''}import time; time.sleep(3600)"
    subprocess.Popen(
        [sys.executable, "-c", program, "--marker", marker],
        start_new_session=kind in {"session", "stubborn"},
    )


def main() -> None:
    options = parse()
    if options.ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("loading weights", flush=True)
    if options.grandchild:
        start_grandchild(options.grandchild, options.marker)
    if options.crash_at_start:
        sys.exit(options.crash_at_start)
    if options.never_listen:
        time.sleep(3600)
    time.sleep(options.listen_after)
    server = Server(options)
    print(f"listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
