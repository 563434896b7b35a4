"""One measured floor serves the runs that follow closely, and no others."""

from dataclasses import dataclass

import pytest

from trt_nemotron.measure.bench.calibration import Floor
from trt_nemotron.measure.bench.client_health import FigureError
from trt_nemotron.measure.bench.clock_choice import ClockChoice
from trt_nemotron.measure.bench.kept_floors import KeptFloors, is_calm

CHOICE = ClockChoice("user_read", "asked for")


@dataclass
class HandClock:
    """A clock that stands still until it is set."""

    now_s: float = 1000.0

    def monotonic_ns(self) -> int:
        return int(self.now_s * 1e9)

    def realtime_ns(self) -> int:
        return int(self.now_s * 1e9)


class Counted:
    """Hands out new floors and counts them."""

    def __init__(self, error_ms: float = 0.1) -> None:
        self.times = 0
        self._error_ms = error_ms

    def __call__(self, concurrency: int, clock: object, choice: ClockChoice) -> Floor:
        self.times += 1
        error = FigureError(figure="ttft_p50_ms", error_ms=self._error_ms)
        return Floor(choice.source, 0.2, 0.4, 0.1, 0.3, (error,))


def test_a_floor_holds_for_its_time_its_streams_and_its_clock():
    clock, measure = HandClock(), Counted()
    floors = KeptFloors(60.0, measure)
    first = floors(1, clock, CHOICE)
    clock.now_s += 59.9
    assert floors(1, clock, CHOICE) is first
    floors(2, clock, CHOICE)
    floors(1, clock, ClockChoice("kernel_receive"))
    assert measure.times == 3
    clock.now_s += 0.2
    assert floors(1, clock, CHOICE) is not first
    assert measure.times == 4


def test_a_floor_that_was_taken_in_a_bad_moment_holds_for_one_run():
    clock, measure = HandClock(), Counted(error_ms=-0.6)
    floors = KeptFloors(60.0, measure)
    floors(1, clock, CHOICE)
    floors(1, clock, CHOICE)
    assert measure.times == 2


@pytest.mark.parametrize(("error_ms", "calm"), [(0.5, True), (0.51, False), (-0.51, False)])
def test_calm_is_what_errs_little_in_its_medians(error_ms: float, calm: bool):
    error = FigureError(figure="e2e_p50_ms", error_ms=error_ms)
    assert is_calm(Floor("user_read", 0.2, 0.4, 0.1, 0.3, (error,))) is calm
    late = FigureError(figure="e2e_p99_ms", error_ms=9.0)
    assert is_calm(Floor("user_read", 0.2, 0.4, 0.1, 0.3, (late,)))
