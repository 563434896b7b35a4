"""A source that begins when those of the other workers do."""

from collections.abc import Callable

from trt_nemotron.measure.bench.wire.exchange import Exchange
from trt_nemotron.measure.bench.wire.sources.protocol import Order, Source

Meet = Callable[[], int]
"""Says that we are ready, waits for the others, and gives the monotonic time to begin at."""


class MeetingSource:
    """What `source` has, from a time on that all workers share.

    Args:
        delay_ns: how much later than the others' the first request is due, so that the first waves
            of all workers together are spread as one.
    """

    __slots__ = ("_delay_ns", "_meet", "_source")

    def __init__(self, source: Source, meet: Meet, delay_ns: int = 0) -> None:
        self._source = source
        self._meet = meet
        self._delay_ns = delay_ns

    @property
    def total(self) -> int | None:
        """How many requests there will be."""
        return self._source.total

    @property
    def is_scheduled(self) -> bool:
        """As the source's own."""
        return self._source.is_scheduled

    def begin(self, now: int) -> None:
        """Wait for the others; their time counts, not `now`."""
        self._source.begin(self._meet() + self._delay_ns)

    def next_due_ns(self, now: int) -> int:
        """As the source's own."""
        return self._source.next_due_ns(now)

    def take(self, now: int) -> Order:
        """As the source's own."""
        return self._source.take(now)

    def on_end(self, exchange: Exchange, now: int) -> None:
        """As the source's own."""
        self._source.on_end(exchange, now)
