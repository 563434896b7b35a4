"""How exact this client is on this machine, now: measured against a loopback server of our own.

The server runs in another process and writes into each chunk when it was sent; the monotonic clock
is the same for both. What is found is a floor: no figure of the run can be truer.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trt_nemotron import command
from trt_nemotron.errors import EnvironmentUnfit
from trt_nemotron.measure.bench.clock import Clock, WallClockTrack
from trt_nemotron.measure.bench.values import ClockSource
from trt_nemotron.measure.bench.wire.address import Address, resolve_address
from trt_nemotron.measure.bench.wire.exchange import Exchange
from trt_nemotron.measure.bench.wire.http_request import CHAT_PATH, build_request
from trt_nemotron.measure.bench.wire.http_response import read_response
from trt_nemotron.measure.bench.wire.loop import Load, LoadResult, run_closed_loop
from trt_nemotron.measure.bench.wire.stamps import percentile_ms, resolve_stamps
from trt_nemotron.openai.chunk import parse_chunk
from trt_nemotron.openai.sse import EventStream

_EVENTS = 10
_INTERVAL_MS = 1.0
_REQUESTS_ALONE = 20
_WAVES = 3
_FEWEST_TOGETHER = 32
_TIMEOUT_NS = 10_000_000_000
_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Floor:
    """What the client reports for a server that answers at once, in milliseconds.

    Attributes:
        ttft_p50_ms: one stream.
        ttft_p99_ms: at the concurrency asked for.
        delay_p50_ms, delay_p99_ms: stamp of a chunk minus the server's time before sending it, at
            the concurrency asked for.
    """

    clock: ClockSource
    ttft_p50_ms: float
    ttft_p99_ms: float
    delay_p50_ms: float
    delay_p99_ms: float


def measure_floor(concurrency: int, clock: Clock) -> Floor:
    """Measure the client itself, alone and with `concurrency` streams; takes about half a second.

    Raises:
        EnvironmentUnfit: the loopback server could not be started or did not answer.
    """
    with _loopback_server() as address:
        alone = _measure(address, 1, _REQUESTS_ALONE, clock)
        count = max(_FEWEST_TOGETHER, _WAVES * concurrency)
        together = _measure(address, concurrency, count, clock)
    return Floor(
        clock=together.clock,
        ttft_p50_ms=percentile_ms(alone.ttfts_ns, 0.50),
        ttft_p99_ms=percentile_ms(together.ttfts_ns, 0.99),
        delay_p50_ms=percentile_ms(together.delays_ns, 0.50),
        delay_p99_ms=percentile_ms(together.delays_ns, 0.99),
    )


@dataclass(frozen=True, slots=True)
class _Sample:
    clock: ClockSource
    ttfts_ns: list[int]
    delays_ns: list[int]


@contextmanager
def _loopback_server() -> Iterator[Address]:
    script = Path(__file__).with_name("loopback_server.py")
    argv = [sys.executable, "-I", "-S", str(script), str(_EVENTS), str(_INTERVAL_MS)]
    server = command.start(argv, log_path=Path(os.devnull), env=command.scrubbed_environment())
    try:
        port = (server.read(_START_TIMEOUT_S) or b"").strip()
        if not port.isdigit():
            raise EnvironmentUnfit(
                "the server against which the client calibrates itself did not start",
                evidence=f"it said {port!r}",
                next_step="Check that this machine lets a process listen on 127.0.0.1.",
            )
        yield resolve_address(f"http://127.0.0.1:{int(port)}")
    finally:
        server.close_input()
        if not server.wait(_STOP_TIMEOUT_S):
            server.kill()


def _measure(address: Address, concurrency: int, count: int, clock: Clock) -> _Sample:
    track = WallClockTrack(clock)
    request = build_request(address, "POST", CHAT_PATH, b'{"stream":true}')
    load = Load(
        requests=[request] * count,
        concurrency=concurrency,
        spread_ns=int(_EVENTS * _INTERVAL_MS * 1e6),
        timeout_ns=_TIMEOUT_NS,
        deadline_ns=clock.monotonic_ns() + 2 * _TIMEOUT_NS,
    )
    result = run_closed_loop(address, load, clock, track)
    ttfts: list[int] = []
    delays: list[int] = []
    sources: set[ClockSource] = set()
    for exchange in result.exchanges:
        source, sent_and_stamped = _read_times(exchange, result, track)
        sources.add(source)
        ttfts.append(sent_and_stamped[0][1] - exchange.sent_ns)
        delays += [stamped - sent for sent, stamped in sent_and_stamped]
    clock_used: ClockSource = "user_read" if "user_read" in sources else "kernel_receive"
    return _Sample(clock_used, ttfts, delays)


def _read_times(
    exchange: Exchange, result: LoadResult, track: WallClockTrack
) -> tuple[ClockSource, list[tuple[int, int]]]:
    """(time the server wrote into a chunk, time at which it was stamped) for every token chunk."""
    stamps = resolve_stamps(exchange, track, are_kernel_stamps_asked=result.are_kernel_stamps_asked)
    response = read_response(exchange.received, [read.end for read in exchange.reads], stamps.times)
    stream = EventStream()
    found = [
        (int(chunk.content), time_ns)
        for time_ns, piece in response.pieces
        for chunk in map(parse_chunk, stream.feed(piece))
        if chunk.kind == "content"
    ]
    if len(found) != _EVENTS:
        raise EnvironmentUnfit(
            "the client could not measure itself over the loopback interface",
            evidence=f"{len(found)} of {_EVENTS} chunks came: {exchange.ending} {exchange.fault}",
            next_step="Check that nothing filters traffic to 127.0.0.1.",
        )
    return stamps.source, found
