"""Exchanges are kept as they were, compressed or not, and forgotten as they are taken."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.measure.bench.wire.exchange import Exchange, Read
from trt_nemotron.measure.bench.wire.recording import Recording

NUMBERS = st.integers(-(2**40), 2**62)
READS = st.builds(
    Read, NUMBERS, NUMBERS, st.lists(st.tuples(st.just(1), st.just(35), st.binary(max_size=16)))
)
EXCHANGES = st.builds(
    Exchange,
    index=NUMBERS,
    connect_ns=NUMBERS,
    sent_ns=NUMBERS,
    send_call_ns=NUMBERS,
    ended_ns=NUMBERS,
    received=st.binary(max_size=300),
    reads=st.lists(READS, max_size=4).map(tuple),
    ending=st.sampled_from(["complete", "reset"]),
    fault=st.text(max_size=20),
    port=NUMBERS,
    request_end=NUMBERS,
    response_begin=NUMBERS,
    previous=NUMBERS,
)


@given(st.lists(EXCHANGES, max_size=8), st.integers(0, 2000))
def test_what_was_kept_comes_back_whatever_was_compressed(
    exchanges: list[Exchange], most_plain: int
):
    recording = Recording(most_plain)
    for exchange in exchanges:
        recording.append(exchange)
    assert list(recording) == exchanges
    assert [recording[place] for place in range(len(recording))] == exchanges
    assert all(type(read) is Read for exchange in recording for read in exchange.reads)
    assert list(recording.take()) == exchanges
    assert list(recording) == [replace(e, received=b"", reads=()) for e in exchanges]


@pytest.mark.parametrize("clock_reads", [0, 256])
def test_many_alike_responses_take_a_tenth_of_their_size(clock_reads: int):
    event = b'd9\r\ndata: {"choices":[{"delta":{"content":" word%d"}}]}\n\n\r\n'
    received = b"".join(event % (number % 97) for number in range(256))
    reads = tuple(Read(n, 5_000_000 * n, [(1, 35, bytes(16))]) for n in range(clock_reads))
    recording = Recording(most_plain=0)
    for index in range(5):
        recording.append(Exchange(index, 0, 0, 0, 0, received, reads, "complete"))
    kept = sum(len(each) for each in recording._kept if isinstance(each, bytes))
    assert 0 < kept < 0.1 * 5 * (len(received) + 300 * clock_reads)
