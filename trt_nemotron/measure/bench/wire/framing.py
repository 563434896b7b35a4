"""Where an HTTP/1.1 response ends, found while it is being received and at little cost.

This is the one thing that must be known of the bytes while the clock runs. Everything else is read
from the recording afterwards, see `http_response`.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

BodyKind = Literal["chunked", "length", "until_close"]

LONGEST_HEAD = 64 * 1024
LONGEST_CHUNK_LINE = 1024
NO_CRLF = "a line of the chunked framing does not end in CRLF"
_BODILESS = frozenset({204, 304})


class NotHttp(Exception):
    """The bytes are no HTTP/1.1 response; the message says what is wrong with them."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a response.

    Attributes:
        size: bytes up to and including the blank line.
        length: of the body, for body kind `length`.
        is_reusable: whether the connection stays open for another request.
    """

    size: int
    status: int
    headers: dict[bytes, bytes]
    body: BodyKind
    length: int
    is_reusable: bool


def read_head(data: bytes | bytearray, start: int, end: int) -> Head | None:
    """The head that begins at `start`; `None` while its blank line is not there.

    Raises:
        NotHttp: the bytes cannot become a head of HTTP/1.x.
    """
    blank = data.find(b"\r\n\r\n", start, end)
    if blank < 0:
        prefix = bytes(data[start : min(end, start + 7)])
        if not b"HTTP/1.".startswith(prefix):
            raise NotHttp(f"the answer begins with {prefix!r}")
        if end - start >= LONGEST_HEAD:
            raise NotHttp(f"a head of more than {LONGEST_HEAD} bytes")
        return None
    if blank + 4 - start > LONGEST_HEAD:
        raise NotHttp(f"a head of more than {LONGEST_HEAD} bytes")
    return _parse_head(bytes(data[start:blank]), blank + 4 - start)


def _parse_head(text: bytes, size: int) -> Head:
    status_line, *lines = text.split(b"\r\n")
    version, _, rest = status_line.partition(b" ")
    code = rest[:3]
    if version not in {b"HTTP/1.1", b"HTTP/1.0"} or not code.isdigit() or len(code) != 3:
        raise NotHttp(f"status line {status_line[:80]!r}")
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon:
            raise NotHttp(f"header line {line[:80]!r}")
        key, value = name.strip().lower(), value.strip()
        if key == b"content-length" and headers.get(key, value) != value:
            raise NotHttp(f"two lengths: {headers[key][:40]!r} and {value[:40]!r}")
        headers[key] = value
    status = int(code)
    body, length = _body_kind(headers, status)
    connection = headers.get(b"connection", b"").lower()
    stays = b"keep-alive" in connection if version == b"HTTP/1.0" else b"close" not in connection
    return Head(size, status, headers, body, length, stays and body != "until_close")


def _body_kind(headers: dict[bytes, bytes], status: int) -> tuple[BodyKind, int]:
    if status in _BODILESS or status < 200:
        return "length", 0
    coding = headers.get(b"transfer-encoding")
    if coding is not None:  # it overrules a length; RFC 9112, 6.3
        is_chunked = coding.lower().rpartition(b",")[2].strip() == b"chunked"
        return ("chunked" if is_chunked else "until_close"), 0
    length = headers.get(b"content-length")
    if length is None:
        return "until_close", 0
    if not length.isdigit() or len(length) > 18:
        raise NotHttp(f"Content-Length {length[:40]!r}")
    return "length", int(length)


class ChunkWalk:
    """Steps over the chunks of a chunked body, from where it left off.

    Attributes:
        position: of the next chunk's size line, or behind the end of the body.
    """

    __slots__ = ("_is_in_trailer", "is_ended", "position")

    def __init__(self, position: int) -> None:
        self.position = position
        self.is_ended = False
        self._is_in_trailer = False

    def advance(self, data: bytes | bytearray, end: int) -> None:
        """Step over every chunk that is complete within `data[:end]`.

        Raises:
            NotHttp: a size line that is none, or data that does not end in CRLF.
        """
        while not self.is_ended:
            position = self.position
            line_feed = data.find(b"\n", position, end)
            if not 0 <= line_feed - position < LONGEST_CHUNK_LINE:
                check_chunk_line(position, line_feed, end)
            if line_feed < 0:
                break
            if data[line_feed - 1] != 0x0D:
                raise NotHttp(NO_CRLF)
            line_end = line_feed - 1
            if self._is_in_trailer:
                self.is_ended = line_end == position
                self.position = line_feed + 1
                continue
            size = chunk_size(bytes(data[position:line_end]))
            if size == 0:
                self._is_in_trailer = True
                self.position = line_end + 2
                continue
            begin = line_end + 2
            if begin + size + 2 > end:
                break
            if data[begin + size : begin + size + 2] != b"\r\n":
                raise NotHttp("a chunk's data does not end where its size says")
            self.position = begin + size + 2


def check_chunk_line(begin: int, line_feed: int, end: int) -> None:
    """Refuse a line of the framing that is too long, alike however it was cut into reads.

    Args:
        begin: where the line begins.
        line_feed: where it ends; -1 while it does not.
        end: of what has come.

    Raises:
        NotHttp: it is, or must become, longer than `LONGEST_CHUNK_LINE` with its end.
    """
    size = line_feed + 1 - begin if line_feed >= 0 else end - begin + 1
    if size > LONGEST_CHUNK_LINE:
        raise NotHttp(f"a line of the chunked framing of more than {LONGEST_CHUNK_LINE} bytes")


@lru_cache(maxsize=4096)
def chunk_size(line: bytes) -> int:
    """The size that a chunk's size line gives; extensions are ignored.

    Events of one stream are nearly alike in length, so few lines are ever read anew.
    """
    digits = line.split(b";", 1)[0].strip(b" \t")
    if not digits or len(digits) > 15 or digits.strip(b"0123456789abcdefABCDEF"):
        raise NotHttp(f"chunk size {line[:40]!r}")
    return int(digits, 16)


class EndDetector:
    """Tells after each read whether the response has ended.

    Attributes:
        head: of the final (not 1xx) response, once it is there.
    """

    __slots__ = ("_body_start", "_walk", "head")

    def __init__(self) -> None:
        self.head: Head | None = None
        self._body_start = 0
        self._walk: ChunkWalk | None = None

    def may_be_ended(self, data: bytes | bytearray, end: int) -> bool:
        """Whether `is_ended` is worth asking: cheap, and never false for a whole response."""
        if self._walk is not None:
            return data.endswith(b"\r\n\r\n", 0, end)
        return True

    def is_ended(self, data: bytes | bytearray, end: int) -> bool:
        """Whether `data[:end]` is a whole response; never true for a body that ends by closing.

        Raises:
            NotHttp: the bytes are no HTTP/1.1 response.
        """
        if self.head is None and not self._take_head(data, end):
            return False
        if self._walk is not None:
            self._walk.advance(data, end)
            return self._walk.is_ended
        head = self.head
        return head is not None and head.body == "length" and end - self._body_start >= head.length

    def _take_head(self, data: bytes | bytearray, end: int) -> bool:
        while True:
            head = read_head(data, self._body_start, end)
            if head is None:
                return False
            self._body_start += head.size
            if head.status >= 200 or head.status == 101:
                break
        self.head = head
        if head.body == "chunked":
            self._walk = ChunkWalk(self._body_start)
        return True
