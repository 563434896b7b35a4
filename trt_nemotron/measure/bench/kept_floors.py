"""The client's own floor, measured once for several runs that follow each other closely.

A gate that compares two servers makes dozens of short runs, and measuring the client itself before
each of them would take longer than some of the runs. What changes from one second to the next is
recorded throughout every run all the same: timer lag, read lag, processor share.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from trt_nemotron.measure.bench.calibration import Floor, measure_floor
from trt_nemotron.measure.bench.clock import Clock
from trt_nemotron.measure.bench.clock_choice import ClockChoice

LONGEST_S = 60.0
MOST_KEPT_MS = 0.5
"""Of an error in a median: a floor with more was taken in a bad moment, and holds for one run."""


@dataclass(slots=True)
class KeptFloors:
    """Measures the client as `measure_floor` does, unless it did so a moment ago.

    Attributes:
        longest_s: how long a floor holds, for the same number of streams and the same clock.
        measure: how the client is measured.
    """

    longest_s: float = LONGEST_S
    measure: Callable[[int, Clock, ClockChoice], Floor] = measure_floor
    _kept: dict[tuple[int, ClockChoice], tuple[int, Floor]] = field(default_factory=dict)

    def __call__(self, concurrency: int, clock: Clock, choice: ClockChoice) -> Floor:
        """The floor, at most `longest_s` old.

        Raises:
            EnvironmentUnfit: as `measure_floor`.
        """
        key, now_ns = (concurrency, choice), clock.monotonic_ns()
        kept = self._kept.get(key)
        if kept is not None and now_ns - kept[0] <= self.longest_s * 1e9:
            return kept[1]
        floor = self.measure(concurrency, clock, choice)
        if is_calm(floor):
            self._kept[key] = (now_ns, floor)
        return floor


def is_calm(floor: Floor) -> bool:
    """Whether the client erred little enough in its medians for other runs to rely on it."""
    medians = [error.error_ms for error in floor.errors if error.figure.endswith("_p50_ms")]
    return all(abs(error_ms) <= MOST_KEPT_MS for error_ms in (*medians, floor.delay_p50_ms))
