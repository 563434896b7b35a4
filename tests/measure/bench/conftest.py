"""The truth server as a fixture, and ways to ask it."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from trt_nemotron.measure.bench.clock import SystemClock, WallClockTrack
from trt_nemotron.measure.bench.record import Expectation, Place, make_record
from trt_nemotron.measure.bench.values import RequestRecord
from trt_nemotron.measure.bench.wire.address import Address, resolve_address
from trt_nemotron.measure.bench.wire.http_request import CHAT_PATH, build_request
from trt_nemotron.measure.bench.wire.load import Load, LoadResult
from trt_nemotron.measure.bench.wire.loop import run_closed_loop

TOKENS = 12
Ask = Callable[..., list[RequestRecord]]


class Truth:
    """The truth server's process, and what it says it has sent."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("truth_server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url_for(self, **wishes: Any) -> str:
        """The root under which every request is answered as wished."""
        return f"{self.url}/{quote(json.dumps(wishes), safe='')}"

    def told(self) -> dict[str, Any]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(b"GET /truth HTTP/1.1\r\nHost: x\r\n\r\n")
            data = b""
            while b"\r\n\r\n" not in data or not _is_whole(data):
                data += connection.recv(1 << 20)
        tree: dict[str, Any] = json.loads(data.partition(b"\r\n\r\n")[2])
        return tree

    def requests(self) -> list[dict[str, Any]]:
        """What is known of every request, in the order in which they came."""
        requests: list[dict[str, Any]] = self.told()["requests"]
        return requests

    def open_sockets(self) -> int:
        """Connections that the server still holds, listener and pipes not counted."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def _is_whole(data: bytes) -> bool:
    head, _, body = data.partition(b"\r\n\r\n")
    return len(body) >= int(head.partition(b"Content-Length:")[2].split()[0])


@pytest.fixture
def truth() -> Iterator[Truth]:
    """A truth server of this test's own."""
    server = Truth()
    yield server
    server.end()


@pytest.fixture(scope="module")
def shared_truth() -> Iterator[Truth]:
    """A truth server for tests that do not read its log."""
    server = Truth()
    yield server
    server.end()


def chat_request(address: Address, scenario: str, **fields: Any) -> bytes:
    body = {
        "messages": [{"role": "user", "content": "one two three"}],
        "max_tokens": TOKENS,
        "scenario": scenario,
        **fields,
    }
    return build_request(address, "POST", CHAT_PATH, json.dumps(body).encode())


def run_load(
    url: str, requests: list[bytes], concurrency: int = 1, timeout_s: float = 5.0, **fields: Any
) -> tuple[LoadResult, WallClockTrack]:
    clock = SystemClock()
    track = WallClockTrack(clock)
    load = Load(
        requests=requests,
        concurrency=concurrency,
        spread_ns=fields.pop("spread_ns", 0),
        timeout_ns=int(timeout_s * 1e9),
        deadline_ns=clock.monotonic_ns() + int(fields.pop("total_s", 60.0) * 1e9),
        **fields,
    )
    return run_closed_loop(resolve_address(url), load, clock, track), track


def to_records(
    result: LoadResult, track: WallClockTrack, *, tokens: int = TOKENS, sends_done: bool = True
) -> list[RequestRecord]:
    records = [
        make_record(
            exchange,
            Place(index=exchange.index, concurrency=1, is_warmup=False, origin_ns=0),
            Expectation(tokens, sends_done),
            track,
            are_kernel_stamps_asked=result.are_kernel_stamps_asked,
        )[0]
        for exchange in result.exchanges
    ]
    return sorted(records, key=lambda record: record.index)


@pytest.fixture
def ask() -> Ask:
    """Send one request for each scenario given and get the records."""

    def ask(
        url: str,
        *scenarios: str,
        concurrency: int = 1,
        timeout_s: float = 5.0,
        sends_done: bool = True,
        **fields: Any,
    ) -> list[RequestRecord]:
        address = resolve_address(url)
        requests = [chat_request(address, scenario, **fields) for scenario in scenarios]
        result, track = run_load(url, requests, concurrency, timeout_s)
        return to_records(result, track, sends_done=sends_done)

    return ask
