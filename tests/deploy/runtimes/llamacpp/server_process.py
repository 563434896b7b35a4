"""A server as a process of a test: its port, its answers, its log, its end."""

import http.client
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READY_PATTERN = r"(?:listening|running) on http://127\.0\.0\.1:(?P<port>\d+)(?=\s)"


@dataclass
class Started:
    """A server process of a test."""

    process: "subprocess.Popen[bytes]"
    log_path: Path

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def port(self) -> int:
        """The port it listens on, once it does."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if found := re.search(READY_PATTERN, self.log):
                return int(found["port"])
            assert self.process.poll() is None, self.log
            time.sleep(0.01)
        raise AssertionError(self.log)

    def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port(), timeout=30)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, names, answer.read().decode()
        finally:
            connection.close()

    def complete(self, prompt: str, tokens: int, **more: object) -> dict[str, Any]:
        body = {"prompt": prompt, "n_predict": tokens, "temperature": 0, **more}
        status, _, text = self.ask("POST", "/completion", body)
        assert status == 200, text
        answer: dict[str, Any] = json.loads(text)
        return answer

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(10)


@contextmanager
def started(argv: Sequence[str], folder: Path, **environment: str) -> Iterator[Started]:
    log_path = folder / "server.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            list(argv), stdout=log, stderr=log, env={**os.environ, **environment}
        )
    try:
        yield Started(process, log_path)
    finally:
        process.kill()
        process.wait(10)
