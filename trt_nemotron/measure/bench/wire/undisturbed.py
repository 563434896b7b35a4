"""While the loop runs: no garbage collection, and a higher priority where that is allowed."""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SWITCH_INTERVAL_S = 0.0001
_NICENESS = -10


@contextmanager
def undisturbed(*, is_short: bool = False) -> Iterator[int]:
    """Nothing of our own interrupts: no garbage collection, other threads give way at once.

    Where the system allows it, this thread also goes before others on a busy machine: it needs
    little time, but at once. Yields its niceness. What earlier loops left behind is collected
    before, except where this one is so short that it would take longer than all the rest.
    """
    was_enabled = gc.isenabled()
    interval = sys.getswitchinterval()
    if not is_short:
        gc.collect()
    gc.disable()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, min(usual, _NICENESS))
    try:
        yield os.getpriority(os.PRIO_PROCESS, 0)
    finally:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, usual)
        sys.setswitchinterval(interval)
        if was_enabled:
            gc.enable()
