"""How exact this client is on this machine, now: measured against a loopback server of our own.

The server runs in another process and writes into each chunk when it was sent; the monotonic clock
is the same for both. What is found is a floor: no figure of the run can be truer.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from trt_nemotron import command
from trt_nemotron.errors import EnvironmentUnfit
from trt_nemotron.measure.bench.client_health import ClockSource, FigureError
from trt_nemotron.measure.bench.clock import Clock, WallClockTrack
from trt_nemotron.measure.bench.clock_choice import BY_READS, ClockChoice
from trt_nemotron.measure.bench.figures.percentiles import interpolate
from trt_nemotron.measure.bench.wire.address import Address, resolve_address
from trt_nemotron.measure.bench.wire.exchange import Exchange
from trt_nemotron.measure.bench.wire.http_request import CHAT_PATH, build_request
from trt_nemotron.measure.bench.wire.http_response import read_response
from trt_nemotron.measure.bench.wire.load import Load, LoadResult
from trt_nemotron.measure.bench.wire.loop import run_closed_loop
from trt_nemotron.measure.bench.wire.route import interface_to
from trt_nemotron.measure.bench.wire.stamps import Stamps, percentile_ms, resolve_stamps
from trt_nemotron.openai.chunk import parse_chunk
from trt_nemotron.openai.sse import EventStream
from trt_nemotron.redaction import scrubbed_environment

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
        errors: of each figure at the concurrency asked for, against the server's log.
    """

    clock: ClockSource
    ttft_p50_ms: float
    ttft_p99_ms: float
    delay_p50_ms: float
    delay_p99_ms: float
    errors: tuple[FigureError, ...] = ()


def measure_floor(concurrency: int, clock: Clock, choice: ClockChoice = BY_READS) -> Floor:
    """Measure the client itself with the clock of the run, alone and with `concurrency` streams;
    takes about half a second.

    Raises:
        EnvironmentUnfit: the loopback server could not be started or did not answer.
    """
    with _loopback_server() as address:
        alone = _measure(address, 1, _REQUESTS_ALONE, clock, choice)
        count = max(_FEWEST_TOGETHER, _WAVES * concurrency)
        together = _measure(address, concurrency, count, clock, choice)
    return Floor(
        clock=together.clock,
        ttft_p50_ms=percentile_ms(alone.ttfts_ns, 0.50),
        ttft_p99_ms=percentile_ms(together.ttfts_ns, 0.99),
        delay_p50_ms=percentile_ms(together.delays_ns, 0.50),
        delay_p99_ms=percentile_ms(together.delays_ns, 0.99),
        errors=_errors(together.streams),
    )


@dataclass(frozen=True, slots=True)
class _Stream:
    """One stream as the server and as the client timed it, both from the request on (ns)."""

    told: tuple[int, ...]
    seen: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Sample:
    clock: ClockSource
    delays_ns: list[int]
    streams: list[_Stream]

    @property
    def ttfts_ns(self) -> list[int]:
        return [stream.seen[0] for stream in self.streams]


@contextmanager
def _loopback_server() -> Iterator[Address]:
    script = Path(__file__).with_name("loopback_server.py")
    argv = [sys.executable, "-I", "-S", str(script), str(_EVENTS), str(_INTERVAL_MS)]
    server = command.start(argv, log_path=Path(os.devnull), env=scrubbed_environment())
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


def _measure(
    address: Address, concurrency: int, count: int, clock: Clock, choice: ClockChoice
) -> _Sample:
    track = WallClockTrack(clock)
    request = build_request(address, "POST", CHAT_PATH, b'{"stream":true}')
    load = Load(
        requests=[request] * count,
        concurrency=concurrency,
        spread_ns=int(_EVENTS * _INTERVAL_MS * 1e6),
        timeout_ns=_TIMEOUT_NS,
        deadline_ns=clock.monotonic_ns() + 2 * _TIMEOUT_NS,
    )
    with _on_loopback(choice, address).capture(address, concurrency) as capture:
        result = run_closed_loop(
            address,
            load,
            clock,
            track,
            capture=capture,
            asks_for_stamps=choice.source == "kernel_receive",
        )
    resolved = [(exchange, _resolve(exchange, result, track)) for exchange in result.exchanges]
    timed = [pair for pair in resolved if not pair[1].void] or resolved
    delays: list[int] = []
    streams: list[_Stream] = []
    for exchange, stamps in timed:
        chunks = _read_chunks(exchange, stamps)
        delays += [stamped - sent for _, sent, stamped in chunks]
        streams.append(
            _Stream(
                told=tuple(sent - asked for asked, sent, _ in chunks),
                seen=tuple(stamped - stamps.sent_ns for _, _, stamped in chunks),
            )
        )
    sources = {stamps.source for _, stamps in timed}
    return _Sample("user_read" if "user_read" in sources else choice.source, delays, streams)


def _on_loopback(choice: ClockChoice, address: Address) -> ClockChoice:
    if choice.source != "packet_ring":
        return choice
    return ClockChoice(
        "packet_ring", interface=interface_to(address.family, address.socket_address)
    )


def _resolve(exchange: Exchange, result: LoadResult, track: WallClockTrack) -> Stamps:
    if result.packets is not None:
        return result.packets.resolve(exchange, track)
    return resolve_stamps(exchange, track, are_kernel_stamps_asked=result.are_kernel_stamps_asked)


def _read_chunks(exchange: Exchange, stamps: Stamps) -> list[tuple[int, int, int]]:
    """When the request came, when a token chunk was sent, and when it was stamped."""
    response = read_response(exchange.received, stamps.ends, stamps.times)
    stream = EventStream()
    found = [
        (*map(int, chunk.content.split()), time_ns)
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
    return [(asked, sent, stamped) for asked, sent, stamped in found]


def _errors(streams: Sequence[_Stream]) -> tuple[FigureError, ...]:
    """Client minus server for each figure, the same percentile of both."""
    pick: dict[str, Callable[[tuple[int, ...]], list[int]]] = {
        "ttft": lambda times: [times[0]],
        "itl": lambda times: [late - early for early, late in pairwise(times)],
        "tpot": lambda times: [(times[-1] - times[0]) // (len(times) - 1)],
        "e2e": lambda times: [times[-1]],
    }
    errors = []
    for name, figures in pick.items():
        told = sorted(value for stream in streams for value in figures(stream.told))
        seen = sorted(value for stream in streams for value in figures(stream.seen))
        for quantile in (0.5, 0.99):
            difference = interpolate(seen, quantile) - interpolate(told, quantile)
            errors.append(
                FigureError(
                    figure=f"{name}_p{quantile * 100:.0f}_ms", error_ms=round(difference / 1e6, 6)
                )
            )
    return tuple(errors)
