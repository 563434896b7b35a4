"""When each read's bytes were there: the kernel's stamp where it gave one, else our own.

Linux stamps a TCP segment as it comes off the network and hands the stamp of the last segment of a
read to whoever asked with SO_TIMESTAMPNS (https://docs.kernel.org/networking/timestamping.html). It
does not depend on when this process got to run.
"""

import socket
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from trt_nemotron.measure.bench.client_health import ClockSource
from trt_nemotron.measure.bench.clock import WallClockTrack
from trt_nemotron.measure.bench.figures.percentiles import interpolate
from trt_nemotron.measure.bench.wire.exchange import Exchange, Read

SO_TIMESTAMPNS = 35  # asm-generic/socket.h; Python's socket module does not name it
_TIMESPEC = struct.Struct("@ll")
ANCILLARY_SIZE = socket.CMSG_SPACE(_TIMESPEC.size) if hasattr(socket, "CMSG_SPACE") else 0
TOLERANCE_NS = 100_000
"""By which a kernel stamp may seem later than the read, or earlier than the sending: the error of
sampling two clocks."""


@dataclass(frozen=True, slots=True)
class Stamps:
    """Times of the reads of one exchange.

    Attributes:
        times: one a read, monotonic clock, never falling.
        source: one for the whole exchange, so that differences never mix two clocks.
        unstamped: reads without a usable kernel stamp although the kernel was asked.
        lags: user time minus kernel time of every read, where the kernel's are used.
        ends: bytes of the response that were there at each of the times.
        sent_ns: when the request's last byte left.
        finished_ns: when the response's last byte was there, or its end was seen.
        void: why these times give no figure; empty when they do.
    """

    times: tuple[int, ...]
    source: ClockSource
    unstamped: int
    lags: tuple[int, ...]
    ends: tuple[int, ...]
    sent_ns: int
    finished_ns: int
    void: str = ""


def ask_for_kernel_stamps(connection: socket.socket) -> bool:
    """Ask the kernel to stamp what this socket receives; false where it cannot."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


def resolve_stamps(
    exchange: Exchange, track: WallClockTrack, *, are_kernel_stamps_asked: bool
) -> Stamps:
    """The times of an exchange's reads by the best clock that is sound for all of them."""
    user = tuple(read.user_ns for read in exchange.reads)
    if not are_kernel_stamps_asked or not user:
        return _of_reads(exchange, user, "user_read")
    if track.is_stepped(exchange.sent_ns, exchange.ended_ns):
        return _of_reads(exchange, user, "user_read")
    kernel, unstamped = _kernel_times(exchange, track)
    if unstamped:
        return _of_reads(exchange, user, "user_read", unstamped=unstamped)
    lags = tuple(max(0, late - early) for late, early in zip(user, kernel, strict=True))
    return _of_reads(exchange, kernel, "kernel_receive", lags=lags)


def _of_reads(
    exchange: Exchange,
    times: tuple[int, ...],
    source: ClockSource,
    *,
    unstamped: int = 0,
    lags: tuple[int, ...] = (),
) -> Stamps:
    ends = tuple(read.end for read in exchange.reads)
    return Stamps(times, source, unstamped, lags, ends, exchange.sent_ns, exchange.ended_ns)


def _kernel_times(exchange: Exchange, track: WallClockTrack) -> tuple[tuple[int, ...], int]:
    times: list[int] = []
    unstamped = 0
    earliest = exchange.sent_ns
    for read in exchange.reads:
        wall_ns = _wall_ns(read)
        stamp = 0 if wall_ns is None else track.to_monotonic(wall_ns, read.user_ns)
        if not earliest - TOLERANCE_NS <= stamp <= read.user_ns + TOLERANCE_NS:
            unstamped += 1
            stamp = read.user_ns
        earliest = min(max(stamp, earliest), read.user_ns)
        times.append(earliest)
    return tuple(times), unstamped


def _wall_ns(read: Read) -> int | None:
    for level, kind, data in read.ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return None


def percentile_ms(values_ns: Sequence[int], quantile: float) -> float:
    """A percentile of nanoseconds in milliseconds; -1 of nothing.

    For the client's health only: it is given for any number of samples.
    """
    if not values_ns:
        return -1.0
    return interpolate(sorted(values_ns), quantile) / 1e6
