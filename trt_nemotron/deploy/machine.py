"""The machine we run on: what of it a plan may use."""

import platform
from pathlib import Path

from trt_nemotron.cores import usable_cores
from trt_nemotron.document import Value

_CGROUP_MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


class Machine(Value, frozen=True, kw_only=True):
    """What is stable about a machine, so that the same machine plans the same.

    Attributes:
        architecture: `x86_64` or `aarch64` (macOS says `arm64`: written `aarch64` here).
        cores: processors this process may use (affinity respected).
        memory_total_bytes: physical memory, or the container's limit where that is smaller.
        physical_cores: cores without their second threads, never more than `cores`; 0 where the
            system does not say.
    """

    architecture: str
    cores: int
    memory_total_bytes: int
    physical_cores: int = 0


def detect_machine() -> Machine:
    """Ask the operating system."""
    import psutil

    machine = platform.machine().lower()
    total = int(psutil.virtual_memory().total)
    limits = [limit for path in _CGROUP_MEMORY_LIMITS if (limit := _read_limit(path))]
    cores = usable_cores()
    return Machine(
        architecture={"arm64": "aarch64", "amd64": "x86_64"}.get(machine, machine),
        cores=cores,
        memory_total_bytes=min([total, *limits]),
        physical_cores=min(psutil.cpu_count(logical=False) or 0, cores),
    )


def memory_available_bytes() -> int:
    """Memory that can be used now without swapping; it changes, so no plan depends on it."""
    import psutil

    return int(psutil.virtual_memory().available)


def _read_limit(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
