"""One place for both servers: the same processors, so that no scheduler favours one of them.

Two servers that compute on a CPU and are both up sit where the scheduler last put them. Where other
programs use the machine, one of them then has the better processor for seconds, and no order of
requests evens that out: gates simulated from such a recording failed an unchanged server in half of
all cases. Held to the same processors both have the same neighbours, and only one of them computes
at a time (docs/gating.md).
"""

import os
from collections.abc import Sequence
from contextlib import suppress

from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.measure.bench.process_family import PROC, family

CPU_TARGET = "cpu"


def allowed_cores() -> tuple[int, ...]:
    """Processors that this process may use; none where the system does not hold processes."""
    if not hasattr(os, "sched_getaffinity"):
        return ()
    return tuple(sorted(os.sched_getaffinity(0)))


def choose_cores(arms: Sequence[tuple[Manifest, Plan]], allowed: Sequence[int]) -> tuple[int, ...]:
    """Processors for both servers: as many as the one with more threads computes on.

    Args:
        arms: both bundles.
        allowed: processors that there are.

    Returns:
        The last ones; none where a server does not compute on the CPU or needs all that there are.
    """
    counts = [_threads(manifest, plan) for manifest, plan in arms]
    if not all(counts) or max(counts) >= len(allowed):
        return ()
    return tuple(allowed[-max(counts) :])


def hold(pid: int, cores: Sequence[int]) -> None:
    """Hold a process, its children and all their threads to some processors (Linux).

    A thread that ends meanwhile is none any more, and what is started later inherits it.
    """
    for process in family(pid):
        with suppress(OSError):
            for thread in (PROC / str(process) / "task").iterdir():
                with suppress(ProcessLookupError):
                    os.sched_setaffinity(int(thread.name), cores)


def _threads(manifest: Manifest, plan: Plan) -> int:
    """Threads that the server computes with; 0 where that is not on a CPU, or is not known."""
    try:
        return plan.int_choice("n_threads") if manifest.target == CPU_TARGET else 0
    except (KeyError, TypeError):
        return 0
