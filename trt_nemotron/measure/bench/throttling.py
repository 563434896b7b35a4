"""What slowed a board down while it was measured: counters and states that the system keeps.

- NVIDIA GPUs: microseconds for which clocks were lowered by heat or by the power brake
  (`nvidia-smi --help-query-gpu`, `clocks_event_reasons_counters`; not every driver has them). The
  power cap is not among them: at full load it is how these boards work.
- Linux, Jetson among them: cooling devices that lower the clocks of processors or of the GPU and
  are at work (https://docs.kernel.org/driver-api/thermal/sysfs-api.html).
- x86: milliseconds for which a package was throttled by heat
  (https://docs.kernel.org/admin-guide/abi-testing.html, `thermal_throttle`).
"""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from trt_nemotron.command import run
from trt_nemotron.errors import CommandFailed

GPU_COUNTERS = ("hw_thermal_slowdown", "sw_thermal_slowdown", "hw_power_brake_slowdown")
_CLOCK_COOLERS = ("cpufreq-", "thermal-cpufreq-", "devfreq-", "thermal-devfreq-")
"""How the kernel names cooling devices that lower clocks; others turn fans."""
_QUERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Places:
    """Where the system keeps them: other folders and another program in tests."""

    sys: Path = Path("/sys")
    nvidia_smi: str = "nvidia-smi"


class Throttles:
    """Reads all that there is; what a machine does not have costs nothing after the first time."""

    def __init__(self, places: Places | None = None) -> None:
        self._places = places or Places()
        self._program = shutil.which(self._places.nvidia_smi)
        self._coolers = [
            folder
            for folder in sorted((self._places.sys / "class" / "thermal").glob("cooling_device*"))
            if _text(folder / "type").startswith(_CLOCK_COOLERS)
        ]
        self._packages = sorted(
            (self._places.sys / "devices" / "system" / "cpu").glob(
                "cpu*/thermal_throttle/package_throttle_total_time_ms"
            )
        )

    def seconds(self) -> dict[str, float]:
        """Throttled seconds so far, by what was throttled."""
        return {**self._gpu_seconds(), **self._package_seconds()}

    def active(self) -> tuple[str, ...]:
        """Cooling devices that lower clocks at this moment."""
        states = {_text(folder / "type"): _number(folder / "cur_state") for folder in self._coolers}
        return tuple(name for name, state in states.items() if state > 0)

    def _gpu_seconds(self) -> dict[str, float]:
        if self._program is None:
            return {}
        fields = ",".join(("index", *(f"clocks_event_reasons_counters.{c}" for c in GPU_COUNTERS)))
        query = [self._program, f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
        try:
            said = run(query, timeout_s=_QUERY_S).stdout
        except CommandFailed:  # an older driver, or one that does not answer: never asked again
            self._program = None
            return {}
        return read_gpu_counters(said)

    def _package_seconds(self) -> dict[str, float]:
        """Every processor of a package shows the same counter, so the highest speaks for all."""
        spent = [_number(path) for path in self._packages]
        return {"processor package": max(spent) / 1e3} if spent else {}


def read_gpu_counters(said: str) -> dict[str, float]:
    """Seconds by GPU and reason of what the query printed; a `[N/A]` is left out."""
    found = {}
    for line in said.splitlines():
        index, *counters = (word.strip() for word in line.split(","))
        if len(counters) != len(GPU_COUNTERS):
            continue
        for name, counter in zip(GPU_COUNTERS, counters, strict=True):
            if counter.isdecimal():
                found[f"GPU {index}, {name}"] = int(counter) / 1e6
    return found


def spent_between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What was added to each counter that both have; one that was reset counts from zero."""
    return {
        name: after[name] - (before[name] if after[name] >= before[name] else 0.0)
        for name in before
        if name in after
    }


def _text(path: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="ascii").strip()
    return ""


def _number(path: Path) -> int:
    text = _text(path)
    return int(text) if text.lstrip("-").isdecimal() else 0
