"""HTTP is read alike however the bytes are cut, and by three readers of different make."""

from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trt_nemotron.measure.bench.wire.framing import EndDetector, NotHttp, read_head
from trt_nemotron.measure.bench.wire.http_response import read_response

BODIES = st.lists(st.binary(max_size=40), max_size=8)
CUTS = st.lists(st.integers(min_value=1, max_value=17), min_size=1, max_size=40)
_SIZES = st.sampled_from(["{:x}", "{:X}", "0{:x}", "{:x};a=b", "{:x} "])
TRICKY = st.sampled_from([b"0\r\n\r\n", b"\r\n", b"\r\n\r\n0\r\n\r\n", b"data: x\r\n\r\n", b""])


def chunked(parts: list[bytes], extension: bytes = b"", trailer: bytes = b"") -> bytes:
    chunks = b"".join(b"%X%b\r\n%b\r\n" % (len(p), extension, p) for p in parts if p)
    return chunks + b"0\r\n" + trailer + b"\r\n"


def response(body: bytes, *headers: bytes, interim: bytes = b"") -> bytes:
    return interim + b"\r\n".join((b"HTTP/1.1 200 OK", *headers, b"", b"")) + body


def pieces_of(data: bytes, cuts: list[int]) -> list[int]:
    """Ends of the reads when `data` comes in pieces of these sizes, over and over."""
    ends, position = [], 0
    while position < len(data):
        position = min(len(data), position + cuts[len(ends) % len(cuts)])
        ends.append(position)
    return ends


def reads_until_end(data: bytes, ends: list[int]) -> int:
    """Number of the read after which the detector says that the response is whole; 0 for never."""
    detector = EndDetector()
    buffer = bytearray(len(data))  # what has not come yet is not there yet
    begin = 0
    for number, end in enumerate(ends, 1):
        buffer[begin:end] = data[begin:end]
        begin = end
        if detector.is_ended(buffer, end):
            return number
    return 0


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40) | TRICKY, max_size=8), CUTS, st.booleans(), st.booleans())
def test_chunked_bodies_are_read_whole_in_any_pieces(
    parts: list[bytes], cuts: list[int], is_extended: bool, has_trailer: bool
):
    body = chunked(parts, b";a=b" if is_extended else b"", b"X: y\r\n" if has_trailer else b"")
    data = response(body, b"Transfer-Encoding: chunked")
    ends = pieces_of(data, cuts)
    assert reads_until_end(data, ends) == len(ends)
    read = read_response(data, ends, list(range(len(ends))))
    assert read.body == b"".join(parts)
    assert [time for time, _ in read.pieces] == sorted({time for time, _ in read.pieces})


@settings(deadline=None)
@given(st.binary(max_size=80), CUTS)
def test_bodies_of_known_length_are_read_whole_in_any_pieces(body: bytes, cuts: list[int]):
    data = response(body, b"content-LENGTH:  %d " % len(body))
    ends = pieces_of(data, cuts)
    assert reads_until_end(data, ends) == len(ends)
    assert read_response(data, ends, ends).body == body


@settings(deadline=None)
@given(st.binary(max_size=80), CUTS)
def test_a_body_that_ends_by_closing_never_ends_by_itself(body: bytes, cuts: list[int]):
    data = response(body)
    ends = pieces_of(data, cuts)
    assert reads_until_end(data, ends) == 0
    assert read_response(data, ends, ends).body == body


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=5), CUTS)
def test_each_byte_has_the_time_of_the_read_that_brought_it(parts: list[bytes], cuts: list[int]):
    """Against a reader that asks of every body byte which read it came in."""
    data = response(chunked(parts), b"Transfer-Encoding: chunked")
    ends = pieces_of(data, cuts)
    position = data.index(b"\r\n\r\n") + 4
    expected: list[tuple[int, int]] = []
    for part in parts:
        position += len(b"%X\r\n" % len(part))
        for offset in range(len(part)):
            number = next(n for n, end in enumerate(ends) if end > position + offset)
            expected.append((number, part[offset]))
        position += len(part) + 2
    read = read_response(data, ends, list(range(len(ends))))
    assert [(time, byte) for time, piece in read.pieces for byte in piece] == expected


@settings(deadline=None)
@given(st.binary(max_size=200), CUTS)
def test_no_bytes_crash_or_hang_a_reader(data: bytes, cuts: list[int]):
    for prefix in (b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        whole = prefix + data
        ends = pieces_of(whole, cuts)
        try:
            reads_until_end(whole, ends)
            read_response(whole, ends, ends)
        except NotHttp as fault:
            assert str(fault)  # noqa: PT017 - either answer is right; a crash is not


@given(
    st.lists(st.tuples(_SIZES, st.binary(max_size=30) | TRICKY)),
    st.none() | st.tuples(st.integers(0, 400), st.sampled_from(b"\r\n0a;x ")),
)
def test_a_chunk_in_one_piece_is_read_as_it_is_byte_by_byte(
    chunks: list[tuple[str, bytes]], spoiled: tuple[int, int] | None
):
    """Whole or spoiled: a server sends an event a chunk, and mostly it comes so."""
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    framed = [b"%b\r\n%b\r\n" % (size.format(len(p)).encode(), p) for size, p in chunks]
    framed.append(b"0\r\n\r\n")
    data = bytearray(b"".join(framed))
    if spoiled is not None and spoiled[0] < len(data):
        data[spoiled[0]] = spoiled[1]
    ends = [len(head), *(len(head) + end for end in accumulate(map(len, framed)))]

    def body(cuts: list[int]) -> bytes | None:
        try:
            return read_response(head + data, cuts, cuts).body
        except NotHttp:
            return None

    assert body(ends) == body(list(range(1, len(head) + len(data) + 1)))


def test_interim_responses_are_skipped():
    data = response(b"hi", b"Content-Length: 2", interim=b"HTTP/1.1 100 Continue\r\n\r\n")
    assert reads_until_end(data, [20, len(data) - 1, len(data)]) == 3
    assert read_response(data, [len(data)], [1]).body == b"hi"


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000,
    ],
)
def test_what_is_no_http_is_refused(data: bytes):
    with pytest.raises(NotHttp):
        read_head(data, 0, len(data))


@pytest.mark.parametrize(
    ("headers", "version", "is_reusable"),
    [
        (b"Content-Length: 0\r\n", b"HTTP/1.1", True),
        (b"Content-Length: 0\r\nConnection: close\r\n", b"HTTP/1.1", False),
        (b"Content-Length: 0\r\n", b"HTTP/1.0", False),
        (b"Content-Length: 0\r\nConnection: Keep-Alive\r\n", b"HTTP/1.0", True),
        (b"", b"HTTP/1.1", False),
    ],
)
def test_reuse_follows_version_and_header(headers: bytes, version: bytes, is_reusable: bool):
    data = version + b" 200 OK\r\n" + headers + b"\r\n"
    head = read_head(data, 0, len(data))
    assert head is not None
    assert head.is_reusable is is_reusable
