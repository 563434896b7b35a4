"""A recorded HTTP response read after the run: status, headers, the body in pieces with times."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from trt_nemotron.measure.bench.wire.framing import (
    LONGEST_CHUNK_LINE,
    NO_CRLF,
    Head,
    NotHttp,
    check_chunk_line,
    chunk_size,
    read_head,
)

_HEX_DIGITS = b"0123456789abcdefABCDEF"


@dataclass(frozen=True, slots=True)
class Response:
    """A response, as far as it came.

    Attributes:
        head: `None` when not even that was whole.
        pieces: (time, bytes) of the body as each read brought them, framing taken away.
    """

    head: Head | None
    pieces: tuple[tuple[int, bytes], ...]

    @property
    def status(self) -> int:
        """The status code; 0 without a head."""
        return self.head.status if self.head else 0

    @property
    def body(self) -> bytes:
        """The body as far as it came."""
        return b"".join(piece for _, piece in self.pieces)

    def header(self, name: str) -> str:
        """Value of a header, empty when it is not there."""
        value = self.head.headers.get(name.lower().encode(), b"") if self.head else b""
        return value.decode("latin-1")


def read_response(received: bytes, ends: Sequence[int], times: Sequence[int]) -> Response:
    """The response in `received`, of which the bytes before `ends[i]` were there at `times[i]`.

    Raises:
        NotHttp: the bytes are no HTTP/1.1 response.
    """
    head, body_start = _read_final_head(received)
    if head is None:
        return Response(None, ())
    pieces = (
        _read_single_chunks(received, body_start, ends, times) if head.body == "chunked" else []
    )
    return Response(head, tuple(pieces or _read_pieces(head, received, body_start, ends, times)))


def _read_single_chunks(
    received: bytes, begin: int, ends: Sequence[int], times: Sequence[int]
) -> list[tuple[int, bytes]]:
    """The pieces of a body of which every read brought one chunk: mostly so, and in half the time.

    Nothing for any other body: one that is cut off or broken, that has trailers or extensions, or a
    CRLF that is none of the framing's. The long way reads those, or says what is wrong with them.
    """
    parts = received[begin:].split(b"\r\n")
    sizes, chunks = parts[:-3:2], parts[1:-3:2]
    if parts[-3:] != [b"0", b"", b""] or b"".join(sizes).strip(_HEX_DIGITS) or b"" in chunks:
        return []
    try:
        if not chunks or list(map(chunk_size, sizes)) != list(map(len, chunks)):
            return []
    except NotHttp:
        return []
    bounds = list(accumulate([len(part) + 2 for part in parts[:-3]], initial=begin))[2::2]
    first = bisect_right(ends, begin)
    last = first + len(chunks) - 1
    # The last one may have brought the end of the body as well.
    if list(ends[first:last]) != bounds[:-1] or last >= len(ends) or ends[last] < bounds[-1]:
        return []
    return list(zip(times[first : last + 1], chunks, strict=True))


def _read_pieces(
    head: Head, received: bytes, begin: int, ends: Sequence[int], times: Sequence[int]
) -> list[tuple[int, bytes]]:
    decoder = BodyDecoder(head)
    pieces: list[tuple[int, bytes]] = []
    for end, time in zip(ends, times, strict=True):
        if end > begin:
            piece = decoder.feed(received[begin:end])
            begin = end
            if piece:
                pieces.append((time, piece))
    return pieces


def _read_final_head(received: bytes) -> tuple[Head | None, int]:
    position = 0
    while True:
        head = read_head(received, position, len(received))
        if head is None:
            return None, position
        position += head.size
        if head.status >= 200 or head.status == 101:
            return head, position


class BodyDecoder:
    """Takes the framing off a body that comes in any pieces; a chunk need not be whole."""

    __slots__ = ("_expected", "_is_chunked", "_left", "_line")

    def __init__(self, head: Head) -> None:
        self._is_chunked = head.body == "chunked"
        self._left = head.length if head.body == "length" else -1
        self._line = b""
        self._expected = "size"

    def feed(self, data: bytes) -> bytes:
        """The body bytes in `data`.

        Raises:
            NotHttp: chunked framing that is broken.
        """
        if self._is_chunked:
            return self._feed_chunked(data)
        if self._left < 0:
            return data
        taken = data[: self._left]
        self._left -= len(taken)
        return taken

    def _feed_chunked(self, data: bytes) -> bytes:
        whole = self._whole_chunk(data)
        if whole:
            return whole
        parts: list[bytes] = []
        position = 0
        while position < len(data) and self._expected != "nothing":
            if self._expected == "data":
                part = data[position : position + self._left]
                parts.append(part)
                position += len(part)
                self._left -= len(part)
                if self._left == 0:
                    self._expected = "data end"
                continue
            line_end = data.find(b"\n", position)
            check_chunk_line(position - len(self._line), line_end, len(data))
            if line_end < 0:
                self._line += data[position:]
                break
            line = self._line + data[position:line_end]
            self._line = b""
            position = line_end + 1
            self._take_line(line)
        return b"".join(parts)

    def _whole_chunk(self, data: bytes) -> bytes:
        """What is in `data` when it is one chunk from its size line to its end: mostly so."""
        if self._expected != "size" or self._line:
            return b""
        begin = data.find(b"\n", 0, LONGEST_CHUNK_LINE) + 1
        if begin < 2 or data[begin - 2] != 0x0D or not data.endswith(b"\r\n"):
            return b""
        is_whole = len(data) == begin + chunk_size(data[: begin - 2]) + 2
        return data[begin:-2] if is_whole else b""

    def _take_line(self, line: bytes) -> None:
        if not line.endswith(b"\r"):
            raise NotHttp(NO_CRLF)
        text = line[:-1]
        if self._expected == "data end":
            if text:
                raise NotHttp("a chunk's data does not end where its size says")
            self._expected = "size"
        elif self._expected == "trailer":
            self._expected = "trailer" if text else "nothing"
        else:
            self._left = chunk_size(text)
            self._expected = "data" if self._left else "trailer"
