"""The exchanges of a loop as they are kept until it is over, in little memory however many.

A token takes some 230 bytes on the wire, so an hour at a thousand tokens a second is 800 MB. From
`MOST_PLAIN` on, what comes is kept compressed: bytes of one stream are so alike that a fiftieth is
left, and it takes 0.1 ms for 256 tokens, once their response has ended.
"""

import zlib
from collections.abc import Iterator
from dataclasses import replace

import msgspec

from trt_nemotron.measure.bench.wire.exchange import Exchange

MOST_PLAIN = 32 << 20
"""Bytes kept as they came: what a shorter run has costs no time."""
_READ_BYTES = 300
"""Roughly, of one read with what the kernel said about it."""
_LEVEL = 1


class Recording:
    """Exchanges in the order in which they ended.

    Args:
        most_plain: bytes from which on exchanges are compressed.
    """

    __slots__ = ("_kept", "_left")

    def __init__(self, most_plain: int = MOST_PLAIN) -> None:
        self._kept: list[Exchange | bytes] = []
        self._left = most_plain

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, place: int) -> Exchange:
        kept = self._kept[place]
        if isinstance(kept, Exchange):
            return kept
        return msgspec.msgpack.decode(zlib.decompress(kept), type=Exchange)

    def __iter__(self) -> Iterator[Exchange]:
        return map(self.__getitem__, range(len(self)))

    def append(self, exchange: Exchange) -> None:
        """Keep one more."""
        if self._left <= 0:
            self._kept.append(zlib.compress(msgspec.msgpack.encode(exchange), _LEVEL))
            return
        self._left -= len(exchange.received) + _READ_BYTES * len(exchange.reads)
        self._kept.append(exchange)

    def take(self) -> Iterator[Exchange]:
        """Each in turn; of those that were handed out, bytes and reads are forgotten."""
        for place, exchange in enumerate(self):
            yield exchange
            self._kept[place] = replace(exchange, received=b"", reads=())
