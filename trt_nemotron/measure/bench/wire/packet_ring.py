"""A ring of packets that the kernel fills with headers and times, and we empty now and then.

TPACKET_V3 of packet(7), see https://docs.kernel.org/networking/packet_mmap.html. The kernel writes
into blocks of memory that both sides see and hands a block over when it is full or old enough.
Emptying copies whole blocks; nothing is looked at before the run is over (`segments`). What came
while every block was full is lost, and the kernel counts it.
"""

import mmap
import select
import socket
import struct
from dataclasses import dataclass

from trt_nemotron.measure.bench.wire.packet_filter import attach_filter, packet_filter

SOL_PACKET = 263
_PACKET_RX_RING, _PACKET_STATISTICS, _PACKET_VERSION = 5, 6, 10
_TPACKET_V3 = 2
_ETH_P_ALL = 3
_SO_TIMESTAMPNS = 35
_REQUEST = struct.Struct("=7I")  # struct tpacket_req3
_STATISTICS = struct.Struct("=3I")  # struct tpacket_stats_v3
_BLOCK_HEAD = struct.Struct("=4I")  # status, packets, first packet, length
_BLOCK_HEAD_AT = 8
_FOR_US = 1  # TP_STATUS_USER
_FRAME_SIZE = 2048

BLOCK_SIZE = 64 * 1024
FEWEST_BLOCKS = 64
RETIRE_MS = 25
"""Age at which a block that is not full is handed over, where nobody waits for it."""
BYTES_A_PACKET = 144


@dataclass(frozen=True, slots=True)
class Block:
    """Packets as the kernel left them.

    Attributes:
        first: where in `data` the first packet begins.
    """

    data: bytes | bytearray
    first: int
    packets: int


class PacketRing:
    """An open ring; `Block`s come out in the order in which the packets passed.

    Args:
        interface: to listen at.
        family, port: IPv4 or IPv6, and the server's port; see `packet_filter`.
        blocks: of `BLOCK_SIZE` bytes each.
        retire_ms: age at which a block that is not full is handed over.

    Attributes:
        lost: packets for which there was no room.

    Raises:
        OSError: not Linux, not allowed (CAP_NET_RAW), no such interface, no memory.
    """

    __slots__ = ("_blocks", "_memory", "_next", "_socket", "lost")

    def __init__(
        self,
        interface: str,
        family: int,
        port: int,
        blocks: int = FEWEST_BLOCKS,
        retire_ms: int = RETIRE_MS,
    ) -> None:
        if not hasattr(socket, "AF_PACKET"):
            raise OSError("this system has no packet sockets")
        self.lost = 0
        self._next = 0
        self._blocks = blocks
        # Protocol 0 takes nothing until the filter is in place and `bind` names one.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        try:
            self._memory = self._prepare(family, port, retire_ms)
            self._socket.bind((interface, _ETH_P_ALL))
        except OSError:
            self._socket.close()
            raise

    def _prepare(self, family: int, port: int, retire_ms: int) -> mmap.mmap:
        attach_filter(self._socket, packet_filter(family, port))
        # Without it the kernel stamps a packet when it copies it, not when it came.
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(SOL_PACKET, _PACKET_VERSION, struct.pack("=i", _TPACKET_V3))
        frames = self._blocks * (BLOCK_SIZE // _FRAME_SIZE)
        self._socket.setsockopt(
            SOL_PACKET,
            _PACKET_RX_RING,
            _REQUEST.pack(BLOCK_SIZE, self._blocks, _FRAME_SIZE, frames, retire_ms, 0, 0),
        )
        return mmap.mmap(
            self._socket.fileno(),
            BLOCK_SIZE * self._blocks,
            mmap.MAP_SHARED,
            mmap.PROT_READ | mmap.PROT_WRITE,
        )

    def drain(self) -> list[Block]:
        """Every block that the kernel has handed over, copied; the kernel gets them back."""
        ready = 0
        while ready < self._blocks and self._status(ready) & _FOR_US:
            ready += 1
        # A system call between the look at the status and the copy: on processors that reorder
        # reads, the copy must not be older than the status.
        self._count_lost()
        return [self._take() for _ in range(ready)]

    def wait(self, longest_s: float) -> None:
        """Wait until the kernel hands over a block, or for that long."""
        handed_over = select.poll()
        handed_over.register(self._socket, select.POLLIN)
        handed_over.poll(longest_s * 1e3)

    def _status(self, ahead: int) -> int:
        at = (self._next + ahead) % self._blocks * BLOCK_SIZE + _BLOCK_HEAD_AT
        status: int = _BLOCK_HEAD.unpack_from(self._memory, at)[0]
        return status

    def _take(self) -> Block:
        at = self._next * BLOCK_SIZE
        _, packets, first, length = _BLOCK_HEAD.unpack_from(self._memory, at + _BLOCK_HEAD_AT)
        block = Block(self._memory[at : at + max(length, first)], first, packets)
        self._memory[at + _BLOCK_HEAD_AT : at + _BLOCK_HEAD_AT + 4] = b"\0\0\0\0"
        self._next = (self._next + 1) % self._blocks
        return block

    def _count_lost(self) -> None:
        statistics = self._socket.getsockopt(SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
        self.lost += _STATISTICS.unpack(statistics)[1]

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
        self._socket.close()


def blocks_for(streams: int) -> int:
    """Blocks that hold about two seconds of `streams` streams at 200 packets a second each."""
    needed = streams * 400 * BYTES_A_PACKET // BLOCK_SIZE
    return max(FEWEST_BLOCKS, min(1024, needed))
