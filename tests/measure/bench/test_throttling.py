"""What lowered clocks: files as the kernel lays them out, and a double of nvidia-smi."""

import sys
from pathlib import Path

import pytest

from trt_nemotron.measure.bench.throttling import (
    Places,
    Throttles,
    read_gpu_counters,
    spent_between,
)

DOUBLE = """#!{python}
# A double of nvidia-smi: it knows three counters and refuses every other field, as the real one.
import pathlib, sys
options = dict(a.partition("=")[::2] for a in sys.argv[1:])
names = ("hw_thermal_slowdown", "sw_thermal_slowdown", "hw_power_brake_slowdown")
known = ["index", *("clocks_event_reasons_counters." + name for name in names)][:{known}]
if set(options) != {{"--query-gpu", "--format"}} or options["--format"] != "csv,noheader,nounits":
    sys.exit("Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.")
for field in options["--query-gpu"].split(","):
    if field not in known:
        print(f'Field "{{field}}" is not a valid field to query.')
        sys.exit(2)
calls = pathlib.Path(__file__).with_name("calls")
calls.write_text(calls.read_text() + "." if calls.exists() else ".")
print({printed!r})
"""


def double(folder: Path, printed: str, known: int = 4) -> str:
    path = folder / "nvidia-smi"
    path.write_text(DOUBLE.format(python=sys.executable, printed=printed, known=known))
    path.chmod(0o700)
    return str(path)


def places(folder: Path, nvidia_smi: str = "no-such-nvidia-smi") -> Places:
    return Places(folder / "sys", nvidia_smi)


def cooler(folder: Path, place: int, kind: str, state: object) -> Path:
    made = folder / "sys" / "class" / "thermal" / f"cooling_device{place}"
    made.mkdir(parents=True)
    (made / "type").write_text(f"{kind}\n")
    (made / "cur_state").write_text(f"{state}\n")
    return made / "cur_state"


def package(folder: Path, cpu: int, milliseconds: int) -> None:
    made = folder / "sys" / "devices" / "system" / "cpu" / f"cpu{cpu}" / "thermal_throttle"
    made.mkdir(parents=True)
    (made / "package_throttle_total_time_ms").write_text(f"{milliseconds}\n")
    (made / "package_throttle_count").write_text("7\n")


def test_a_gpu_tells_microseconds_by_reason(tmp_path: Path):
    program = double(tmp_path, "0, 1500000, 0, 250000\n1, 0, 7, [N/A]")
    assert Throttles(places(tmp_path, program)).seconds() == {
        "GPU 0, hw_thermal_slowdown": 1.5,
        "GPU 0, sw_thermal_slowdown": 0.0,
        "GPU 0, hw_power_brake_slowdown": 0.25,
        "GPU 1, hw_thermal_slowdown": 0.0,
        "GPU 1, sw_thermal_slowdown": 7e-6,
    }


def test_a_driver_that_does_not_know_the_counters_is_asked_once(tmp_path: Path):
    throttles = Throttles(places(tmp_path, double(tmp_path, "0, 1, 2, 3", known=2)))
    assert throttles.seconds() == throttles.seconds() == {}
    asked = Throttles(places(tmp_path, double(tmp_path, "0, 1, 2, 3")))
    asked.seconds()
    asked.seconds()
    assert (tmp_path / "calls").read_text() == ".."


@pytest.mark.parametrize("said", ["", "no devices were found", "0, 1, 2", "0, 1, 2, 3, 4", ",,,"])
def test_what_is_no_reading_is_none(said: str):
    assert read_gpu_counters(said) == {}


def test_clocks_are_lowered_by_what_cools_processors_and_gpus_and_not_by_fans(tmp_path: Path):
    cooler(tmp_path, 0, "pwm-fan", 3)
    cooler(tmp_path, 1, "cpufreq-cpu0", 2)
    cooler(tmp_path, 2, "devfreq-17000000.gpu", 0)
    cooler(tmp_path, 3, "thermal-devfreq-0", 1)
    cooler(tmp_path, 4, "intel_powerclamp", -1)
    state = cooler(tmp_path, 5, "thermal-cpufreq-1", 0)
    throttles = Throttles(places(tmp_path))
    assert throttles.active() == ("cpufreq-cpu0", "thermal-devfreq-0")
    state.write_text("1\n")
    assert "thermal-cpufreq-1" in throttles.active()
    state.unlink()
    assert "thermal-cpufreq-1" not in throttles.active()


def test_a_package_counts_once_though_each_processor_shows_it(tmp_path: Path):
    for cpu in range(4):
        package(tmp_path, cpu, 1200)
    assert Throttles(places(tmp_path)).seconds() == {"processor package": 1.2}


def test_a_machine_without_any_of_it_says_nothing(tmp_path: Path):
    throttles = Throttles(places(tmp_path))
    assert throttles.seconds() == {}
    assert throttles.active() == ()


def test_what_was_spent_is_the_difference_and_a_counter_that_was_reset_begins_anew():
    before = {"a": 1.0, "b": 5.0, "gone": 2.0}
    assert spent_between(before, {"a": 3.5, "b": 0.5, "new": 9.0}) == {"a": 2.5, "b": 0.5}
