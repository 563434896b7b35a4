"""What the loop asks of a source of requests."""

from typing import NamedTuple, Protocol

from trt_nemotron.measure.bench.wire.exchange import Exchange

NEVER = 1 << 63
"""Later than any time: nothing is to be sent before another request has ended, or ever."""


class Order(NamedTuple):
    """One request to send.

    Attributes:
        number: in the order of taking, from 0.
        intended_ns: when a schedule meant to send it, by the monotonic clock; -1 without one.
    """

    number: int
    request: bytes
    intended_ns: int


class Source(Protocol):
    """Gives each request exactly once, and none before it is due."""

    @property
    def total(self) -> int | None:
        """How many requests there will be; `None` where only time ends them."""

    @property
    def is_scheduled(self) -> bool:
        """Whether requests are due by a schedule, whatever has ended."""

    def begin(self, now: int) -> None:
        """The clock runs from `now`."""

    def next_due_ns(self, now: int) -> int:
        """When the next request is due: `now` or before for at once, `NEVER` for none yet."""

    def take(self, now: int) -> Order:
        """The request that is due; only called when one is."""

    def on_end(self, exchange: Exchange, now: int) -> None:
        """A request has ended, in whatever way."""
