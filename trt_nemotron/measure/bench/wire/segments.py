"""The TCP segments in captured blocks, and what of a stream was there at which time.

A byte of a stream is there once every byte before it is. So of each segment only what continues the
stream counts; one that comes twice adds nothing, and one that comes early waits for the gap to
close. Sequence numbers wrap at 2^32 and are counted on from the connection's first one.
"""

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from trt_nemotron.measure.bench.wire.packet_ring import Block

_HOST = struct.Struct("=6I2H")  # struct tpacket3_hdr up to tp_net
_TCP = struct.Struct(">HHIIBB")
_IPV4_LENGTH, _IPV6_LENGTH = struct.Struct(">H"), struct.Struct(">H")
_PLAIN_FIELDS, _PLAIN_HEADERS = "xxH16xHHIIBB", 34
_IPV4_TCP = struct.Struct(">" + _PLAIN_FIELDS)
_PLAIN_IPV4 = 0x45
"""First byte of an IPv4 header without options."""
_PACKET_TYPE_AT = 48 + 10  # struct tpacket3_hdr is followed by struct sockaddr_ll
_OUTGOING = 4
_NET_AT = 26
_IPV6_HEADER = 40
_SYN = 0x02
_WRAP = 1 << 32


class Segment(NamedTuple):
    """One TCP segment with data, or a SYN-ACK.

    Attributes:
        wall_ns: the kernel's stamp.
        is_sent: to the server, else from it.
        port: the client's.
        size: bytes of data.
    """

    wall_ns: int
    is_sent: bool
    port: int
    sequence: int
    acknowledged: int
    size: int
    is_syn: bool


def read_segments(blocks: Iterable[Block]) -> Iterator[Segment]:
    """Every segment in `blocks`, in the order in which they passed the interface."""
    for block in blocks:
        data, at = block.data, block.first
        alike = _read_alike(block)
        yield from alike
        for _ in range(block.packets - len(alike)):
            step, seconds, nanoseconds, _, length, _, _, net = _HOST.unpack_from(data, at)
            is_sent = data[at + _PACKET_TYPE_AT] == _OUTGOING
            wall_ns = seconds * 1_000_000_000 + nanoseconds
            yield (
                _read_plain(data, at + net, wall_ns, length, is_sent=is_sent)
                if data[at + net] == _PLAIN_IPV4
                else _read_ip(data, at + net, wall_ns, length, is_sent=is_sent)
            )
            at += step


def _read_alike(block: Block) -> list[Segment]:
    """The segments of a block whose packets all have the form that nearly every packet has.

    At one go, in half the time; nothing for any other block.
    """
    step, _, _, _, _, _, _, net = _HOST.unpack_from(block.data, block.first)
    area = block.data[block.first : block.first + block.packets * step]
    if len(area) < block.packets * step or not _are_alike(area, step, net):
        return []
    host, headers = _alike(step, net)
    return [
        tuple.__new__(
            Segment,
            (
                seconds * 1_000_000_000 + nanoseconds,
                kind == _OUTGOING,
                source if kind == _OUTGOING else target,
                sequence,
                acknowledged,
                (size or length) - 20 - (offset >> 4) * 4,
                flags & _SYN != 0,
            ),
        )
        for (seconds, nanoseconds, length, kind), (
            size,
            source,
            target,
            sequence,
            acknowledged,
            offset,
            flags,
        ) in zip(host.iter_unpack(area), headers.iter_unpack(area), strict=True)
    ]


def _are_alike(area: bytes | bytearray, step: int, net: int) -> bool:
    """Whether every packet in `area` takes `step` bytes (the last one does not say so) and is plain
    IPv4 from `net` on.
    """
    if not _PACKET_TYPE_AT < net <= step - _PLAIN_HEADERS:
        return False
    steps, nets = step.to_bytes(4, sys.byteorder), net.to_bytes(2, sys.byteorder)
    return (
        all(set(area[place:-step:step]) <= {byte} for place, byte in enumerate(steps))
        and all(set(area[place::step]) == {byte} for place, byte in enumerate(nets, _NET_AT))
        and set(area[net::step]) == {_PLAIN_IPV4}
    )


@cache
def _alike(step: int, net: int) -> tuple[struct.Struct, struct.Struct]:
    """What the host and what the network wrote into a packet of `step` bytes, IP from `net` on."""
    return (
        struct.Struct(f"=4xII4xI{_PACKET_TYPE_AT - 20}xB{step - _PACKET_TYPE_AT - 1}x"),
        struct.Struct(f">{net}x{_PLAIN_FIELDS}{step - net - _PLAIN_HEADERS}x"),
    )


def _read_plain(
    data: bytes | bytearray, at: int, wall_ns: int, length: int, *, is_sent: bool
) -> Segment:
    """As `_read_ip`, for the form that nearly every packet has: both headers at one go."""
    size, source, target, sequence, acknowledged, offset, flags = _IPV4_TCP.unpack_from(data, at)
    return Segment(
        wall_ns,
        is_sent,
        source if is_sent else target,
        sequence,
        acknowledged,
        (size or length) - 20 - (offset >> 4) * 4,
        flags & _SYN != 0,
    )


def _read_ip(
    data: bytes | bytearray, at: int, wall_ns: int, length: int, *, is_sent: bool
) -> Segment:
    """`length` is the packet's own, for those whose header cannot hold it."""
    first = data[at]
    if first >> 4 == 4:
        header = (first & 0x0F) * 4
        size = _IPV4_LENGTH.unpack_from(data, at + 2)[0] or length
    else:
        header = _IPV6_HEADER
        inner = _IPV6_LENGTH.unpack_from(data, at + 4)[0]
        size = inner + header if inner else length
    source, target, sequence, acknowledged, offset, flags = _TCP.unpack_from(data, at + header)
    return Segment(
        wall_ns,
        is_sent,
        target if not is_sent else source,
        sequence,
        acknowledged,
        size - header - (offset >> 4) * 4,
        bool(flags & _SYN),
    )


class Arrivals:
    """How far one direction of a connection was complete, and when.

    Attributes:
        ends: bytes of the stream, counted from 0, that were there at ...
        times: ... the stamps, one for each; never falling.
        repeated: segments that brought nothing new.
    """

    __slots__ = ("_early", "_end", "_first", "_latest", "_next", "ends", "repeated", "times")

    def __init__(self, first_sequence: int) -> None:
        self._first = self._next = first_sequence
        self._end = self._latest = 0
        self._early: list[tuple[int, int]] = []
        self.ends = array("q")
        self.times = array("q")
        self.repeated = 0

    @property
    def end(self) -> int:
        """Bytes that are complete so far."""
        return self._end

    def add(self, sequence: int, size: int, wall_ns: int) -> None:
        """Take a segment."""
        if sequence == self._next and size and not self._early:
            self._append(self._end + size, wall_ns)
            return
        end = self._end
        # Half the number space ahead is ahead, the other half is behind.
        ahead = (sequence - self._next) % _WRAP
        begin = end + ahead if ahead < _WRAP // 2 else end + ahead - _WRAP
        if begin + size <= end:
            self.repeated += 1
        elif begin > end:
            self._early.append((begin, begin + size))
        else:
            self._advance(begin + size, wall_ns)

    def _advance(self, end: int, wall_ns: int) -> None:
        """Up to `end`, and over what had come early: it is there only now."""
        if self._early:
            for begin, early_end in sorted(self._early):
                if begin <= end:
                    end = max(end, early_end)
            self._early = [part for part in self._early if part[1] > end]
        self._append(end, wall_ns)

    def _append(self, end: int, wall_ns: int) -> None:
        self._end = end
        self._next = (self._first + end) % _WRAP
        self._latest = max(self._latest, wall_ns)
        self.ends.append(end)
        self.times.append(self._latest)


class Flow:
    """Both directions of one connection, from its SYN-ACK on."""

    __slots__ = ("opened_wall_ns", "received", "sent")

    def __init__(self, answer: Segment) -> None:
        self.opened_wall_ns = answer.wall_ns
        self.sent = Arrivals(answer.acknowledged)
        self.received = Arrivals((answer.sequence + 1) % _WRAP)

    def is_begun_by(self, answer: Segment) -> bool:
        """Whether this SYN-ACK is the one that began it, sent again."""
        return (answer.sequence + 1) % _WRAP == self.received._first  # noqa: SLF001 - same noun


Flows = dict[int, list[Flow]]
"""Connections by the client's port, in the order in which they were opened."""


def follow_flows(segments: Iterable[Segment], flows: Flows | None = None) -> Flows:
    """The connections that show in `segments`, which go on from where `flows` ended.

    A segment of a connection whose opening was not seen belongs to none of ours.
    """
    flows = {} if flows is None else flows
    for segment in segments:
        wall_ns, is_sent, port, sequence, _, size, is_syn = segment
        known = flows.get(port)
        if is_syn:
            if known is None or not known[-1].is_begun_by(segment):
                flows.setdefault(port, []).append(Flow(segment))
        elif known is not None:
            flow = known[-1]
            (flow.sent if is_sent else flow.received).add(sequence, size, wall_ns)
    return flows
