"""A body that came chunk by chunk is read at one go, and says the same as when it is walked."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trt_nemotron.measure.bench.wire.framing import NotHttp, read_head
from trt_nemotron.measure.bench.wire.http_response import BodyDecoder, read_response

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
DATA = st.binary(min_size=1, max_size=30) | st.sampled_from(
    [b"a\r\nb", b"\r", b"\n", b"\r\n", b"0"]
)
SIZES = st.sampled_from(
    [b"%x", b"%X", b"00%x", b"%x;a=b", b"%x ", b"%x;\n", b"0x%x", b"-%x", b"%d"]
)
ENDS = st.sampled_from([b"0\r\n\r\n"] * 4 + [b"0\r\n", b"", b"00\r\n\r\n", b"0\r\nX: y\r\n\r\n"])


def walked(received: bytes, ends: list[int], times: list[int]) -> object:
    head = read_head(received, 0, len(received))
    assert head is not None
    decoder, begin, pieces = BodyDecoder(head), head.size, []
    for end, time in zip(ends, times, strict=True):
        try:
            piece = decoder.feed(received[begin:end]) if end > begin else b""
        except NotHttp as fault:
            return str(fault)
        begin = max(begin, end)
        if piece:
            pieces.append((time, piece))
    return tuple(pieces)


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.tuples(st.just(b"%x") | SIZES, DATA), max_size=6),
    ENDS,
    st.lists(st.integers(0, 200), max_size=3),
    st.booleans(),
)
@example(
    chunks=[(b"%x", b"a"), (b"%x", b""), (b"%x", b"b")],
    end=b"0\r\n\r\n",
    cuts=[],
    has_head=False,
)
@example(chunks=[(b"%x;\n", b"a")], end=b"0\r\n\r\n", cuts=[], has_head=False)
def test_one_read_a_chunk_is_read_as_any_other_body(
    chunks: list[tuple[bytes, bytes]], end: bytes, cuts: list[int], has_head: bool
):
    """With the end of the body in the last read, in one of its own, or with cuts anywhere."""
    received, ends = HEAD, [] if has_head else [len(HEAD)]
    for size, data in chunks:
        received += size % len(data) + b"\r\n" + data + b"\r\n"
        ends.append(len(received))
    received += end
    ends = sorted({*ends, len(received), *(place % (len(received) + 1) for place in cuts)} - {0})
    for reads in (ends, ends[:-2] + ends[-1:]):
        times = list(range(5, 5 + len(reads)))
        expected = walked(received, reads, times)
        if isinstance(expected, str):
            with pytest.raises(NotHttp, match=r".+"):
                read_response(received, reads, times)
        else:
            assert read_response(received, reads, times).pieces == expected


def test_the_end_of_the_body_may_come_alone_or_in_two_parts():
    body = b"1\r\na\r\n2\r\nbc\r\n"
    at = len(HEAD)
    for last in ([at + 13], [at + 18], [at + 13, at + 18], [at + 13, at + 16, at + 18]):
        ends = [at, at + 6, *last]
        read = read_response(HEAD + body + b"0\r\n\r\n", ends, list(range(len(ends))))
        assert read.pieces == ((1, b"a"), (2, b"bc"))
