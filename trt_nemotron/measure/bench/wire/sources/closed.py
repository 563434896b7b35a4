"""A closed loop: a request is due as soon as a stream is free."""

from collections import deque

from trt_nemotron.measure.bench.wire.exchange import Exchange
from trt_nemotron.measure.bench.wire.sources.protocol import NEVER, Order
from trt_nemotron.measure.bench.wire.sources.stock import Stock


class ClosedSource:
    """As many requests under way as there are streams.

    Args:
        stock: what is sent, in its order.
        streams: requests under way at a time.
        spread_ns: over which the first wave is spread, so that the streams do not start in step.
        soak_ns: for how long requests are sent; 0 to send the whole stock.
    """

    __slots__ = ("_end_ns", "_free", "_soak_ns", "_spread_ns", "_stock", "_streams", "_taken",
                 "_wave")  # fmt: skip

    is_scheduled = False

    def __init__(self, stock: Stock, streams: int, spread_ns: int = 0, soak_ns: int = 0) -> None:
        self._stock = stock
        self._streams = streams
        self._spread_ns = spread_ns
        self._soak_ns = soak_ns
        self._end_ns = NEVER
        self._wave: deque[int] = deque()
        self._free = 0
        self._taken = 0

    @property
    def total(self) -> int | None:
        """How many requests there will be; `None` for a soak."""
        return self._stock.count

    def begin(self, now: int) -> None:
        """The first wave is due from `now` on."""
        count = self._stock.count
        wave = self._streams if count is None else min(self._streams, count)
        gap = self._spread_ns // max(1, wave)
        self._wave = deque(now + place * gap for place in range(wave))
        if self._soak_ns:
            self._end_ns = now + self._soak_ns

    def next_due_ns(self, now: int) -> int:
        """At once for a stream whose request has ended, then by the first wave."""
        if now >= self._end_ns or self._taken == self._stock.count:
            return NEVER
        if self._free:
            return now
        return self._wave[0] if self._wave else NEVER

    def take(self, now: int) -> Order:
        """The next request of the stock."""
        if self._free:
            self._free -= 1
        else:
            self._wave.popleft()
        index = self._taken
        self._taken = index + 1
        return Order(index, self._stock.pop(), -1)

    def on_end(self, exchange: Exchange, now: int) -> None:
        """A stream is free."""
        self._free += 1
        self._stock.refill()
