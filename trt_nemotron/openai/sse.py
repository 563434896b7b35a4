"""Server-sent events: from the bytes of a stream, in whatever pieces they come, to event data.

Follows the event stream grammar of the HTML standard, section 9.2.6
(https://html.spec.whatwg.org/multipage/server-sent-events.html): a line ends in CRLF, LF or CR, a
blank line ends an event, several `data` lines of one event are joined with LF, a line that starts
with a colon is a comment, one byte order mark at the start is dropped. Only `data` is kept: the
OpenAI protocol uses no other field.
"""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINE_ENDS = (b"\n", b"\r")
_BEGIN, _END = b"data: ", b"\n\n"
BESIDES = len(_BEGIN) + len(_END)
"""Bytes of an event of one line besides its data."""


def split_plain(body: bytes) -> list[bytes] | None:
    """The data of every event of a body that is nothing but whole events of one `data: ` line each.

    Nearly every body is. It is split at one go, in a tenth of the time; `None` for any other, which
    an `EventStream` has to read.
    """
    if b"\r" in body or not (body.startswith(_BEGIN) and body.endswith(_END)):
        return None
    data = body[len(_BEGIN) : -len(_END)].split(_END + _BEGIN)
    return data if body.count(b"\n") == 2 * len(data) else None


class EventStream:
    """Collects bytes and gives back the data of every event they complete.

    Works on bytes up to the end of a line, so a character or a line end may be split between two
    pieces anywhere. Bytes that are not UTF-8 become U+FFFD, as the standard demands.
    """

    __slots__ = ("_data", "_is_first_line", "_line_parts", "_skips_line_feed")

    def __init__(self) -> None:
        self._line_parts: list[bytes] = []
        self._data: list[bytes] = []
        self._is_first_line = True
        self._skips_line_feed = False

    def feed(self, data: bytes) -> list[str]:
        """Data of the events that these bytes complete, in order; mostly none or one."""
        if not data:
            return []
        if self._skips_line_feed and data[:1] == b"\n":
            data = data[1:]  # second half of a CRLF whose CR ended the last piece
        self._skips_line_feed = False
        if self._is_one_event(data):
            self._is_first_line = False
            return [data[6:-2].decode("utf-8", "replace")]
        lines = data.splitlines(keepends=True)
        if not lines:
            return []
        rest = b"" if lines[-1].endswith(_LINE_ENDS) else lines.pop()
        events: list[str] = []
        for line in lines:
            self._take_line(line, events)
        if rest:
            self._line_parts.append(rest)
        self._skips_line_feed = data.endswith(b"\r")
        return events

    def finish(self) -> list[str]:
        """Data of the event that the end of the stream has cut off: nothing, or one string.

        The standard drops such an event. It is handed out so that the caller can say what was
        lost; it must not be counted as received.
        """
        lines, self._data = self._data, []
        if self._line_parts:
            _append_data(self._join_line(b""), lines)
        return [_join_data(lines)] if lines else []

    def _is_one_event(self, data: bytes) -> bool:
        """Whether nothing is left over and these bytes are a whole event of one line: mostly so."""
        return (
            data.startswith(b"data: ")
            and data.endswith(b"\n\n")
            and data.find(b"\n") == len(data) - 2
            and b"\r" not in data
            and not self._data
            and not self._line_parts
        )

    def _take_line(self, ended: bytes, events: list[str]) -> None:
        line = self._join_line(ended).rstrip(b"\r\n")
        if line:
            _append_data(line, self._data)
        elif self._data:
            events.append(_join_data(self._data))
            self._data = []

    def _join_line(self, end: bytes) -> bytes:
        line = b"".join((*self._line_parts, end)) if self._line_parts else end
        self._line_parts = []
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        return line


def _append_data(line: bytes, lines: list[bytes]) -> None:
    """Keep the value of a `data` line; every other field and comment is dropped."""
    if line.startswith(b"data: "):
        lines.append(line[6:])
    elif line.startswith(b"data:"):
        lines.append(line[5:])
    elif line == b"data":
        lines.append(b"")


def _join_data(lines: list[bytes]) -> str:
    return b"\n".join(lines).decode("utf-8", "replace")
