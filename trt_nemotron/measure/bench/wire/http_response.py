"""A recorded HTTP response read after the run: status, headers, the body in pieces with times."""

from collections.abc import Sequence
from dataclasses import dataclass

from trt_nemotron.measure.bench.wire.framing import (
    LONGEST_CHUNK_LINE,
    NO_CRLF,
    Head,
    NotHttp,
    check_chunk_line,
    chunk_size,
    read_head,
)


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
    decoder = BodyDecoder(head)
    pieces: list[tuple[int, bytes]] = []
    begin = body_start
    for end, time in zip(ends, times, strict=True):
        if end > begin:
            piece = decoder.feed(received[begin:end])
            begin = end
            if piece:
                pieces.append((time, piece))
    return Response(head, tuple(pieces))


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
