import msgspec
import pytest

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.values import ChunkRecord, Measurement
from trt_nemotron.measure.exports.streams import choose_leg, duration_s, legs_of, streams_of


def test_streams_agree_with_our_own_summary(mixed_run: Measurement):
    for leg, figures in zip(legs_of(mixed_run), summarise(mixed_run).concurrencies, strict=True):
        streams = streams_of(mixed_run, leg)
        good = [stream for stream in streams if stream.is_good]
        assert len(streams) == figures.requests
        assert len(good) == figures.good
        assert duration_s(streams) == pytest.approx(figures.duration_s)
        means = sum(stream.ttft_s for stream in good) / len(good)
        assert means * 1e3 == pytest.approx(figures.ttft_ms.mean)
        gaps = [gap for stream in good for gap in stream.gaps_s]
        assert len(gaps) == figures.itl_ms.samples


def test_what_went_wrong_is_a_fault_with_no_tokens(mixed_run: Measurement):
    streams = streams_of(mixed_run, legs_of(mixed_run)[0])
    faults = {stream.fault for stream in streams if not stream.is_good}
    assert faults == {"stream_error: =1+1\nboom", "void: the wall clock was stepped",
                      "http_error: busy"}  # fmt: skip
    assert {stream.output_tokens for stream in streams if not stream.is_good} == {0}


def test_a_stream_begins_when_it_was_sent_and_its_queue_is_beside_it(open_run: Measurement):
    streams = streams_of(open_run, legs_of(open_run)[0])
    assert {round(stream.queue_s, 9) for stream in streams} == {0.002}
    for stream in streams:
        first = stream.record.chunks[0].received_ns
        assert stream.ttft_s == pytest.approx((first - stream.record.sent_ns) / 1e9)


def test_reasoning_is_no_answer_and_its_tokens_are_counted_as_the_server_does(
    open_run: Measurement,
):
    chunks = (
        ChunkRecord(received_ns=10**9, kind="reasoning", characters=1, tokens_so_far=3),
        ChunkRecord(received_ns=2 * 10**9, kind="content", characters=1, tokens_so_far=6),
    )
    record = msgspec.structs.replace(open_run.records[0], sent_ns=0, chunks=chunks)
    run = msgspec.structs.replace(open_run, records=(record,))
    (stream,) = streams_of(run, record.leg)
    assert (stream.ttft_s, stream.answer_s, stream.first_tokens) == (1.0, 2.0, 3)


def test_a_leg_is_asked_for_by_its_title_when_there_are_several(mixed_run: Measurement):
    assert choose_leg(mixed_run, "concurrency 4").concurrency == 4
    with pytest.raises(InvalidInput, match="has 2 legs") as caught:
        choose_leg(mixed_run, "")
    assert "concurrency 1; concurrency 4" in caught.value.evidence
    with pytest.raises(InvalidInput, match="no leg is called 'concurrency 5'"):
        choose_leg(mixed_run, "concurrency 5")


def test_an_empty_run_has_no_leg(mixed_run: Measurement):
    with pytest.raises(InvalidInput, match="0 legs"):
        choose_leg(msgspec.structs.replace(mixed_run, records=()), "")
