"""The system around a server: disk, limits, port, load."""

import math
import re

from trt_nemotron.deploy.doctor.containers import find_engine, inspect_image, read_image
from trt_nemotron.deploy.doctor.examination import Examination, Outcome, fail, ok, unknown, warn
from trt_nemotron.deploy.doctor.needs import smallest_weights
from trt_nemotron.deploy.doctor.proc import read_chosen, read_limit, read_number
from trt_nemotron.deploy.sizes import shown

_LEAST_OPEN_FILES = 4096
_LEAST_WATCHES = 8192
_LEAST_INSTANCES = 128
_STACK_BYTES = 67108864
_MUCH_STOLEN = 0.01
_USUAL_STORAGE = "/var/lib"
_HUGE_PAGES = "/sys/kernel/mm/transparent_hugepage"


def check_disk(at: Examination) -> Outcome:
    """There is room for the weights, the image and what is compiled."""
    needs = _disk_needs(at)
    free: dict[int, tuple[int, str]] = {}
    wanted: dict[int, int] = {}
    for path, (size, _) in needs.items():
        disk = at.host.disk(path)
        if disk is None:
            return unknown(f"the disk of {path} cannot be read")
        free[disk.device] = (disk.free_bytes, path)
        wanted[disk.device] = wanted.get(disk.device, 0) + size
    words = ", ".join(f"{shown(size)} {what}" for size, what in needs.values() if size)
    short = [it for it in wanted if free[it][0] < wanted[it]]
    if short:
        least, path = free[short[0]]
        return fail(f"{path} has {shown(least)}, and {shown(wanted[short[0]])} are needed: {words}")
    return ok(
        f"{shown(min(it for it, _ in free.values()))} free; needed: {words or 'nothing more'}"
    )


def _disk_needs(at: Examination) -> dict[str, tuple[int, str]]:
    """Path -> bytes that will be written below it, and what they are."""
    order, facts = at.order, at.facts
    weights, name = smallest_weights(order)
    needs = {order.folders.work: (0 if order.plan else weights, f"for {name}")}
    if not order.image:
        return needs
    needs[order.folders.cache] = (int(facts.cache_bytes.value), "for compiled artefacts (assumed)")
    engine = find_engine(at)
    asked = inspect_image(engine.name if engine else "", order.image)
    size = 0 if read_image(at.answer(asked)) else int(facts.image_bytes.value)
    storage = (engine.storage if engine else "") or _USUAL_STORAGE
    needs[storage] = (size, "for the image (assumed)")
    return needs


def check_open_files(at: Examination) -> Outcome:
    """A server may hold many connections and files open."""
    limit = read_limit(at.host, "Max open files")
    if limit is None:
        return unknown("/proc/self/limits does not say")
    evidence = f"{_count(limit[0])}, and it may be raised to {_count(limit[1])}"
    remedy = f"ulimit -n {_LEAST_OPEN_FILES}" if limit[1] >= _LEAST_OPEN_FILES else ""
    return ok(evidence) if limit[0] >= _LEAST_OPEN_FILES else warn(evidence, remedy)


def check_locked_memory(at: Examination) -> Outcome:
    """The engine may give a container the limits that the runtime asks for."""
    engine = find_engine(at)
    locked, stack = (read_limit(at.host, f"Max {it}") for it in ("locked memory", "stack size"))
    if engine is None or locked is None or stack is None:
        return unknown("no engine answers, or /proc/self/limits is silent")
    if not engine.is_rootless:
        return ok(f"{engine.name} runs with root, and may raise them")
    evidence = f"locked memory {_bytes(locked[1])}, stack {_bytes(stack[1])}, without root"
    is_enough = math.isinf(locked[1]) and stack[1] >= _STACK_BYTES
    return ok(evidence) if is_enough else warn(evidence)


def check_inotify(at: Examination) -> Outcome:
    """Engines and their logs can watch files."""
    folder = "/proc/sys/fs/inotify"
    watches = read_number(at.host, f"{folder}/max_user_watches")
    instances = read_number(at.host, f"{folder}/max_user_instances")
    if watches is None or instances is None:
        return unknown("the kernel does not say; an engine that cannot watch loses its logs")
    evidence = f"{watches:,} watches, {instances:,} instances"
    is_enough = watches >= _LEAST_WATCHES and instances >= _LEAST_INSTANCES
    return ok(evidence) if is_enough else warn(evidence)


def check_huge_pages(at: Examination) -> Outcome:
    """Memory is not compacted while somebody waits for a token."""
    enabled = read_chosen(at.host, f"{_HUGE_PAGES}/enabled")
    defrag = read_chosen(at.host, f"{_HUGE_PAGES}/defrag")
    if enabled is None or defrag is None:
        return unknown("the kernel does not say; compaction shows as rare long pauses")
    evidence = f"enabled: {enabled}, defrag: {defrag}"
    return warn(evidence) if enabled == defrag == "always" else ok(evidence)


def check_port(at: Examination) -> Outcome:
    """The server can listen."""
    port = at.order.port
    fault = at.host.port_fault(port)
    return fail(fault) if fault else ok(f"port {port} is free on 127.0.0.1")


def check_state_folder(at: Examination) -> Outcome:
    """Our own records can be kept."""
    folder = at.order.folders.state
    return ok(folder) if at.host.can_write(folder) else fail(f"{folder} cannot be written")


def check_load(at: Examination) -> Outcome:
    """The machine is quiet."""
    cores = at.host.cores()
    found = re.match(r"([0-9]{1,6}\.[0-9]{1,4}) ", at.host.read("/proc/loadavg") or "")
    if found is None:
        return unknown("/proc/loadavg does not say; other work shows as latency")
    load = float(found.group(1))
    evidence = f"{load:.2f} over the last minute, for {cores} cores"
    return warn(evidence) if load > cores / 2 else ok(evidence)


def check_steal(at: Examination) -> Outcome:
    """No other virtual machine takes our processor's time."""
    words = (at.host.read("/proc/stat") or "").partition("\n")[0].split()
    times = [int(it) for it in words[1:] if re.fullmatch(r"[0-9]{1,20}", it)]
    if words[:1] != ["cpu"] or len(times) < 8 or not any(times):
        return unknown("/proc/stat does not say; stolen time shows as latency")
    # Guest times, the last two, are in user and nice already.
    share = times[7] / sum(times[:8])
    evidence = f"{share:.2%} of the time since the start was stolen"
    return warn(evidence) if share > _MUCH_STOLEN else ok(evidence)


def _count(limit: float) -> str:
    return "unlimited" if math.isinf(limit) else f"{limit:,.0f}"


def _bytes(limit: float) -> str:
    return "unlimited" if math.isinf(limit) else shown(limit)
