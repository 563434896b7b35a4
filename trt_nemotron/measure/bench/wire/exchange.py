"""One recorded request and response: bytes and stamps as they came, nothing interpreted."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Ending = Literal["complete", "closed", "reset", "timeout", "not_connected", "not_http"]
AncillaryData = list[tuple[int, int, bytes]]


class Read(NamedTuple):
    """One read: the bytes up to `end` were there.

    Attributes:
        user_ns: monotonic clock after the read returned.
        ancillary: what the kernel said about it, not yet looked at.
    """

    end: int
    user_ns: int
    ancillary: AncillaryData


@dataclass(frozen=True, slots=True)
class Exchange:
    """What went over the wire for one request. Times by the monotonic clock.

    Attributes:
        connect_ns: how long opening the connection took; 0 when an open one was used.
        sent_ns: before the call that handed over the last byte of the request; when it was never
            sent, the time at which that was given up.
        send_call_ns: how long that call took.
        ended_ns: when the end was seen.
        ending: how the response ended; `complete` is a whole HTTP response.
        fault: what went wrong, in words.
        port: of our end of the connection.
        request_end: bytes sent over this connection up to the request's last one.
        previous: index of the exchange after which this one could begin; -1 for none.
        response_begin: bytes received over it before the response's first one.
    """

    index: int
    connect_ns: int
    sent_ns: int
    send_call_ns: int
    ended_ns: int
    received: bytes
    reads: tuple[Read, ...]
    ending: Ending
    fault: str = ""
    port: int = 0
    request_end: int = 0
    response_begin: int = 0
    previous: int = -1
