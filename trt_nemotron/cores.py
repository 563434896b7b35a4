"""Cores: how many processors this process may use; asked by plans and by measurements alike."""

import os


def usable_cores() -> int:
    """Processors that the affinity of this process allows; where the system has none, all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
