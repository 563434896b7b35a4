"""Times of exchanges from captured packets: when its bytes passed the network, whoever read them.

With these the reader may be as late as it likes: a stamp is the kernel's, and belongs to a segment,
not to a read. What cannot be had for sure is void and says why; no other clock stands in for it.
"""

import time
from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass
from itertools import pairwise

from trt_nemotron.measure.bench.clock import WallClockTrack
from trt_nemotron.measure.bench.wire.exchange import Exchange
from trt_nemotron.measure.bench.wire.packet_ring import RETIRE_MS, Block, PacketRing
from trt_nemotron.measure.bench.wire.segments import Flow, Flows, follow_flows, read_segments
from trt_nemotron.measure.bench.wire.stamps import TOLERANCE_NS, Stamps

_SETTLE_S = 2.4 * RETIRE_MS / 1e3
"""A block that is not full is handed over within two periods of the kernel's timer."""
MOST_WAITING = 250_000
"""Packets of 136 bytes that wait for the end of the loop; of more, the oldest are read."""
_PIECE = 8 << 20
"""Bytes that lie together and are given back together."""


class Capture:
    """Packets of one loop, taken out of the ring while it runs and looked at afterwards.

    Of a long one they are looked at on the way, a microsecond each: in every round as many of the
    oldest as have come.

    Args:
        ring: open, and closed by whoever opened it.
        most_waiting: packets that may wait for the end.
    """

    __slots__ = ("_blocks", "_data", "_flows", "_lost_before", "_most_waiting", "_ring", "_waiting")

    def __init__(self, ring: PacketRing, most_waiting: int = MOST_WAITING) -> None:
        self._ring = ring
        self._most_waiting = most_waiting
        self._blocks: deque[Block] = deque()
        self._data = bytearray()
        self._waiting = 0
        self._flows: Flows = {}
        ring.drain()  # what passed before is none of ours
        self._lost_before = ring.lost

    def drain(self) -> None:
        """Take what there is.

        It lies in few pieces of memory, which the system gets back as soon as they are read.
        """
        for block in self._ring.drain():
            if len(self._data) > _PIECE:
                self._data = bytearray()
            self._blocks.append(Block(self._data, len(self._data) + block.first, block.packets))
            self._data += block.data
            self._waiting += block.packets
        while self._waiting > self._most_waiting:
            oldest = self._blocks.popleft()
            self._waiting -= oldest.packets
            follow_flows(read_segments((oldest,)), self._flows)

    def shows(self, port: int, longest_s: float = _SETTLE_S) -> bool:
        """Whether a connection that was opened from `port` turns up within that time."""
        deadline = time.monotonic() + longest_s
        while port not in follow_flows(read_segments(self._blocks)):
            left_s = deadline - time.monotonic()
            if left_s <= 0.0:
                return False
            self._ring.wait(left_s)
            self.drain()
        return True

    def conclude(self, *, settle_s: float = _SETTLE_S) -> "PacketTimes":
        """Wait for the last packets, then read them all."""
        time.sleep(settle_s)
        self.drain()
        flows = follow_flows(read_segments(self._blocks), self._flows)
        self._blocks, self._data, self._waiting = deque(), bytearray(), 0
        self._flows = {}
        return PacketTimes(flows, self._ring.lost - self._lost_before)


@dataclass(slots=True)
class PacketTimes:
    """When the bytes of every connection were there.

    Attributes:
        lost: packets of this loop, ours or others' with the same server, that the ring missed.
    """

    flows: Flows
    lost: int = 0

    @property
    def repeated(self) -> int:
        """Segments that brought nothing new: sent again, or seen twice."""
        flows = [flow for same_port in self.flows.values() for flow in same_port]
        return sum(flow.sent.repeated + flow.received.repeated for flow in flows)

    def resolve(self, exchange: Exchange, track: WallClockTrack) -> Stamps:
        """The times of an exchange."""
        if track.is_stepped(exchange.sent_ns, exchange.ended_ns):
            return _void(exchange, "the wall clock was stepped meanwhile")
        offset = track.steady_offset(exchange.sent_ns)
        flow = self._flow(exchange, offset)
        if flow is None:
            return _void(exchange, "no packet of its connection was seen")
        sent = bisect_left(flow.sent.ends, exchange.request_end)
        last = exchange.response_begin + len(exchange.received)
        if sent == len(flow.sent.ends) or flow.received.end < last:
            return _void(exchange, "some of its packets were not seen")
        return _within(exchange, flow, flow.sent.times[sent] - offset, offset)

    def _flow(self, exchange: Exchange, offset: int) -> Flow | None:
        """The connection: a port may have been used again, so it is the last one opened before."""
        latest = exchange.sent_ns + TOLERANCE_NS
        for flow in reversed(self.flows.get(exchange.port, [])):
            if flow.opened_wall_ns - offset <= latest:
                return flow
        return None


def _within(exchange: Exchange, flow: Flow, sent_ns: int, offset: int) -> Stamps:
    begin, size = exchange.response_begin, len(exchange.received)
    arrivals = flow.received
    first = bisect_right(arrivals.ends, begin)
    last = bisect_left(arrivals.ends, begin + size) + 1 if size else first
    # Only the last one may bring more than this response; a tuple of a list is made faster.
    whole = [end - begin for end in arrivals.ends[first:last]]
    ends = (*whole[:-1], *(min(end, size) for end in whole[-1:]))
    times = tuple([wall - offset for wall in arrivals.times[first:last]])
    finished = times[-1] if times and exchange.ending == "complete" else exchange.ended_ns
    # Arrivals never fall, so that what lies between the first and the last is in order.
    in_order = (exchange.sent_ns, sent_ns, *times[:1], *times[-1:], exchange.ended_ns)
    if any(late < early - TOLERANCE_NS for early, late in pairwise(in_order)):
        return _void(exchange, "its packets' times contradict our own clock")
    return Stamps(times, "packet_ring", 0, _lags(exchange, ends, times), ends, sent_ns, finished)


def _lags(exchange: Exchange, ends: tuple[int, ...], times: tuple[int, ...]) -> tuple[int, ...]:
    """How long after the last byte of each read was there it was read."""
    places = (bisect_left(ends, read.end) for read in exchange.reads)
    return tuple(
        max(0, read.user_ns - times[place])
        for read, place in zip(exchange.reads, places, strict=True)
        if place < len(times)
    )


def _void(exchange: Exchange, reason: str) -> Stamps:
    """Our own times stand in the record, for whoever looks; they give no figure."""
    return Stamps(
        tuple(read.user_ns for read in exchange.reads),
        "user_read",
        0,
        (),
        tuple(read.end for read in exchange.reads),
        exchange.sent_ns,
        exchange.ended_ns,
        void=reason,
    )
