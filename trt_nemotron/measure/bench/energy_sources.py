"""What on this machine reports power, and how its readings are read.

- Jetson: INA3221 monitors on the supply rails, millivolt and milliampere of each channel
  (https://docs.kernel.org/hwmon/ina3221.html).
- NVIDIA boards: `power.draw` of `nvidia-smi`, in watts
  (https://docs.nvidia.com/deploy/nvidia-smi/index.html).
- x86 processors: RAPL's counters of microjoules, readable by root only
  (https://docs.kernel.org/power/powercap/powercap.html).
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trt_nemotron.command import run
from trt_nemotron.errors import CommandFailed

HWMON = Path("/sys/class/hwmon")
POWERCAP = Path("/sys/class/powercap")
NVIDIA_SMI = "nvidia-smi"
_WHOLE_BOARD = ("VDD_IN", "VIN")
"""Rails that feed a whole Jetson module: what the others draw is part of them."""
_CHANNELS = (1, 2, 3)
_PROBE_S = 10.0
_STAMP = "%Y/%m/%d %H:%M:%S"

Kind = Literal["rails", "counters", "nvidia-smi"]
Series = tuple[list[int], list[float]]
"""Times in nanoseconds of the wall clock, and watts."""


@dataclass(frozen=True, slots=True)
class Source:
    """What reports power.

    Attributes:
        title: what it is and what it covers, for people.
        paths: files to sample: volts and amperes in turns for rails, counters otherwise.
        most: the highest value of each counter.
    """

    kind: Kind
    title: str
    paths: tuple[Path, ...] = ()
    most: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Places:
    """Where the system keeps them: other folders and another program in tests."""

    hwmon: Path = HWMON
    powercap: Path = POWERCAP
    nvidia_smi: str = NVIDIA_SMI


def find_source(places: Places) -> tuple[Source | None, str]:
    """The source that covers most of a board, or why there is none."""
    reasons = []
    for look in (_find_rails, _find_nvidia, _find_counters):
        source, reason = look(places)
        if source is not None:
            return source, ""
        reasons.append(reason)
    return None, "; ".join(reasons)


def _find_rails(places: Places) -> tuple[Source | None, str]:
    rails = {
        label: (folder / f"in{channel}_input", folder / f"curr{channel}_input")
        for folder in sorted(places.hwmon.glob("hwmon*"))
        if _text(folder / "name") == "ina3221"
        for channel in _CHANNELS
        if (label := _text(folder / f"in{channel}_label"))
    }
    readable = {name: pair for name, pair in rails.items() if all(map(_is_number, pair))}
    whole = next((name for name in _WHOLE_BOARD if name in readable), "")
    chosen = {whole: readable[whole]} if whole else readable
    if not chosen:
        return None, "no INA3221 rails under " + str(places.hwmon)
    title = f"INA3221 {', '.join(chosen)} ({'the whole module' if whole else 'these rails only'})"
    return Source("rails", title, tuple(path for pair in chosen.values() for path in pair)), ""


def _find_counters(places: Places) -> tuple[Source | None, str]:
    packages = [
        folder
        for folder in sorted(places.powercap.glob("intel-rapl:*"))
        if _text(folder / "name").startswith("package-")
    ]
    if not packages:
        return None, "no RAPL packages under " + str(places.powercap)
    counters = tuple(folder / "energy_uj" for folder in packages)
    ranges = tuple(folder / "max_energy_range_uj" for folder in packages)
    if not all(map(_is_number, (*counters, *ranges))):
        return None, "RAPL's counters cannot be read: only root may"
    title = f"RAPL of {len(packages)} processor packages (not memory, not the rest of the board)"
    return Source("counters", title, counters, tuple(int(_text(path)) for path in ranges)), ""


def _find_nvidia(places: Places) -> tuple[Source | None, str]:
    try:
        said = run(nvidia_query(places.nvidia_smi), timeout_s=_PROBE_S).stdout
    except CommandFailed as fault:
        return None, fault.message
    readings = [reading for line in said.splitlines() if (reading := _nvidia_reading(line))]
    if not readings:
        return None, f"nvidia-smi reports no power: {said.strip()[:100]!r}"
    boards = len({index for _, index, _ in readings})
    return Source("nvidia-smi", f"nvidia-smi power.draw of {boards} GPU boards"), ""


def nvidia_query(program: str) -> list[str]:
    """The arguments of one reading; `--loop-ms` and `--filename` make it many."""
    return [program, "--query-gpu=timestamp,index,power.draw", "--format=csv,noheader,nounits"]


def read_series(source: Source, lines: Sequence[str]) -> Series:
    """Watts over time from what a sampler wrote; a last line that is half written is left out."""
    if source.kind == "nvidia-smi":
        return _nvidia_series(lines)
    rows = list(_rows(lines, len(source.paths)))
    times = [row[0] for row in rows]
    if source.kind == "rails":
        return times, [
            sum(volt * ampere for volt, ampere in zip(row[1::2], row[2::2], strict=True)) / 1e6
            for row in rows
        ]
    return _counter_series(source, rows)


def _rows(lines: Sequence[str], width: int) -> Iterator[list[int]]:
    last = 0
    for line in lines:
        words = line.split()
        if len(words) == width + 1 and all(word.lstrip("-").isdecimal() for word in words):
            row = [int(word) for word in words]
            if row[0] > last:
                last = row[0]
                yield row


def _counter_series(source: Source, rows: Sequence[Sequence[int]]) -> Series:
    from trt_nemotron.measure.bench.energy_integral import watts_of_counter

    times, total = [row[0] for row in rows], [0.0] * max(0, len(rows) - 1)
    middles: list[int] = []
    for place, most in enumerate(source.most, start=1):
        middles, watts = watts_of_counter(times, [row[place] for row in rows], most)
        total = [left + right for left, right in zip(total, watts, strict=True)]
    return middles, total


def _nvidia_series(lines: Sequence[str]) -> Series:
    """The sum of all boards at each time; a time at which one is missing is left out."""
    held: dict[int, dict[str, float]] = {}
    for line in lines:
        reading = _nvidia_reading(line)
        if reading is not None:
            held.setdefault(reading[0], {})[reading[1]] = reading[2]
    boards = {index for found in held.values() for index in found}
    times = sorted(at for at, found in held.items() if set(found) == boards)
    return times, [sum(held[at].values()) for at in times]


def _nvidia_reading(line: str) -> tuple[int, str, float] | None:
    """Nanoseconds, board and watts of `2026/11/23 21:45:20.123, 0, 71.20`; nothing of `[N/A]`.

    Its stamp is local time, to the millisecond.
    """
    fields = [field.strip() for field in line.split(",")]
    if len(fields) != 3:
        return None
    second, _, fraction = fields[0].partition(".")
    try:
        stamp = int(time.mktime(time.strptime(second, _STAMP))) * 10**9
        stamp += round(float(f"0.{fraction or 0}") * 1e9)
        watts = float(fields[2])
    except (ValueError, OverflowError):
        return None
    return (stamp, fields[1], watts) if 0.0 <= watts < 1e6 else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _is_number(path: Path) -> bool:
    return _text(path).lstrip("-").isdecimal()
