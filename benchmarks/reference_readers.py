"""Readers of event streams and HTTP answers so simple that they can be seen to be right.

One byte or character after the other, over the whole input at once. They share no code with
`trt_nemotron` and are what its readers, which take input in pieces and must be fast, are compared
with: `fuzz_readers.py`.
"""

from dataclasses import dataclass
from typing import Literal

HEAD_LIMIT = 64 * 1024
LINE_LIMIT = 1024
HEX = set(b"0123456789abcdefABCDEF")


def read_events(stream: bytes) -> tuple[list[str], list[str]]:
    """Data of every event of a stream; and the event that its end has cut off, if any.

    The HTML standard, 9.2.6: the bytes become text first, then lines, then events.
    https://html.spec.whatwg.org/multipage/server-sent-events.html
    """
    text = stream.decode("utf-8", "replace")
    place = 1 if text.startswith("\ufeff") else 0
    events: list[str] = []
    data: list[str] = []
    line = ""
    while place < len(text):
        letter = text[place]
        place += 1
        if letter not in "\r\n":
            line += letter
            continue
        if letter == "\r" and text[place : place + 1] == "\n":
            place += 1
        if line:
            data += _data_of(line)
        elif data:
            events.append("\n".join(data))
            data = []
        line = ""
    data += _data_of(line)
    return events, ["\n".join(data)] if data else []


def _data_of(line: str) -> list[str]:
    name, _, value = line.partition(":")
    return [value.removeprefix(" ")] if name == "data" else []


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of an HTTP answer from the bytes that are there.

    Attributes:
        verdict: `whole`; `open`, when more must come or only closing ends it; `broken`, when
            nothing that comes could make it HTTP.
        end: bytes up to its end; 0 unless `whole`.
        body: as far as it came, framing taken away.
    """

    verdict: Literal["whole", "open", "broken"]
    end: int = 0
    body: bytes = b""


def read_answer(data: bytes) -> Answer:
    """The HTTP/1.1 answer that `data` begins with (RFC 9112, 2 to 7), interim ones left out."""
    place = 0
    while True:
        lines, begin, is_broken = _head_lines(data, place)
        if is_broken:
            return Answer("broken")
        if lines is None:
            return Answer("open")
        headers = _headers(lines[1:])
        status = _status(lines[0])
        if headers is None or status is None:
            return Answer("broken")
        if status >= 200 or status == 101:
            return _read_body(data, begin, status, headers)
        place = begin


def _head_lines(data: bytes, place: int) -> tuple[list[bytes] | None, int, bool]:
    """Lines of a head, where its body begins, and whether this can be no head."""
    for number, byte in enumerate(data[place : place + 7]):
        if byte != b"HTTP/1."[number]:
            return None, 0, True
    lines: list[bytes] = []
    line = bytearray()
    for size, byte in enumerate(data[place:], 1):
        if size > HEAD_LIMIT:
            return None, 0, True
        line.append(byte)
        if not line.endswith(b"\r\n"):
            continue
        if line == b"\r\n":
            return lines, place + size, False
        lines.append(bytes(line[:-2]))
        line.clear()
    return None, 0, len(data) - place >= HEAD_LIMIT


def _status(line: bytes) -> int | None:
    if line[:9] not in {b"HTTP/1.1 ", b"HTTP/1.0 "}:
        return None
    digits = line[9:12]
    is_number = len(digits) == 3 and all(byte in b"0123456789" for byte in digits)
    return int(digits) if is_number else None


def _headers(lines: list[bytes]) -> list[tuple[bytes, bytes]] | None:
    if any(b":" not in line for line in lines):
        return None
    pairs = [line.split(b":", 1) for line in lines]
    headers = [(name.strip().lower(), value.strip()) for name, value in pairs]
    lengths = {value for name, value in headers if name == b"content-length"}
    return headers if len(lengths) < 2 else None


def _read_body(data: bytes, begin: int, status: int, headers: list[tuple[bytes, bytes]]) -> Answer:
    if status in {101, 204, 304}:
        return Answer("whole", begin)
    codings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
    if codings and codings[-1].split(b",")[-1].strip() == b"chunked":
        return _read_chunks(data, begin)
    lengths = [value for name, value in headers if name == b"content-length"]
    if codings or not lengths:
        return Answer("open", 0, data[begin:])
    text = lengths[0]
    if not text or len(text) > 18 or any(byte not in b"0123456789" for byte in text):
        return Answer("broken")
    end = begin + int(text)
    if len(data) < end:
        return Answer("open", 0, data[begin:])
    return Answer("whole", end, data[begin:end])


def _read_chunks(data: bytes, place: int) -> Answer:  # noqa: C901, PLR0911 - step by step
    body = b""
    while True:
        line, place, is_broken = _chunk_line(data, place)
        if is_broken:
            return Answer("broken", 0, body)
        if line is None:
            return Answer("open", 0, body)
        size = _size(line)
        if size is None:
            return Answer("broken", 0, body)
        if size == 0:
            break
        body += data[place : place + size]
        place += size
        if len(data) < place + 2:
            return Answer("open", 0, body)
        if data[place : place + 2] != b"\r\n":
            return Answer("broken", 0, body)
        place += 2
    while True:
        line, place, is_broken = _chunk_line(data, place)
        if line is None:
            return Answer("broken" if is_broken else "open", 0, body)
        if not line:
            return Answer("whole", place, body)


def _chunk_line(data: bytes, place: int) -> tuple[bytes | None, int, bool]:
    """A line of the chunked framing, where the next one begins, and whether it can be none."""
    line = bytearray()
    while place < len(data):
        line.append(data[place])
        place += 1
        if len(line) > LINE_LIMIT:
            return None, 0, True
        if line.endswith(b"\n"):
            return (bytes(line[:-2]), place, False) if line.endswith(b"\r\n") else (None, 0, True)
    return None, 0, len(line) >= LINE_LIMIT


def _size(line: bytes) -> int | None:
    digits = line.split(b";")[0].strip(b" \t")
    is_number = 0 < len(digits) <= 15 and all(byte in HEX for byte in digits)
    return int(digits, 16) if is_number else None
