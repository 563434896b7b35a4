"""Files of the kernel, read with care: what is missing or odd is `None`, never an exception."""

import re
from dataclasses import dataclass

from trt_nemotron.deploy.doctor.host import Host

_KIB = 1024
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_NO_LIMIT_BYTES = 1 << 60
"""What version 1 of control groups writes for none is near 2^63."""


@dataclass(frozen=True, slots=True)
class Meminfo:
    """`/proc/meminfo`, in bytes; zero for a line that is not there."""

    total: int
    free: int
    available: int
    cached: int
    swap_total: int
    swap_free: int


def read_meminfo(host: Host) -> Meminfo | None:
    """The host's memory; `None` when the kernel does not say how much there is."""
    text = host.read("/proc/meminfo") or ""
    lines = dict(re.findall(r"^(\w+):\s+([0-9]{1,15}) kB$", text, re.MULTILINE))

    def of(*names: str) -> int:
        return sum(int(lines.get(name, 0)) for name in names) * _KIB

    if not of("MemTotal"):
        return None
    return Meminfo(
        total=of("MemTotal"),
        free=of("MemFree"),
        available=of("MemAvailable"),
        cached=of("Cached", "Buffers"),
        swap_total=of("SwapTotal"),
        swap_free=of("SwapFree"),
    )


def read_cgroup_limit(host: Host) -> int | None:
    """Bytes of memory that our control group may use; `None` without a limit."""
    for path in _CGROUP_LIMITS:
        limit = read_number(host, path)
        if limit is not None and limit < _NO_LIMIT_BYTES:
            return limit
    return None


def read_number(host: Host, path: str) -> int | None:
    """The whole number that a file holds."""
    text = (host.read(path) or "").strip()
    return int(text) if re.fullmatch(r"[0-9]{1,20}", text) else None


def read_limit(host: Host, name: str) -> tuple[float, float] | None:
    """Soft and hard limit of this process by its name in `/proc/self/limits`; infinity for none."""
    text = host.read("/proc/self/limits") or ""
    number = r"(unlimited|[0-9]{1,20})"
    found = re.search(rf"^{re.escape(name)} +{number} +{number}\b", text, re.MULTILINE)
    if found is None:
        return None
    soft, hard = (float("inf") if it == "unlimited" else float(it) for it in found.groups())
    return soft, hard


def read_chosen(host: Host, path: str) -> str | None:
    """The word in brackets of a file such as `always [madvise] never`."""
    found = re.search(r"\[(\w+)\]", host.read(path) or "")
    return found.group(1) if found else None
