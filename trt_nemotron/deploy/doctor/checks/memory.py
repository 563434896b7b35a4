"""Memory: enough of it, and none of it promised twice."""

from dataclasses import dataclass

from trt_nemotron.deploy.doctor.examination import Examination, Outcome, fail, ok, unknown, warn
from trt_nemotron.deploy.doctor.needs import memory_need
from trt_nemotron.deploy.doctor.nvidia import IDENTITY, read_gpus, used_index
from trt_nemotron.deploy.doctor.proc import read_cgroup_limit, read_meminfo
from trt_nemotron.deploy.sizes import shown

_LEAST_SHARED_BYTES = 1 << 30
_MUCH_SWAPPED_BYTES = 1 << 29
_SHARED = "/dev/shm"  # noqa: S108 - looked at, never written to


@dataclass(frozen=True, slots=True)
class _Reading:
    """How much memory the server may count on, and by whom that is said."""

    total: int
    available: int
    words: str


def check_memory(at: Examination) -> Outcome:
    """There is memory for the plan, or for the smallest form of the model."""
    reading = _reading(at)
    if reading is None:
        return unknown("it is not said how much memory there is; a server may end while it loads")
    need = memory_need(at.order, reading.total)
    evidence = f"{reading.words}; {need.words}"
    if reading.total < need.total_bytes:
        return fail(evidence, "Use a smaller form of the weights, fewer slots or a larger board.")
    if reading.available < need.total_bytes - need.reserve_bytes:
        return fail(evidence)
    return warn(evidence) if reading.available < need.total_bytes else ok(evidence)


def _reading(at: Examination) -> _Reading | None:
    """The board's own memory, or the host's where the board has none."""
    if "own-memory" in at.features():
        gpus = read_gpus(at.answer(IDENTITY))
        index = used_index(gpus, at.order.target.gpu, at.host.environment())
        total = gpus[index].memory_total_bytes if gpus else None
        free = gpus[index].memory_free_bytes if gpus else None
        if total is None or free is None:
            return None
        return _Reading(total, free, f"the driver says {shown(total)}, {shown(free)} free")
    memory = read_meminfo(at.host)
    if memory is None:
        return None
    words = (
        f"the kernel says {shown(memory.total)}, {shown(memory.available)} available, "
        f"{shown(memory.free)} free"
    )
    return _Reading(memory.total, memory.available, words)


def check_page_cache(at: Examination) -> Outcome:
    """What the GPU may take is free, and not merely available once files are forgotten."""
    memory = read_meminfo(at.host)
    if memory is None:
        return unknown("/proc/meminfo does not say; cached files count as used on such a board")
    need = memory_need(at.order, memory.total)
    needed = need.total_bytes - need.reserve_bytes
    evidence = (
        f"{shown(memory.free)} free, {shown(memory.available)} available, "
        f"{shown(memory.cached)} of it files; {shown(needed)} are needed"
    )
    return ok(evidence) if memory.free >= needed else warn(evidence)


def check_swap(at: Examination) -> Outcome:
    """Nothing is swapped, and no swap is kept in the very memory that it should relieve."""
    memory = read_meminfo(at.host)
    if memory is None:
        return unknown("/proc/meminfo does not say; a model that is swapped answers in minutes")
    swapped = memory.swap_total - memory.swap_free
    if "/dev/zram" in (at.host.read("/proc/swaps") or ""):
        return warn(
            f"zram is on: {shown(memory.swap_total)} of swap lie compressed in memory itself",
            "sudo systemctl disable nvzramconfig, and restart.",
            "https://www.jetson-ai-lab.com/tips_ram-optimization.html",
        )
    evidence = f"{shown(swapped)} of {shown(memory.swap_total)} are in use"
    return warn(evidence) if swapped > _MUCH_SWAPPED_BYTES else ok(evidence)


def check_memory_limit(at: Examination) -> Outcome:
    """No limit of our own control group is below what the server takes."""
    limit = read_cgroup_limit(at.host)
    if limit is None:
        return ok("our control group has no limit")
    need = memory_need(at.order, limit)
    evidence = f"our control group may use {shown(limit)}; {need.words}"
    return ok(evidence) if limit >= need.total_bytes else fail(evidence)


def check_shared_memory(at: Examination) -> Outcome:
    """Shared memory is large enough for what processes of a server pass each other."""
    disk = at.host.disk(_SHARED)
    if disk is None or "shm" not in at.host.listing("/dev"):
        return unknown(f"{_SHARED} is not there; processes of a server meet in it")
    evidence = f"{_SHARED} has {shown(disk.total_bytes)}"
    return ok(evidence) if disk.total_bytes >= _LEAST_SHARED_BYTES else warn(evidence)
