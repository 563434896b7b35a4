"""Processes of other programs, known again for certain: by id and creation time, or by a mark."""

from collections.abc import Iterator
from contextlib import suppress

import psutil

INSTANCE_VARIABLE = "TRT_NEMOTRON_INSTANCE"
"""In the environment of a server and of all it starts; its value is `Endpoint.instance`."""

_SAME_TIME_S = 2.0
"""Creation times are derived from the boot time, which moves when the clock is set right."""


def creation_time(pid: int) -> float:
    """When process `pid` was created, in seconds since the epoch; 0.0 when there is none."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return 0.0


def find_process(pid: int, created: float) -> psutil.Process | None:
    """The live process with this id and creation time; a zombie does not live."""
    if pid <= 0:
        return None
    try:
        process = psutil.Process(pid)
        is_same = abs(process.create_time() - created) < _SAME_TIME_S
        return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def marked_processes(instance: str) -> Iterator[psutil.Process]:
    """Live processes of ours that carry the mark of an instance, wherever their parents went."""
    if not instance:
        return
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(INSTANCE_VARIABLE) == instance:
                yield process


def sweep(instance: str, wait_s: float = 5.0) -> int:
    """Kill what is left of an instance and wait for it; the number of processes killed."""
    found = list(marked_processes(instance))
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(found, timeout=wait_s)
    return len(found)


def resident_bytes(process: psutil.Process) -> int:
    """Resident memory of a process and its descendants; shared pages count for each."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        for member in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += int(member.memory_info().rss)
    return total
