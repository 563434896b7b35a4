"""What `nvidia-smi` says, read with care: fields may be `[N/A]`, `[Not Supported]` or missing.

Boards whose memory is the host's show none of their own:
https://docs.nvidia.com/dgx/dgx-spark/known-issues.html
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trt_nemotron.deploy.doctor.host import Answer
from trt_nemotron.facts.target import Gpu

_IDENTITY_FIELDS = ("name", "driver_version", "compute_cap", "memory.total", "memory.free")
_STATE_FIELDS = (
    "mig.mode.current",
    "power.limit",
    "power.default_limit",
    "clocks.sm",
    "clocks.max.sm",
    "utilization.gpu",
    "clocks_event_reasons.active",
)
_FORMAT = "--format=csv,noheader,nounits"

# Two queries: a field that a driver does not know spoils a whole query.
IDENTITY = ("nvidia-smi", f"--query-gpu={','.join(_IDENTITY_FIELDS)}", _FORMAT)
STATE = ("nvidia-smi", f"--query-gpu={','.join(_STATE_FIELDS)}", _FORMAT)
PROCESSES = ("nvidia-smi", "--query-compute-apps=pid,process_name,used_memory", _FORMAT)

_MIB = 1 << 20
_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?")
_PROCESS = re.compile(r"(?P<pid>[0-9]{1,10}), *(?P<name>.*), *(?P<memory>[^,]*)")


@dataclass(frozen=True, slots=True)
class ShownGpu:
    """A board as the driver shows it; `None` or empty for what it does not say.

    Attributes:
        compute_capability: `9.0`.
        memory_total_bytes, memory_free_bytes: of its own memory.
    """

    name: str
    driver: str = ""
    compute_capability: str = ""
    memory_total_bytes: int | None = None
    memory_free_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class GpuState:
    """How a board is set and what it does now; `None` for what the driver does not say.

    Attributes:
        mig: `Enabled`, `Disabled` or empty.
        clock_reasons: bits of NVML's `nvmlClocksEventReasons`.
    """

    mig: str = ""
    power_limit_w: float | None = None
    default_power_limit_w: float | None = None
    clock_mhz: float | None = None
    most_clock_mhz: float | None = None
    busy_percent: float | None = None
    clock_reasons: int | None = None


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that has memory on a board."""

    pid: str
    program: str
    memory: str


def read_gpus(answer: Answer) -> tuple[ShownGpu, ...]:
    """The boards of the answer to `IDENTITY`; none when it is not what it should be."""
    return tuple(
        ShownGpu(
            name=row[0],
            driver=_word(row[1]),
            compute_capability=_word(row[2]),
            memory_total_bytes=_mebibytes(row[3]),
            memory_free_bytes=_mebibytes(row[4]),
        )
        for row in _rows(answer, len(_IDENTITY_FIELDS))
        if _word(row[0])
    )


def read_states(answer: Answer) -> tuple[GpuState, ...]:
    """The states of the answer to `STATE`, one for each board."""
    return tuple(
        GpuState(
            mig=_word(row[0]),
            power_limit_w=_number(row[1]),
            default_power_limit_w=_number(row[2]),
            clock_mhz=_number(row[3]),
            most_clock_mhz=_number(row[4]),
            busy_percent=_number(row[5]),
            clock_reasons=_bits(row[6]),
        )
        for row in _rows(answer, len(_STATE_FIELDS))
    )


def read_processes(answer: Answer) -> tuple[GpuProcess, ...] | None:
    """Who has memory on a board; `None` when the driver does not say, or not so that we read it.

    Of a program only its own name is kept: a path or an argument may say more than is ours to
    print.
    """
    lines = [line for line in answer.output.splitlines() if line.strip()]
    found = [_PROCESS.fullmatch(line.strip()) for line in lines]
    if not answer.is_good or not all(found):
        return None
    return tuple(
        GpuProcess(pid=it["pid"], program=_own_name(it["name"]), memory=_word(it["memory"].strip()))
        for it in found
        if it is not None
    )


def used_index(gpus: Sequence[ShownGpu], wanted: Gpu | None, environment: Mapping[str, str]) -> int:
    """Which board a server would use: the one that CUDA is told, else the target's first."""
    told = environment.get("CUDA_VISIBLE_DEVICES", "")
    if re.fullmatch(r"[0-9]{1,3}", told) and int(told) < len(gpus):
        return int(told)
    names = wanted.product_names if wanted else ()
    return next((index for index, gpu in enumerate(gpus) if gpu.name in names), 0)


def _own_name(program: str) -> str:
    path = program if program.startswith("[") else program.partition(" ")[0]
    return re.split(r"[\\/]", path)[-1]


def _rows(answer: Answer, width: int) -> tuple[tuple[str, ...], ...]:
    if not answer.is_good:
        return ()
    rows = (tuple(cell.strip() for cell in line.split(",")) for line in answer.output.splitlines())
    return tuple(row for row in rows if len(row) == width)


def _word(cell: str) -> str:
    """The cell; empty for `[N/A]`, `[Not Supported]` and their like."""
    return "" if cell.startswith("[") or cell in {"N/A", "Not Supported"} else cell


def _number(cell: str) -> float | None:
    return float(cell) if _NUMBER.fullmatch(cell) else None


def _mebibytes(cell: str) -> int | None:
    number = _number(cell)
    return None if number is None or number < 0 else int(number * _MIB)


def _bits(cell: str) -> int | None:
    is_hexadecimal = re.fullmatch(r"0x[0-9A-Fa-f]{1,16}", cell)
    return int(cell, 16) if is_hexadecimal else None
