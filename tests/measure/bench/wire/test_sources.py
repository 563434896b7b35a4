"""Sources: every request is taken exactly once, none before it is due."""

from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trt_nemotron.measure.bench.wire.exchange import Exchange
from trt_nemotron.measure.bench.wire.sources.closed import ClosedSource
from trt_nemotron.measure.bench.wire.sources.protocol import NEVER, Order, Source
from trt_nemotron.measure.bench.wire.sources.scheduled import (
    ScheduledSource,
    constant_offsets,
    mean_rate_rps,
    poisson_offsets,
    within,
)
from trt_nemotron.measure.bench.wire.sources.session import SessionSource
from trt_nemotron.measure.bench.wire.sources.stock import PREBUILT_BYTES, Stock

MS = 1_000_000


def ended(number: int, received: bytes = b"yes", ending: Any = "complete") -> Exchange:
    return Exchange(number, 0, 0, 0, 0, received, (), ending)


def play(source: Source, streams: int, service_ns: list[int]) -> list[tuple[int, Order]]:
    """What a loop would send and when, if answers took so long; time is simulated."""
    now = 1000
    source.begin(now)
    under_way: list[tuple[int, int]] = []
    sent: list[tuple[int, Order]] = []
    while True:
        while len(under_way) < streams and source.next_due_ns(now) <= now:
            order = source.take(now)
            assert order.number == len(sent)
            sent.append((now, order))
            under_way.append((now + service_ns[order.number % len(service_ns)], order.number))
        due = source.next_due_ns(now) if len(under_way) < streams else NEVER
        at = min([due, *(end for end, _ in under_way)])
        if at == NEVER:
            return sent
        now = max(now, at)
        for end, number in sorted(under_way):
            if end <= now:
                under_way.remove((end, number))
                source.on_end(ended(number), now)


SERVICE = st.lists(st.integers(1, 50 * MS), min_size=1, max_size=8)


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(1, 9), st.integers(0, 100 * MS), SERVICE)
def test_a_closed_loop_sends_all_in_order_and_never_too_many(count, streams, spread, service):
    requests = [b"%d" % number for number in range(count)]
    source = ClosedSource(Stock.of(requests), streams, spread)
    sent = play(source, streams, service)
    assert [order.request for _, order in sent] == requests
    assert all(order.intended_ns == -1 for _, order in sent)
    first = sent[: min(streams, count)]
    assert all(at <= 1000 + spread + max(service) for at, _ in first)


@settings(deadline=None)
@given(st.lists(st.integers(0, 500 * MS), max_size=40).map(sorted), st.integers(1, 4), SERVICE)
def test_a_schedule_is_kept_and_lateness_is_not_hidden(offsets, streams, service):
    source = ScheduledSource(Stock(lambda n: b"%d" % n, len(offsets)), offsets)
    sent = play(source, streams, service)
    assert [order.request for _, order in sent] == [b"%d" % n for n in range(len(offsets))]
    for (at, order), offset in zip(sent, offsets, strict=True):
        assert order.intended_ns == 1000 + offset <= at
    if streams > len(offsets):
        assert all(at == order.intended_ns for at, order in sent)


def says(number: int, turn: int) -> str:
    return f"c{number} t{turn}"


def writes(messages: Any) -> bytes:
    return "|".join(message["content"] for message in messages).encode()


def hears(received: bytes) -> dict[str, Any] | None:
    return {"role": "assistant", "content": received.decode()} if received else None


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 5), st.integers(0, 20 * MS), SERVICE)
def test_conversations_grow_pause_and_are_counted(count, turns, streams, think, service):
    source = SessionSource(
        says, writes, hears, turns=turns, streams=streams, count=count, think_ns=think
    )
    sent = play(source, streams, service)
    assert len(sent) == count == source.total
    assert len(set(source.places)) == count
    last: dict[int, tuple[int, int]] = {}
    for (at, order), (number, turn) in zip(sent, source.places, strict=True):
        said = order.request.decode().split("|")
        assert said[::2] == [says(number, t) for t in range(turn + 1)]
        assert said[1::2] == ["yes"] * turn
        if turn:
            begun, before = last[number]
            assert before == turn - 1
            assert at >= begun + think
        last[number] = (at, turn)
    assert source.broken == 0


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 4), st.sets(st.integers(0, 19)))
def test_a_broken_conversation_is_replaced(count, turns, streams, failing):
    source = SessionSource(says, writes, hears, turns=turns, streams=streams, count=count)
    source.begin(0)
    taken = 0
    while source.next_due_ns(0) < NEVER:
        order = source.take(0)
        received = b"" if order.number in failing else b"yes"
        source.on_end(ended(order.number, received), 0)
        taken += 1
    assert taken == count


def test_the_result_of_a_tool_answers_its_call():
    told: list[Any] = []
    call = {"id": "call_7", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    answer = {"role": "assistant", "content": "", "tool_calls": [call]}
    source = SessionSource(
        says, lambda m: told.append(list(m)) or b"", lambda _: answer,
        turns=2, streams=1, count=2,
    )  # fmt: skip
    source.begin(0)
    source.on_end(ended(source.take(0).number), 0)
    assert told[-1][-1] == {"role": "tool", "tool_call_id": "call_7", "content": "c0 t1"}


@pytest.mark.parametrize("kind", ["closed", "session"])
def test_a_soak_sends_nothing_after_its_time(kind: str):
    source: Source = ClosedSource(Stock(lambda _: b"x", None, ahead=2), 2, soak_ns=100)
    if kind == "session":
        source = SessionSource(says, writes, hears, turns=3, streams=2, count=None, soak_ns=100)
    assert source.total is None
    sent = play(source, 2, [30])
    assert 4 < len(sent) <= 8
    assert all(at < 1100 for at, _ in sent)


@given(st.floats(0.01, 1000), st.integers(0, 2**31))
def test_arrivals_are_reproducible_and_rise(rate, seed):
    times = list(islice(poisson_offsets(rate, seed), 50))
    assert times == list(islice(poisson_offsets(rate, seed), 50))
    assert times != list(islice(poisson_offsets(rate, seed + 1), 50))
    assert all(early <= late for early, late in pairwise(times))
    steady = list(islice(constant_offsets(rate), 50))
    assert steady[0] == 0
    assert steady[-1] == pytest.approx(49e9 / rate, abs=1)


def test_poisson_arrivals_have_the_rate_and_the_spread_of_their_kind():
    times = list(islice(poisson_offsets(100.0, 3), 20_000))
    gaps = [late - early for early, late in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(10 * MS, rel=0.03)
    assert spread / mean == pytest.approx(1.0, rel=0.03)
    assert len(list(within(iter(times), 1000 * MS))) == sum(at < 1000 * MS for at in times)


def test_a_trace_has_a_mean_rate():
    assert mean_rate_rps([0.0, 1.0, 4.0]) == 0.5
    assert mean_rate_rps([3.0]) == mean_rate_rps([2.0, 2.0]) == 1.0


def test_large_requests_are_not_all_held_at_once():
    built: list[int] = []

    def build(number: int) -> bytes:
        built.append(number)
        return bytes(PREBUILT_BYTES // 4)

    stock = Stock(build, 100)
    assert len(built) == 4
    for _ in range(100):
        stock.pop()
        stock.refill()
    assert built == list(range(100))
