"""The packet clock on a real ring: exact whoever reads late, and void where it cannot be."""

import socket
import time
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

import pytest

from tests.measure.bench.conftest import TOKENS, Truth, chat_request
from trt_nemotron.measure.bench.clock import SystemClock, WallClockTrack
from trt_nemotron.measure.bench.figures.request_figures import token_chunks
from trt_nemotron.measure.bench.record import Expectation, Place, make_record
from trt_nemotron.measure.bench.values import RequestRecord
from trt_nemotron.measure.bench.wire.address import resolve_address
from trt_nemotron.measure.bench.wire.capture import Capture
from trt_nemotron.measure.bench.wire.load import Load, LoadResult
from trt_nemotron.measure.bench.wire.loop import run_closed_loop
from trt_nemotron.measure.bench.wire.packet_ring import PacketRing
from trt_nemotron.measure.bench.wire.route import interface_to
from trt_nemotron.measure.bench.wire.segments import read_segments

RingFor = Callable[..., PacketRing]


@pytest.fixture
def ring_for() -> Iterator[RingFor]:
    """Opens a ring at the loopback interface, where this machine lets us."""
    rings: list[PacketRing] = []

    def ring_for(family: int, port: int, blocks: int = 64) -> PacketRing:
        try:
            rings.append(PacketRing("lo", family, port, blocks))
        except OSError as fault:
            pytest.skip(f"no packet ring here: {fault}")
        return rings[-1]

    yield ring_for
    for ring in rings:
        ring.close()


class Talk:
    """A connection over loopback of which both ends are ours."""

    def __init__(self, family: int, host: str) -> None:
        self.listener = socket.create_server((host, 0), family=family)
        self.port = self.listener.getsockname()[1]

    def open(self) -> None:
        self.client = socket.create_connection(self.listener.getsockname()[:2])
        self.server, _ = self.listener.accept()
        for end in (self.client, self.server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def say(self, data: bytes, *, is_answer: bool) -> None:
        sender, hearer = (self.server, self.client) if is_answer else (self.client, self.server)
        sender.sendall(data)
        left = len(data)
        while left:
            left -= len(hearer.recv(left))

    def close(self) -> None:
        for end in (self.client, self.server, self.listener):
            end.close()


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_every_segment_with_data_is_seen_once_and_nothing_else(
    ring_for: RingFor, family: int, host: str
):
    talk, other = Talk(family, host), Talk(family, host)
    ring = ring_for(family, talk.port)
    for conversation in (talk, other):
        conversation.open()
        for size in (5, 300, 40_000):
            conversation.say(b"q" * size, is_answer=False)
            conversation.say(b"a" * (size + 1), is_answer=True)
        conversation.close()
    time.sleep(0.06)
    segments = list(read_segments(ring.drain()))
    opening, *rest = segments
    assert opening.is_syn
    assert not any(segment.is_syn for segment in rest)
    assert all(segment.size > 0 for segment in rest)
    sent = sum(segment.size for segment in rest if segment.is_sent)
    received = sum(segment.size for segment in rest if not segment.is_sent)
    assert (sent, received) == (40_305, 40_308)
    assert len({segment.port for segment in segments}) == 1
    now = time.time_ns()
    assert all(now - 10**10 < segment.wall_ns <= now for segment in segments)


def run(
    truth: Truth, ring: PacketRing, count: int = 4, streams: int = 2, **fields: Any
) -> tuple[LoadResult, WallClockTrack]:
    address = resolve_address(truth.url)
    clock = fields.pop("clock", SystemClock())
    on_progress = fields.pop("on_progress", None)
    track = WallClockTrack(clock)
    requests = [chat_request(address, "plain", **fields) for _ in range(count)]
    load = Load(requests, streams, 0, 5 * 10**9, clock.monotonic_ns() + 60 * 10**9)
    result = run_closed_loop(address, load, clock, track, on_progress, capture=Capture(ring))
    return result, track


def records_of(result: LoadResult, track: WallClockTrack) -> list[RequestRecord]:
    made = [
        make_record(
            exchange,
            Place(index=exchange.index, concurrency=1, is_warmup=False, origin_ns=0),
            Expectation(TOKENS, sends_done=True),
            track,
            are_kernel_stamps_asked=False,
            packets=result.packets,
        )[0]
        for exchange in result.exchanges
    ]
    return sorted(made, key=lambda record: record.index)


def worst_error_ns(records: list[RequestRecord], truth: Truth) -> int:
    """Of the median over all chunks: client minus server, from each request on."""
    told = {(r["received_ns"], tuple(r["tokens_ns"])) for r in truth.requests() if r["tokens_ns"]}
    errors = []
    for record in records:
        asked, sent = min(told, key=lambda entry: abs(entry[0] - record.sent_ns))
        seen = [chunk.received_ns - record.sent_ns for chunk in token_chunks(record)]
        errors += [abs(s - (t - asked)) for s, t in zip(seen, sent, strict=True)]
    return sorted(errors)[len(errors) // 2]


def test_times_are_those_of_the_wire_though_bytes_are_read_later(truth: Truth, ring_for: RingFor):
    ring = ring_for(socket.AF_INET, truth.port)
    result, track = run(truth, ring, interval_ms=4)
    records = records_of(result, track)
    assert {(r.outcome, r.clock, r.void) for r in records} == {("ok", "packet_ring", "")}
    reads = sum(len(exchange.reads) for exchange in result.exchanges)
    assert reads < len(records) * TOKENS / 2, "bytes are read in batches"
    assert worst_error_ns(records, truth) < 200_000
    assert result.packets is not None
    assert result.packets.lost == 0


def test_a_reader_that_sleeps_shifts_no_time(truth: Truth, ring_for: RingFor):
    ring = ring_for(socket.AF_INET, truth.port)
    result, track = run(truth, ring, 6, interval_ms=10, on_progress=lambda _: time.sleep(0.3))
    records = records_of(result, track)
    assert max(result.lags_ns) > 100_000_000, "the reader's lag is noticed"
    assert {(r.outcome, r.void) for r in records} == {("ok", "")}
    assert worst_error_ns(records, truth) < 200_000
    gaps = [
        late.received_ns - early.received_ns
        for record in records
        for early, late in zip(token_chunks(record), token_chunks(record)[1:], strict=False)
    ]
    assert 0 not in gaps, "no chunk lost a time of its own"


def test_a_new_connection_for_each_request_is_followed(truth: Truth, ring_for: RingFor):
    ring = ring_for(socket.AF_INET, truth.port)
    result, track = run(truth, ring, 6, is_closing=True)
    records = records_of(result, track)
    assert {(r.outcome, r.void) for r in records} == {("ok", "")}
    assert worst_error_ns(records, truth) < 200_000


def test_packets_that_found_no_room_are_counted_and_their_requests_void(
    truth: Truth, ring_for: RingFor
):
    """A ring of two blocks, and a reader that sleeps while 240 KB of headers pass."""
    ring = ring_for(socket.AF_INET, truth.port, 2)
    result, track = run(
        truth, ring, 40, 40, max_tokens=60, interval_ms=5,
        on_progress=lambda _: time.sleep(0.4),
    )  # fmt: skip
    assert result.packets is not None
    assert result.packets.lost > 0
    records = records_of(result, track)
    assert any(record.void == "some of its packets were not seen" for record in records)
    assert not any(record.gives_figures for record in records if record.void)


class LeapingClock(SystemClock):
    """A clock double: the wall clock is a second ahead between two reports of progress."""

    def __init__(self) -> None:
        self.reports = 0
        self._ahead_ns = 0

    def on_progress(self, done: int) -> None:
        """Leap once two requests have ended, and back at the next report."""
        self.reports += done >= 2
        self._ahead_ns = 10**9 if self.reports == 1 else 0

    def realtime_ns(self) -> int:  # type: ignore[override]
        return time.time_ns() + self._ahead_ns


def test_a_step_of_the_wall_clock_voids_what_it_touches_and_nothing_else(
    truth: Truth, ring_for: RingFor
):
    ring = ring_for(socket.AF_INET, truth.port)
    clock = LeapingClock()
    result, track = run(
        truth, ring, 16, 1,
        ttft_ms=40, interval_ms=10, clock=clock, on_progress=clock.on_progress,
    )  # fmt: skip
    assert len(track.steps) == 2
    records = records_of(result, track)
    void = [record for record in records if record.void]
    assert void
    reasons = {record.void for record in void}
    # Of a request that lies within the leap, the packets did not leap: the double's clock did.
    assert reasons - {"its packets' times contradict our own clock"} == {
        "the wall clock was stepped meanwhile"
    }
    sound = [record for record in records if not record.void]
    assert sound[0].index == 0
    assert worst_error_ns(sound, truth) < 200_000


def test_a_stream_that_dies_is_counted_as_ever(truth: Truth, ring_for: RingFor):
    ring = ring_for(socket.AF_INET, truth.port)
    address = resolve_address(truth.url)
    clock = SystemClock()
    track = WallClockTrack(clock)
    kinds = ["fin in the middle", "reset in the middle", "broken chunk framing", "plain", "503"]
    requests = [chat_request(address, kind) for kind in kinds]
    load = Load(requests, 1, 0, 10**9, clock.monotonic_ns() + 60 * 10**9)
    result = run_closed_loop(address, load, clock, track, capture=Capture(ring))
    outcomes = [record.outcome for record in records_of(result, track)]
    assert outcomes == ["truncated", "disconnected", "http_error", "ok", "http_error"]


def test_the_kernel_tells_the_way_to_an_address():
    if not hasattr(socket, "AF_NETLINK"):
        pytest.skip("no netlink here")
    assert interface_to(socket.AF_INET, ("127.0.0.1", 1)) == "lo"
    assert interface_to(socket.AF_INET6, ("::1", 1, 0, 0)) == "lo"


def test_a_ring_gives_its_memory_back(ring_for: RingFor):
    ring = ring_for(socket.AF_INET, 1)
    ring.close()
    with pytest.raises(ValueError, match="closed"):
        ring.drain()


def test_of_a_long_run_packets_are_followed_on_the_way_and_none_is_missed(ring_for: RingFor):
    talk = Talk(socket.AF_INET, "127.0.0.1")
    rings = [ring_for(socket.AF_INET, talk.port) for _ in range(2)]
    on_the_way, at_the_end = Capture(rings[0], most_waiting=7), Capture(rings[1])
    talk.open()
    for size in range(1, 40):
        talk.say(bytes(size), is_answer=False)
        talk.say(bytes(2 * size), is_answer=True)
        if size % 10 == 0:
            time.sleep(0.06)
            on_the_way.drain()
            at_the_end.drain()
    talk.close()
    found = []
    for capture in (on_the_way, at_the_end):
        (flows,) = capture.conclude().flows.values()
        found += [(list(flow.sent.ends), list(flow.received.ends)) for flow in flows]
    assert found[0] == found[1]
    assert len(found) == 2
    assert found[0][1] == list(accumulate(2 * size for size in range(1, 40)))
