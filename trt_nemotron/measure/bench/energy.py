"""Joules of a leg, where the board reports its power and the server runs on it.

A sampler runs in a process of its own from before the first leg to after the last, and writes into
a file; between legs that file is read. The measuring process does nothing for it while it measures.

    with open_meter(address.socket_address[0], clock, folder) as meter:
        begin = meter.mark()
        ...                                    # one leg
        energy = meter.measure(leg, begin)     # between legs
"""

import ipaddress
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from trt_nemotron.command import TETHER, start
from trt_nemotron.errors import CommandFailed
from trt_nemotron.measure.bench.clock import Clock
from trt_nemotron.measure.bench.energy_integral import Span, find_gap, joules_of_power
from trt_nemotron.measure.bench.energy_sources import (
    Places,
    Source,
    find_source,
    nvidia_query,
    read_series,
)
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import Energy
from trt_nemotron.process import Running
from trt_nemotron.redaction import scrubbed_environment

PERIOD_MS = 100
MOST_STEP_S = 0.01
"""Of the wall clock within a leg: readings carry its times."""
_SAMPLER = Path(__file__).with_name("energy_sampler.py")


@dataclass(frozen=True, slots=True)
class Mark:
    """One moment by both clocks, in nanoseconds."""

    realtime_ns: int
    monotonic_ns: int


@dataclass(slots=True)
class Meter:
    """Measures the energy of legs; without a source it says why it cannot."""

    clock: Clock
    source: Source | None = None
    reason: str = ""
    path: Path = field(default_factory=Path)

    def mark(self) -> Mark:
        """Now: where a leg begins."""
        return Mark(self.clock.realtime_ns(), self.clock.monotonic_ns())

    def measure(self, leg: Leg, begin: Mark) -> Energy:
        """What was spent from `begin` until now."""
        end = self.mark()
        span = Span(begin.realtime_ns, end.realtime_ns)
        seconds = (end.monotonic_ns - begin.monotonic_ns) / 1e9
        if self.source is None:
            return Energy(leg=leg, joules=None, duration_s=seconds, reason=self.reason)
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        times, watts = read_series(self.source, lines)
        reason = find_gap(times, span)
        if abs(span.seconds - seconds) > MOST_STEP_S:
            reason = "the wall clock was stepped, and the readings carry its times"
        return Energy(
            leg=leg,
            joules=None if reason else joules_of_power(times, watts, span),
            duration_s=seconds,
            source=self.source.title,
            samples=sum(span.begin_ns <= time <= span.end_ns for time in times),
            reason=reason,
        )


@contextmanager
def open_meter(
    host: str, clock: Clock, folder: Path, places: Places | None = None
) -> Iterator[Meter]:
    """A meter that samples while the block lasts; nothing of it is left running afterwards.

    Args:
        host: numeric address of the server; only one on this machine draws this board's power.
        clock: of the run.
        folder: for the sampler's file, its own.
        places: where the system keeps what reports power.
    """
    places = places or Places()
    if not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
        yield Meter(clock, reason=f"the server at {host} does not run on this board's power")
        return
    source, reason = find_source(places)
    if source is None:
        yield Meter(clock, reason=reason)
        return
    path = folder / "power.txt"
    try:
        sampler = _start(source, places, path, folder)
    except (CommandFailed, OSError) as fault:
        yield Meter(clock, reason=f"no sampler: {str(fault).splitlines()[0]}")
        return
    try:
        yield Meter(clock, source, path=path)
    finally:
        sampler.kill()
        sampler.close_input()


def _start(source: Source, places: Places, path: Path, folder: Path) -> Running:
    """The sampler, tied to our own life, with `path` as its output."""
    python = [sys.executable, "-I", "-S"]
    path.touch(mode=0o600)
    if source.kind == "nvidia-smi":
        loop = [f"--loop-ms={PERIOD_MS}", f"--filename={path}"]
        program = [*nvidia_query(places.nvidia_smi), *loop]
    else:
        program = [*python, str(_SAMPLER), str(path), str(PERIOD_MS), *map(str, source.paths)]
    return start(
        [*python, str(TETHER), str(os.getpid()), *program],
        log_path=folder / "power.log",
        env=scrubbed_environment(),
    )
