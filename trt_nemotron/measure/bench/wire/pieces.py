"""How much to read at once, so that a late reader still gets a stamp for each event.

A read has one stamp, that of the last segment it touched. Whoever comes late and takes all there is
gets one stamp for several events. So when more waits than one event usually has, it is looked at
first (`MSG_PEEK`) and then taken event by event: segments end where events end, for a server sends
an event when it has one. What the kernel has joined in its queue meanwhile keeps one stamp, that of
the last; on Linux's loopback interface that is about one event in ten of those that wait.
"""

import re
import socket
import sys

if sys.platform == "linux":
    from fcntl import ioctl
    from termios import FIONREAD
else:
    # Only Linux stamps reads; see `stamps.ask_for_kernel_stamps`.
    FIONREAD = 0

    def ioctl(connection: socket.socket, request: int, answer: bytearray) -> int:
        """Never called: nothing is stamped there."""
        raise OSError("no FIONREAD on this system")


_EVENT_END = re.compile(rb"(?:\r\n\r\n|\n\n)(?:\r\n)?")
"""A blank line, with the end of the HTTP chunk around it. At the end of a head it does no harm."""
_LARGEST_LOOK = 32 * 1024


class Pieces:
    """Sizes of the reads of one connection; plain sockets only, for TLS hides what waits."""

    __slots__ = ("_answer", "_planned", "_usual")

    def __init__(self) -> None:
        self._answer = bytearray(4)
        self._planned: list[int] = []
        self._usual = 0

    def next_size(self, connection: socket.socket) -> int:
        """Bytes to ask for now; at least 1, so that an end can be seen.

        Raises:
            OSError: the connection is broken.
        """
        if self._planned:
            return self._planned.pop()
        ioctl(connection, FIONREAD, self._answer)
        waiting = int.from_bytes(self._answer, sys.byteorder)
        if waiting > self._usual + self._usual // 2:
            self._planned = cut_at_events(connection.recv(_LARGEST_LOOK, socket.MSG_PEEK))
            if self._planned:
                self._usual = self._planned[-1]
                return self._planned.pop()
        self._usual = waiting
        return waiting or 1


def cut_at_events(data: bytes) -> list[int]:
    """Sizes of the pieces that end where an event does, and of the rest; the first one last."""
    ends = [match.end() for match in _EVENT_END.finditer(data)]
    if not ends or ends[-1] != len(data):
        ends.append(len(data))
    sizes = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    return [size for size in reversed(sizes) if size]
