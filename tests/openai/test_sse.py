import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.openai.sse import EventStream, split_plain


def reference(stream: bytes) -> list[str]:
    """The grammar of the standard over the whole stream at once, as plainly as it can be said."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    events: list[str] = []
    data = ""
    for line in re.split("\r\n|\n|\r", text)[:-1]:  # what no line end follows is no line
        if line == "":
            if data:
                events.append(data.removesuffix("\n"))
            data = ""
            continue
        name, _, value = line.partition(":")
        if name == "data":
            data += value.removeprefix(" ") + "\n"
    return events


def feed(stream: bytes, cuts: list[int]) -> list[str]:
    events = EventStream()
    places = sorted({0, *(cut % (len(stream) + 1) for cut in cuts), len(stream)})
    received: list[str] = []
    for start, end in pairwise(places):
        received += events.feed(stream[start:end])
    return received


lines = st.sampled_from(
    [
        b"data: one", b"data:two", b"data", b"data:", b"data:  three", b": comment", b":", b"",
        b"event: error", b"id: 1", b"retry: 5", b"data : no", b"Data: no", b" data: no",
        "data: äöü 🚀".encode(), b"data: \xff\xfe", b"data: \xe3\x81", b"\xef\xbb\xbfdata: marked",
        b"data: [DONE]", b'data: {"a": "\\n"}', b"data: a:b: c", b"\x00", b"data: \x0b\x0c\x1c",
        "data: \u2028\u0085".encode(),
    ]
)  # fmt: skip
ends = st.sampled_from([b"\n", b"\r", b"\r\n"])
streams = st.lists(st.tuples(lines, ends), max_size=12).map(
    lambda parts: b"".join(line + end for line, end in parts)
)
beginnings = st.sampled_from([b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf"])
tails = st.one_of(st.just(b""), lines)


@given(beginnings, streams, tails, st.lists(st.integers(0, 10_000), max_size=12))
def test_any_cut_of_any_stream_gives_what_the_standard_says(
    beginning: bytes, stream: bytes, tail: bytes, cuts: list[int]
) -> None:
    whole = beginning + stream + tail
    assert feed(whole, cuts) == reference(whole)


@given(beginnings, streams, tails)
def test_one_byte_at_a_time_gives_the_same(beginning: bytes, stream: bytes, tail: bytes) -> None:
    whole = beginning + stream + tail
    assert feed(whole, list(range(len(whole)))) == reference(whole)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_noise_is_read_as_the_standard_says(noise: bytes, cuts: list[int]) -> None:
    assert feed(noise, cuts) == reference(noise)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_ends_an_event(end: bytes) -> None:
    assert EventStream().feed(b"data: a" + end + end + b"data: b" + end + end) == ["a", "b"]


def test_an_event_is_given_out_with_the_byte_that_completes_it() -> None:
    events = EventStream()
    assert events.feed(b"data: a\r\n") == []
    assert events.feed(b"\r") == ["a"]
    assert events.feed(b"\ndata: b\n\n") == ["b"]


def test_an_empty_piece_does_not_break_a_line_end_apart() -> None:
    events = EventStream()
    assert events.feed(b"data: a\r") == []
    assert events.feed(b"") == []
    assert events.feed(b"\n\r\n") == ["a"]


def test_several_data_lines_are_one_event() -> None:
    assert EventStream().feed(b"data: a\ndata: b\n\n") == ["a\nb"]


def test_a_character_split_between_two_pieces_arrives_whole() -> None:
    events = EventStream()
    stream = "data: 🚀\n\n".encode()
    assert [event for byte in stream for event in events.feed(bytes([byte]))] == ["🚀"]


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_one_byte_order_mark_at_the_start_is_dropped(cut: int) -> None:
    events, stream = EventStream(), b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\ndata: c\n\n"
    assert events.feed(stream[:cut]) + events.feed(stream[cut:]) == ["a", "c"]


def test_the_trailing_space_that_trtllm_serve_sends_is_kept_in_the_payload() -> None:
    assert EventStream().feed(b'data: {"a": 1} \n\n') == ['{"a": 1} ']


@pytest.mark.parametrize(
    ("stream", "lost"),
    [
        (b"data: a\n", ["a"]),
        (b"data: a", ["a"]),
        (b"data: a\ndata: b", ["a\nb"]),
        (b"data: a\n\n", []),
        (b": comment", []),
        (b"", []),
    ],
)
def test_the_end_of_the_stream_tells_what_was_cut_off(stream: bytes, lost: list[str]) -> None:
    events = EventStream()
    events.feed(stream)
    assert events.finish() == lost


def test_a_long_line_in_small_pieces_takes_linear_time() -> None:
    events = EventStream()
    events.feed(b"data: ")
    for _ in range(100_000):
        events.feed(b"0123456789")
    assert len(events.feed(b"\n\n")[0]) == 1_000_000


plain = st.lists(
    st.sampled_from([b"data: one\n\n", b"data: \n\n", b"data: data: \n\n"]), max_size=5
)


@given(plain.map(b"".join) | streams)
def test_a_body_is_split_at_one_go_as_it_is_line_by_line(body: bytes):
    at_one_go = split_plain(body)
    assert at_one_go is None or [
        data.decode("utf-8", "replace") for data in at_one_go
    ] == reference(body)


def test_only_a_body_of_whole_plain_events_is_split_at_one_go():
    assert split_plain(b"data: a\n\ndata: b\n\n") == [b"a", b"b"]
    for other in (
        b"",
        b"data: a\n",
        b"data: a\ndata: b\n\n",
        b": x\n\ndata: a\n\n",
        b"data: a\r\n\n",
    ):
        assert split_plain(other) is None
