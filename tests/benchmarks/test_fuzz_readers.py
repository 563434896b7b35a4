"""The readers of the measuring client against what no server should send, in short."""

import pytest

from benchmarks import fuzz_readers
from benchmarks.fuzz_readers import fuzz, run_slice
from benchmarks.reference_readers import read_answer, read_events
from trt_nemotron.measure.bench.wire.framing import (
    LONGEST_CHUNK_LINE,
    LONGEST_HEAD,
    EndDetector,
    NotHttp,
)
from trt_nemotron.openai.sse import EventStream

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_no_case_goes_wrong():
    tally = run_slice(seed=2, cases=20_000)
    assert tally.cases >= 20_000
    assert tally.wrong == {}, tally.findings[0]


def test_same_seed_gives_the_same_cases_in_any_process():
    tally = fuzz(cases=400, seed=3, processes=1)
    assert (tally.cases, tally.wrong) == (400, {})


def test_wrong_reader_is_found(monkeypatch: pytest.MonkeyPatch):
    class Wrong(EventStream):
        def feed(self, data: bytes) -> list[str]:
            return super().feed(data.replace(b"\r", b""))

    monkeypatch.setattr(fuzz_readers, "EventStream", Wrong)
    tally = run_slice(seed=2, cases=4_000)
    assert any(kind.startswith("events: wrong") for kind in tally.wrong)


def test_crash_is_found_and_can_be_seen_again(monkeypatch: pytest.MonkeyPatch):
    class Crashing(EndDetector):
        def is_ended(self, data: bytes | bytearray, end: int) -> bool:
            raise IndexError("off by one")

    monkeypatch.setattr(fuzz_readers, "EndDetector", Crashing)
    tally = run_slice(seed=2, cases=100)
    assert list(tally.wrong) == ["http: crash"]
    assert "off by one" in tally.findings[0].wrong
    assert tally.findings[0].stream.startswith("b")


def test_hang_is_found(monkeypatch: pytest.MonkeyPatch):
    class Hanging(EndDetector):
        def is_ended(self, data: bytes | bytearray, end: int) -> bool:
            while True:
                pass

    monkeypatch.setattr(fuzz_readers, "EndDetector", Hanging)
    monkeypatch.setattr(fuzz_readers, "HANG_S", 0.01)
    tally = run_slice(seed=2, cases=10)
    assert tally.wrong["http: hang"] == len([f for f in tally.findings if f.wrong == "hang"])


@pytest.mark.parametrize(
    "body",
    [
        b"5\n\r\nhello\r\n0\r\n\r\n",  # white space that is none in HTTP
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",  # a line that ends without CR
        b"0\r\nX: y\n\r\n\r\n",
        b"5;" + b"x" * 1100 + b"\r\nhello\r\n0\r\n\r\n",  # too long also when it comes at once
    ],
)
def test_framing_that_was_taken_once_is_refused(body: bytes):
    data = CHUNKED + body
    assert read_answer(data).verdict == "broken"
    with pytest.raises(NotHttp):
        EndDetector().is_ended(data, len(data))


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (b"Transfer-Encoding: unchunked", "until_close"),
        (b"Transfer-Encoding: gzip\r\nContent-Length: 3", "until_close"),
        (b"Transfer-Encoding: gzip, Chunked", "chunked"),
        (b"Content-Length: 3\r\nContent-Length: 3", "length"),
    ],
)
def test_body_ends_as_the_standard_says(headers: bytes, body: str):
    data = b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n\r\n"
    detector = EndDetector()
    detector.is_ended(data, len(data))
    assert detector.head is not None
    assert detector.head.body == body


@pytest.mark.parametrize("surplus", [0, 1])
@pytest.mark.parametrize("last_reads", [0, 8])
def test_limits_do_not_depend_on_how_bytes_come(surplus: int, last_reads: int):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: "
    head += b"y" * (LONGEST_HEAD - len(head) - 4 + surplus) + b"\r\n\r\n"
    line = b"5;" + b"x" * (LONGEST_CHUNK_LINE - 4 + surplus) + b"\r\n"
    for before, limited, after in ((b"", head, b""), (CHUNKED, line, b"hello\r\n0\r\n\r\n")):
        data = before + limited + after
        assert read_answer(data).verdict == ("broken" if surplus else "whole")
        begin = len(before + limited) - last_reads
        ends = [*range(begin, begin + last_reads), len(data)]
        assert _is_whole(data, ends) is not bool(surplus)


def _is_whole(data: bytes, ends: list[int]) -> bool:
    detector = EndDetector()
    try:
        return [detector.is_ended(data, end) for end in ends][-1]
    except NotHttp:
        return False


def test_two_lengths_are_refused():
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"
    with pytest.raises(NotHttp, match="two lengths"):
        EndDetector().is_ended(data, len(data))


def test_reference_reads_the_examples_of_the_standard():
    assert read_events(b"data: YHOO\ndata: +2\ndata: 10\n\n") == (["YHOO\n+2\n10"], [])
    assert read_events(b": test\n\ndata:test\n\ndata: test\n\n") == (["test", "test"], [])
    assert read_events(b"data\n\ndata\ndata\n\ndata:") == (["", "\n"], [""])
    assert read_answer(CHUNKED + b"3\r\nabc\r\n0\r\n\r\n").body == b"abc"
