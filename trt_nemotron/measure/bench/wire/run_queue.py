"""How long a thread that could run had to wait for a processor: the kernel's own account.

What is stamped by our own clock is late by just that, whatever else the machine did meanwhile. The
account is `/proc/thread-self/schedstat`: time on a processor, time waited for one, both in
nanoseconds, and how often one was given (https://docs.kernel.org/scheduler/sched-stats.html).
"""

from pathlib import Path
from typing import NamedTuple

_ACCOUNT = Path("/proc/thread-self/schedstat")
_FIELDS = 3


class RunQueue(NamedTuple):
    """Waiting of one thread, since it began or between two readings.

    Attributes:
        waited_ns: ready to run, on no processor.
        turns: how often it was given one; 0 where the system does not tell.
    """

    waited_ns: int = 0
    turns: int = 0

    def since(self, earlier: "RunQueue") -> "RunQueue":
        """What has come to it since an earlier reading."""
        return RunQueue(self.waited_ns - earlier.waited_ns, self.turns - earlier.turns)

    def plus(self, other: "RunQueue") -> "RunQueue":
        """Both together."""
        return RunQueue(self.waited_ns + other.waited_ns, self.turns + other.turns)

    @property
    def mean_ms(self) -> float:
        """Of one turn, in milliseconds; -1 where the system does not tell."""
        return self.waited_ns / self.turns / 1e6 if self.turns > 0 else -1.0


def read_run_queue(account: Path = _ACCOUNT) -> RunQueue:
    """The waiting of this thread so far; nothing where the system does not tell."""
    try:
        fields = account.read_text("ascii").split()
    except (OSError, UnicodeDecodeError):
        return RunQueue()
    if len(fields) != _FIELDS or not all(field.isdigit() for field in fields):
        return RunQueue()
    return RunQueue(int(fields[1]), int(fields[2]))
