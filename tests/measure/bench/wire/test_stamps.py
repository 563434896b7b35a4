"""Kernel stamps are taken where they are sound, and our own clock where they are not."""

import socket
import struct

import pytest

from trt_nemotron.measure.bench.clock import WallClockTrack
from trt_nemotron.measure.bench.wire.exchange import AncillaryData, Exchange, Read
from trt_nemotron.measure.bench.wire.stamps import SO_TIMESTAMPNS, resolve_stamps

WALL = 1_700_000_000_000_000_000


class StepClock:
    """A clock double: monotonic time stands where it is put, the wall clock is `offset` ahead."""

    def __init__(self) -> None:
        self.now = 0
        self.offset = WALL

    def monotonic_ns(self) -> int:
        return self.now

    def realtime_ns(self) -> int:
        return self.now + self.offset


@pytest.fixture
def clock() -> StepClock:
    return StepClock()


@pytest.fixture
def track(clock: StepClock) -> WallClockTrack:
    track = WallClockTrack(clock)
    track.sample()
    return track


def stamp(wall_ns: int) -> AncillaryData:
    data = struct.pack("@ll", *divmod(wall_ns, 1_000_000_000))
    return [(socket.SOL_SOCKET, SO_TIMESTAMPNS, data)]


def exchange(*reads: tuple[int, AncillaryData], sent_ns: int = 1_000_000) -> Exchange:
    return Exchange(
        index=0,
        connect_ns=0,
        sent_ns=sent_ns,
        send_call_ns=0,
        ended_ns=reads[-1][0],
        received=b"x" * len(reads),
        reads=tuple(Read(n + 1, at, ancillary) for n, (at, ancillary) in enumerate(reads)),
        ending="complete",
    )


def test_kernel_stamps_are_turned_into_monotonic_time(track: WallClockTrack):
    made = exchange((5_000_000, stamp(WALL + 3_000_000)), (9_000_000, stamp(WALL + 8_500_000)))
    stamps = resolve_stamps(made, track, are_kernel_stamps_asked=True)
    assert stamps.times == (3_000_000, 8_500_000)
    assert stamps.source == "kernel_receive"
    assert stamps.lags == (2_000_000, 500_000)


def test_one_read_without_a_stamp_turns_the_whole_request_to_our_clock(track: WallClockTrack):
    made = exchange((5_000_000, stamp(WALL + 3_000_000)), (9_000_000, []))
    stamps = resolve_stamps(made, track, are_kernel_stamps_asked=True)
    assert stamps.times == (5_000_000, 9_000_000)
    assert (stamps.source, stamps.unstamped) == ("user_read", 1)


@pytest.mark.parametrize("wall", [WALL + 6_000_000, WALL - 1_000_000_000])
def test_a_stamp_from_the_future_or_from_before_the_request_is_not_believed(
    track: WallClockTrack, wall: int
):
    stamps = resolve_stamps(exchange((5_000_000, stamp(wall))), track, are_kernel_stamps_asked=True)
    assert (stamps.times, stamps.source) == ((5_000_000,), "user_read")


def test_times_never_fall_and_never_leave_the_request(track: WallClockTrack):
    made = exchange(
        (5_000_000, stamp(WALL + 5_050_000)), (6_000_000, stamp(WALL + 4_980_000)),
        (7_000_000, stamp(WALL + 6_950_000)),
    )  # fmt: skip
    times = resolve_stamps(made, track, are_kernel_stamps_asked=True).times
    assert times == (5_000_000, 5_000_000, 6_950_000)


def test_a_step_of_the_wall_clock_is_noticed_and_voids_what_it_touches(
    clock: StepClock, track: WallClockTrack
):
    clock.now = 10_000_000
    clock.offset += 1_000_000
    track.sample()
    assert track.steps == [(0, 10_000_000)]
    across = exchange((5_000_000, stamp(WALL + 4_000_000)))
    assert resolve_stamps(across, track, are_kernel_stamps_asked=True).source == "user_read"
    after = exchange((20_000_000, stamp(WALL + 20_000_000)), sent_ns=15_000_000)
    stamps = resolve_stamps(after, track, are_kernel_stamps_asked=True)
    assert (stamps.times, stamps.source) == ((19_000_000,), "kernel_receive")


def test_between_steps_the_distance_of_the_clocks_is_one_number(
    clock: StepClock, track: WallClockTrack
):
    for number in range(1, 6):
        clock.now = number * 10_000_000
        clock.offset += 1_000_000 if number == 3 else 0
        track.sample()
    assert track.steady_offset(15_000_000) == WALL
    assert track.steady_offset(45_000_000) == WALL + 1_000_000
    assert track.is_stepped(25_000_000, 26_000_000)
    assert not track.is_stepped(31_000_000, 45_000_000)
    assert not track.is_stepped(0, 19_000_000)


def test_slewing_is_no_step(clock: StepClock, track: WallClockTrack):
    for number in range(1, 100):
        clock.now = number * 20_000_000
        clock.offset += 10_000  # 500 ppm
        track.sample()
    assert track.steps == []


def test_where_the_kernel_was_not_asked_our_clock_is_named(track: WallClockTrack):
    stamps = resolve_stamps(exchange((5_000_000, [])), track, are_kernel_stamps_asked=False)
    assert (stamps.source, stamps.unstamped) == ("user_read", 0)
