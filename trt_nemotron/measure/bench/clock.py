"""Clocks: the monotonic one that all times are kept in, and how far the wall clock is from it.

Kernel receive stamps come from the wall clock, which may be set or slewed while we measure. So the
distance between the two is sampled again and again, and a step between two samples is noticed.
"""

import time
from bisect import bisect_right
from typing import Protocol

STEP_NS = 30_000
"""A change of the distance between two samples, 50 ms apart at most, that is more than slewing
(500 ppm) and reading error."""
_READINGS = 3


class Clock(Protocol):
    """Where times come from."""

    def monotonic_ns(self) -> int:
        """Nanoseconds of a clock that never steps."""

    def realtime_ns(self) -> int:
        """Nanoseconds since the epoch by the wall clock."""


class SystemClock:
    """The machine's own clocks."""

    monotonic_ns = staticmethod(time.monotonic_ns)
    realtime_ns = staticmethod(time.time_ns)


class WallClockTrack:
    """Samples of wall clock minus monotonic clock, in the order in which they were taken.

    Attributes:
        steps: spans of monotonic time within which the wall clock was stepped.
    """

    __slots__ = ("_clock", "_epochs", "_offsets", "_times", "_uncertainty", "steps")

    def __init__(self, clock: Clock) -> None:
        self.steps: list[tuple[int, int]] = []
        self._epochs: list[tuple[int, int, int]] = []
        self._clock = clock
        self._times: list[int] = []
        self._offsets: list[int] = []
        self._uncertainty = 0

    def sample(self) -> None:
        """Take one sample: the tightest of three readings, each between two of the other clock."""
        width, at, offset = min(self._read() for _ in range(_READINGS))
        if self._offsets:
            change = abs(offset - self._offsets[-1])
            if change > STEP_NS + width + self._uncertainty:
                self.steps.append((self._times[-1], at))
        self._extend_epoch(width, at, offset)
        self._times.append(at)
        self._offsets.append(offset)
        self._uncertainty = width

    def to_monotonic(self, wall_ns: int, near_ns: int) -> int:
        """A wall-clock time on the monotonic clock, by the last sample before `near_ns`."""
        place = max(bisect_right(self._times, near_ns) - 1, 0)
        return wall_ns - self._offsets[place]

    def steady_offset(self, near_ns: int) -> int:
        """Wall clock minus monotonic clock between the two steps around `near_ns`.

        Linux slews both clocks alike, so that they keep their distance from step to step (see
        clock_gettime(2)); the sample that was read fastest tells it best. With one distance for a
        whole request, differences of stamps are exactly the kernel's.
        """
        place = max(bisect_right([begin for begin, _, _ in self._epochs], near_ns) - 1, 0)
        return self._epochs[place][2]

    def is_stepped(self, begin_ns: int, end_ns: int) -> bool:
        """Whether the wall clock may have been stepped within this span."""
        return any(begin <= end_ns and begin_ns <= end for begin, end in self.steps)

    def _extend_epoch(self, width: int, at: int, offset: int) -> None:
        is_new = not self._epochs or bool(self.steps and self.steps[-1][1] == at)
        if is_new:
            self._epochs.append((at, width, offset))
            return
        begin, tightest, _ = self._epochs[-1]
        if width < tightest:
            self._epochs[-1] = (begin, width, offset)

    def _read(self) -> tuple[int, int, int]:
        """How long the reading took, when it began, and the offset halfway."""
        before = self._clock.monotonic_ns()
        wall = self._clock.realtime_ns()
        after = self._clock.monotonic_ns()
        return after - before, before, wall - (before + after) // 2
