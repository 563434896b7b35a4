"""Energy: recorded readings in a folder, a double of nvidia-smi, the real counters."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.measure.bench.nvidia_smi_double import nvidia_smi_double
from trt_nemotron.measure.bench.clock import SystemClock
from trt_nemotron.measure.bench.energy import Mark, Meter, open_meter
from trt_nemotron.measure.bench.energy_integral import (
    Span,
    find_gap,
    joules_of_power,
    watts_of_counter,
)
from trt_nemotron.measure.bench.energy_sources import (
    POWERCAP,
    Places,
    Source,
    find_source,
    read_series,
)
from trt_nemotron.measure.bench.leg import Leg

LEG = Leg(concurrency=1)
S = 1_000_000_000


def put(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True)
    for name, value in files.items():
        (folder / name).write_text(f"{value}\n")


def places(folder: Path, nvidia_smi: str = "no-such-nvidia-smi") -> Places:
    return Places(folder / "hwmon", folder / "powercap", nvidia_smi)


def orin_rails(folder: Path, *labels: str) -> None:
    """Sysfs of an INA3221 as the kernel lays it out, made by hand."""
    rails: dict[str, object] = {"name": "ina3221"}
    for channel, label in enumerate(labels, start=1):
        rails |= {
            f"in{channel}_label": label,
            f"in{channel}_input": 5000 * channel,
            f"curr{channel}_input": 1000,
        }
    put(folder / "hwmon" / "hwmon3", **rails)


def rapl(folder: Path, microjoules: int = 10, most: int = 262_143_328_850) -> Path:
    for place in range(2):
        put(
            folder / "powercap" / f"intel-rapl:{place}",
            name=f"package-{place}",
            energy_uj=microjoules,
            max_energy_range_uj=most,
        )
    put(folder / "powercap" / "intel-rapl:0:0", name="core", energy_uj=1, max_energy_range_uj=2)
    return folder / "powercap" / "intel-rapl:0" / "energy_uj"


def test_a_rail_that_feeds_the_module_is_taken_alone(tmp_path: Path):
    orin_rails(tmp_path, "VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC")
    source, _ = find_source(places(tmp_path))
    assert source is not None
    assert source.title == "INA3221 VDD_IN (the whole module)"
    assert [path.name for path in source.paths] == ["in1_input", "curr1_input"]


def test_rails_are_added_up_where_none_feeds_all(tmp_path: Path):
    orin_rails(tmp_path, "VDD_GPU_SOC", "VDD_CPU_CV")
    source, _ = find_source(places(tmp_path))
    assert source is not None
    assert "these rails only" in source.title
    times, watts = read_series(source, [f"{S} 5000 1000 10000 2000", f"{2 * S} 5000 0 10000 1000"])
    assert times == [S, 2 * S]
    assert watts == [25.0, 10.0]


def test_counters_are_of_packages_and_begin_anew(tmp_path: Path):
    rapl(tmp_path, most=999)
    source, _ = find_source(places(tmp_path))
    assert source is not None
    assert "2 processor packages" in source.title
    _, watts = read_series(
        source, [f"{S} 0 0", f"{2 * S} 900 100", f"{3 * S} 100 200", f"{4 * S} 1"]
    )
    assert watts == pytest.approx([1000e-6, 300e-6])


def test_why_there_is_no_source_is_said_of_each(tmp_path: Path):
    source, reason = find_source(places(tmp_path, nvidia_smi_double(tmp_path, "[N/A]")))
    assert source is None
    assert "no INA3221 rails" in reason
    assert "reports no power" in reason
    assert "no RAPL packages" in reason
    (rapl(tmp_path)).write_text("")
    assert "only root may" in find_source(places(tmp_path))[1]


def test_a_half_written_last_line_and_one_out_of_order_are_left_out():
    source = Source("counters", "x", (Path("a"),), (1000,))
    assert read_series(source, ["1 5", "0 6", "nonsense", "3 7", "4"]) == ([2], [1000.0])
    gpu = Source("nvidia-smi", "x")
    lines = [
        "2026/11/23 21:45:20.250, 0, 70.5",
        "2026/11/23 21:45:20.250, 1, 9.5",
        "2026/11/23 21:45:20.350, 0, 70.5",
        "2026/11/23 21:45:20.450, 0, [N/A]",
        "2026/11/23 21:4",
    ]
    times, watts = read_series(gpu, lines)
    assert watts == [80.0]
    assert times[0] % S == 250_000_000


@given(
    gaps=st.lists(st.integers(1, 10**9), min_size=3, max_size=20),
    watts=st.floats(0, 1000),
    cut=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_steady_power_is_power_times_time(gaps: list[int], watts: float, cut: tuple[float, float]):
    times = [sum(gaps[: place + 1]) for place in range(len(gaps))]
    begin, end = sorted(times[0] + round(part * (times[-1] - times[0])) for part in cut)
    span = Span(begin, end)
    joules = joules_of_power(times, [watts] * len(times), span)
    assert joules == pytest.approx(watts * span.seconds, rel=1e-6, abs=1e-9)


@given(st.lists(st.floats(0, 100), min_size=3, max_size=9), st.floats(0.1, 0.9))
def test_energy_of_two_parts_is_that_of_the_whole(watts: list[float], cut: float):
    times = [place * S for place in range(len(watts))]
    middle = round(times[-1] * cut)
    whole = joules_of_power(times, watts, Span(0, times[-1]))
    parts = [
        joules_of_power(times, watts, Span(*ends)) for ends in ((0, middle), (middle, times[-1]))
    ]
    assert sum(parts) == pytest.approx(whole, rel=1e-9, abs=1e-9)


@given(st.lists(st.integers(1, 900), min_size=2, max_size=30), st.integers(0, 999))
def test_a_counter_that_begins_anew_loses_nothing(rises: list[int], begin: int):
    readings = [(begin + sum(rises[:place])) % 1000 for place in range(len(rises) + 1)]
    _, watts = watts_of_counter([n * S for n in range(len(readings))], readings, 999)
    assert sum(watts) * 1e6 == pytest.approx(sum(rises))


def test_readings_that_do_not_cover_the_leg_give_no_energy():
    assert find_gap([1 * S, 2 * S, 3 * S], Span(S // 2, 4 * S)) == ""
    assert find_gap([1 * S, 2 * S], Span(0, 3 * S)) == "2 readings in 3.0 s, 3 are needed"
    assert find_gap([1 * S, 2 * S, 3 * S], Span(0, 9 * S)) == "no reading for 6.0 s"


def test_a_server_elsewhere_is_refused(tmp_path: Path):
    with open_meter("192.0.2.7", SystemClock(), tmp_path, places(tmp_path)) as meter:
        energy = meter.measure(LEG, meter.mark())
    assert energy.joules is None
    assert "192.0.2.7 does not run on this board" in energy.reason


def wait_for_readings(meter: Meter, begin: Mark, most_s: float = 20.0) -> None:
    limit = time.monotonic() + most_s
    while time.monotonic() < limit and meter.measure(LEG, begin).samples < 5:
        time.sleep(0.05)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_sampler_of_its_own_reads_and_is_gone_afterwards(tmp_path: Path, host: str):
    orin_rails(tmp_path, "VDD_IN")
    with open_meter(host, SystemClock(), tmp_path, places(tmp_path)) as meter:
        wait_for_readings(meter, meter.mark())
        begin = meter.mark()
        wait_for_readings(meter, begin)
        energy = meter.measure(LEG, begin)
    assert energy.reason == ""
    assert energy.joules == pytest.approx(5.0 * energy.duration_s, rel=0.02)
    assert energy.samples >= 3
    size = meter.path.stat().st_size
    time.sleep(0.3)
    assert meter.path.stat().st_size == size


def test_nvidia_smi_loops_into_a_file_and_boards_are_added_up(tmp_path: Path):
    program = nvidia_smi_double(tmp_path, "40.25")
    with open_meter("127.0.0.1", SystemClock(), tmp_path, places(tmp_path, program)) as meter:
        wait_for_readings(meter, meter.mark())
        begin = meter.mark()
        wait_for_readings(meter, begin)
        energy = meter.measure(LEG, begin)
    assert energy.source == "nvidia-smi power.draw of 2 GPU boards"
    assert energy.joules == pytest.approx(80.5 * energy.duration_s, rel=0.02)


def test_a_sampler_that_died_gives_a_reason_and_no_figure(tmp_path: Path):
    orin_rails(tmp_path, "VDD_IN")
    with open_meter("127.0.0.1", SystemClock(), tmp_path, places(tmp_path)) as meter:
        (tmp_path / "hwmon" / "hwmon3" / "curr1_input").write_text("gone")
        time.sleep(0.5)
        begin = meter.mark()
        energy = meter.measure(LEG, begin)
    assert energy.joules is None
    assert "3 are needed" in energy.reason


class SteppedClock:
    """A double: a wall clock that somebody sets on by a second between two readings."""

    def __init__(self) -> None:
        self._ahead_ns = 0

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def realtime_ns(self) -> int:
        self._ahead_ns += S
        return time.time_ns() + self._ahead_ns


def test_a_step_of_the_wall_clock_voids_the_energy(tmp_path: Path):
    path = tmp_path / "power.txt"
    path.write_text("")
    source = Source("rails", "x", (Path("a"), Path("b")))
    meter = Meter(SteppedClock(), source, path=path)
    assert "stepped" in meter.measure(LEG, meter.mark()).reason


@pytest.mark.skipif(
    not os.access(POWERCAP / "intel-rapl:0" / "energy_uj", os.R_OK), reason="no RAPL here"
)
def test_the_machines_own_counters(tmp_path: Path):
    here = Places(hwmon=tmp_path, nvidia_smi="no-such-nvidia-smi")
    with open_meter("127.0.0.1", SystemClock(), tmp_path, here) as meter:
        begin = meter.mark()
        wait_for_readings(meter, begin)
        energy = meter.measure(LEG, begin)
    assert energy.joules is not None
    assert 0 < energy.joules / energy.duration_s < 2000
