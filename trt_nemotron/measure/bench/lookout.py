"""What else went on where the server runs while a leg was measured: other load, lowered clocks.

Looked at before and after a leg, never in it. Of a server that does not run on this machine
nothing is known, and nothing is said.
"""

import ipaddress
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from trt_nemotron.measure.bench.clock import Clock
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.process_family import (
    PROC,
    family,
    listener_of,
    processor_seconds,
)
from trt_nemotron.measure.bench.throttling import Throttles, spent_between
from trt_nemotron.measure.bench.values import Surroundings, Throttled

_TICKS_PER_S = 100.0 if sys.platform == "win32" else float(os.sysconf("SC_CLK_TCK"))
_USER, _NICE, _SYSTEM, _IRQ, _SOFTIRQ, _STOLEN = 0, 1, 2, 5, 6, 7
_STAND_FOR_ANOTHER = ("docker-proxy", "rootlessport", "slirp4netns", "pasta", "conmon")
"""How programs are called that listen in a container's place: its processes are not theirs. Names
may go on, as in `pasta.avx2` or `rootlessport-child`."""


@dataclass(frozen=True, slots=True)
class Glance:
    """Counters at one moment, in seconds.

    Attributes:
        busy_s, stolen_s: of all processors together: computing, and taken by a hypervisor.
        ours_s: of this client and of the server.
        throttled_s: by what was throttled.
        active: cooling devices that lower clocks.
    """

    monotonic_ns: int
    busy_s: float = 0.0
    stolen_s: float = 0.0
    ours_s: float = 0.0
    throttled_s: Mapping[str, float] = field(default_factory=dict)
    active: tuple[str, ...] = ()


class Lookout:
    """Looks at this machine on both sides of a leg.

    Args:
        port: on which the server listens.
        clock: monotonic.
        throttles: what may slow the board down.
        proc: where the kernel shows processes.
    """

    def __init__(
        self, port: int, clock: Clock, throttles: Throttles | None = None, proc: Path = PROC
    ) -> None:
        self._clock = clock
        self._throttles = throttles or Throttles()
        self._proc = proc
        self._server = listener_of(port, proc)
        if self._server is not None and _name_of(self._server, proc).startswith(_STAND_FOR_ANOTHER):
            self._server = None

    def look(self) -> Glance:
        """Now."""
        ours: set[int] = set()
        if self._server is not None:
            ours = {*family(os.getpid(), self._proc), *family(self._server, self._proc)}
        busy_s, stolen_s = _machine_seconds(self._proc)
        return Glance(
            monotonic_ns=self._clock.monotonic_ns(),
            busy_s=busy_s,
            stolen_s=stolen_s,
            ours_s=processor_seconds(ours, self._proc),
            throttled_s=self._throttles.seconds(),
            active=self._throttles.active(),
        )

    def compare(self, leg: Leg, before: Glance, after: Glance) -> Surroundings:
        """What happened between two glances."""
        seconds = (after.monotonic_ns - before.monotonic_ns) / 1e9
        others_s = (after.busy_s - before.busy_s) - (after.ours_s - before.ours_s)
        is_known = self._server is not None and seconds > 0
        spent = spent_between(before.throttled_s, after.throttled_s)
        return Surroundings(
            leg=leg,
            duration_s=seconds,
            processors=os.cpu_count() or 1,
            other_load_processors=max(0.0, others_s / seconds) if is_known else None,
            stolen_processors=max(0.0, (after.stolen_s - before.stolen_s) / max(seconds, 1e-9)),
            throttled=tuple(
                Throttled(what=what, seconds=span_s) for what, span_s in spent.items() if span_s > 0
            ),
            lowered_clocks=tuple(sorted({*before.active, *after.active})),
        )


def open_lookout(host: str, port: int, clock: Clock) -> Lookout | None:
    """A lookout on the server's machine; none where that is another one, or no Linux."""
    is_here = ipaddress.ip_address(host.partition("%")[0]).is_loopback
    return Lookout(port, clock) if is_here and sys.platform == "linux" else None


def _machine_seconds(proc: Path) -> tuple[float, float]:
    """Busy and stolen seconds of all processors, from the first line of `/proc/stat`."""
    with suppress(OSError, ValueError, IndexError):
        with (proc / "stat").open(encoding="ascii") as file:
            ticks = [int(word) for word in file.readline().split()[1:]]
        busy = sum(ticks[place] for place in (_USER, _NICE, _SYSTEM, _IRQ, _SOFTIRQ))
        return busy / _TICKS_PER_S, ticks[_STOLEN] / _TICKS_PER_S
    return 0.0, 0.0


def _name_of(pid: int, proc: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return (proc / str(pid) / "comm").read_text().strip()
    return ""
