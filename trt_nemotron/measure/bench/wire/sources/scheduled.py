"""An open loop: requests are due at times that were fixed before, whatever the server does.

A client that waits for an answer before it sends the next request spares a server that stalls the
requests which would have come meanwhile ("coordinated omission"). Here latency can be counted from
the intended time, because that is kept beside the real one.
"""

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from trt_nemotron.measure.bench.wire.exchange import Exchange
from trt_nemotron.measure.bench.wire.sources.protocol import NEVER, Order
from trt_nemotron.measure.bench.wire.sources.stock import Stock

_NS_PER_S = 1_000_000_000


class ScheduledSource:
    """Requests at given times.

    Args:
        stock: at least as many requests as there are offsets.
        offsets_ns: when each is due, from the beginning; never falling.
    """

    __slots__ = ("_begin_ns", "_next", "_offsets", "_stock")

    is_scheduled = True

    def __init__(self, stock: Stock, offsets_ns: Iterable[int]) -> None:
        self._stock = stock
        self._offsets = list(offsets_ns)
        self._next = 0
        self._begin_ns = 0

    @property
    def total(self) -> int:
        """How many requests there will be."""
        return len(self._offsets)

    def begin(self, now: int) -> None:
        """Offsets count from `now`."""
        self._begin_ns = now

    def next_due_ns(self, now: int) -> int:
        """When the next one was meant to be sent, which may be long ago."""
        if self._next == len(self._offsets):
            return NEVER
        return self._begin_ns + self._offsets[self._next]

    def take(self, now: int) -> Order:
        """The next request, with its time."""
        index = self._next
        self._next = index + 1
        return Order(index, self._stock.pop(), self._begin_ns + self._offsets[index])

    def on_end(self, exchange: Exchange, now: int) -> None:
        """The schedule does not look back; only the stock is filled again."""
        self._stock.refill()


def constant_offsets(rate_rps: float) -> Iterator[int]:
    """Times in nanoseconds, 1 / `rate_rps` apart, the first at 0; without end."""
    number = 0
    while True:
        yield round(number * _NS_PER_S / rate_rps)
        number += 1


def poisson_offsets(rate_rps: float, seed: int) -> Iterator[int]:
    """Times with exponential gaps of mean 1 / `rate_rps`: requests of many people who do not know
    each other. The same rate and seed give the same times; without end.
    """
    source = random.Random(f"arrivals {seed} {rate_rps!r}")  # noqa: S311 - arrivals, not secrets
    at_s = 0.0
    while True:
        at_s += source.expovariate(rate_rps)
        yield round(at_s * _NS_PER_S)


def within(offsets_ns: Iterable[int], span_ns: int) -> Iterator[int]:
    """Those before `span_ns`."""
    return takewhile(lambda offset: offset < span_ns, offsets_ns)


def mean_rate_rps(offsets_s: Sequence[float]) -> float:
    """Requests per second of recorded arrivals; 1.0 where they span no time."""
    span = offsets_s[-1] - offsets_s[0] if offsets_s else 0.0
    rate = (len(offsets_s) - 1) / span if span > 0 else 1.0
    return rate if math.isfinite(rate) else 1.0
