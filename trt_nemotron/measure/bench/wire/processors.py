"""Whether any processor of the machine was idle while a loop ran: the kernel's own account.

The first line of `/proc/stat` has the time of all processors together, by what it was spent on, in
ticks
(https://docs.kernel.org/filesystems/proc.html#miscellaneous-kernel-statistics-in-proc-stat).
"""

from pathlib import Path
from typing import NamedTuple

_ACCOUNT = Path("/proc/stat")
_COUNTED = 8
"""user, nice, system, idle, iowait, irq, softirq, steal; a guest's time is in user already."""
_IDLE = (3, 4)
_FEWEST_TICKS = 20
"""Below it a share is too coarse: 0.1 s of two processors."""


class Processors(NamedTuple):
    """Time of all processors together, since the machine started or between two readings.

    Attributes:
        idle: ticks in which nothing ran.
        ticks: all of them; 0 where the system does not tell.
    """

    idle: int = 0
    ticks: int = 0

    def since(self, earlier: "Processors") -> "Processors":
        """What has come to it since an earlier reading."""
        return Processors(self.idle - earlier.idle, self.ticks - earlier.ticks)

    def plus(self, other: "Processors") -> "Processors":
        """Both together."""
        return Processors(self.idle + other.idle, self.ticks + other.ticks)

    @property
    def idle_share(self) -> float:
        """Between 0 and 1; -1 where the system does not tell, or not finely enough."""
        return max(0.0, self.idle / self.ticks) if self.ticks >= _FEWEST_TICKS else -1.0


def read_processors(account: Path = _ACCOUNT) -> Processors:
    """The account so far; nothing where the system does not tell."""
    try:
        with account.open(encoding="ascii") as file:
            name, *fields = file.readline().split()
    except (OSError, UnicodeDecodeError, ValueError):
        return Processors()
    counted = fields[:_COUNTED]
    if name != "cpu" or len(counted) < _COUNTED or not all(map(str.isdigit, counted)):
        return Processors()
    ticks = [int(field) for field in counted]
    return Processors(sum(ticks[place] for place in _IDLE), sum(ticks))
