"""How far another machine's monotonic clock is from ours: measured, never assumed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

EXCHANGES = 40
MOST_DRIFT = 1e-3
"""Of the time between two measurements: each of two clocks may be slewed by 500 ppm, see
adjtimex(2). What moves by more was stepped, or cannot be told from it."""


class Offset(NamedTuple):
    """One measurement.

    Attributes:
        ns: the other clock minus ours.
        bound_ns: by how much that may be wrong: half the least round trip.
        at_ns: when, by our clock.
    """

    ns: int = 0
    bound_ns: int = 0
    at_ns: int = 0


def measure_offset(
    ask: Callable[[], int], now: Callable[[], int], exchanges: int = EXCHANGES
) -> Offset:
    """The offset by the exchange of the least round trip, as NTP's clock filter has it
    (RFC 5905, section 10): the other clock was read somewhere between the two readings of ours.

    Args:
        ask: reads the other clock, in nanoseconds; takes a round trip.
        now: reads ours.
        exchanges: how many.
    """
    return min((_exchange(ask, now) for _ in range(exchanges)), key=lambda found: found.bound_ns)


def _exchange(ask: Callable[[], int], now: Callable[[], int]) -> Offset:
    before = now()
    theirs = ask()
    after = now()
    half = -((before - after) // 2)  # rounded up: a bound holds
    return Offset(theirs - before - half, half, before)


@dataclass(frozen=True, slots=True)
class ClockSpan:
    """Two measurements around a leg, and what follows for the time between them."""

    before: Offset
    after: Offset

    @property
    def _limits(self) -> tuple[int, int]:
        both = (self.before, self.after)
        return min(o.ns - o.bound_ns for o in both), max(o.ns + o.bound_ns for o in both)

    @property
    def ns(self) -> int:
        """The one offset for the whole leg, so that differences stay those of one clock."""
        low, high = self._limits
        return (low + high) // 2

    @property
    def bound_ns(self) -> int:
        """By how much that may be wrong at any moment between, if the clocks drift one way."""
        return self._limits[1] - self.ns

    @property
    def is_stepped(self) -> bool:
        """Whether the offset moved by more than bounds and drift allow."""
        before, after = self.before, self.after
        allowed = before.bound_ns + after.bound_ns + MOST_DRIFT * (after.at_ns - before.at_ns)
        return abs(after.ns - before.ns) > allowed
