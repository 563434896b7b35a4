"""Run a command on one core and tell what it and all its children took.

Children are found by the session that the command leads. Figures come from /proc, sampled every
quarter of a second: processor time of live and of reaped processes, and memory that is theirs alone
(resident less shared).
"""

import os
import signal
import subprocess
import time
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path

_PAUSE_S = 0.25
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took.

    Attributes:
        begun_ns: when it was started, by the monotonic clock.
        cpu_s: processor time of all its processes, from start to end.
        peak_mb: the most memory of its own that they held together, in 1,000,000 bytes.
        samples: (time in ns, processor time until then in s), in order.
    """

    begun_ns: int
    exit_code: int
    told: str
    cpu_s: float
    peak_mb: float
    samples: tuple[tuple[int, float], ...]

    def cpu_between(self, begin_ns: int, end_ns: int) -> float:
        """Seconds of processor time between two moments, interpolated between samples."""
        return self._cpu_at(end_ns) - self._cpu_at(begin_ns)

    def _cpu_at(self, at_ns: int) -> float:
        place = bisect_left(self.samples, (at_ns, 0.0))
        if place in {0, len(self.samples)}:
            return self.samples[min(place, len(self.samples) - 1)][1]
        (early, low), (late, high) = self.samples[place - 1 : place + 1]
        return low + (high - low) * (at_ns - early) / (late - early)


def watch(argv: list[str], core: int, environment: dict[str, str], timeout_s: float) -> Cost:
    """Run `argv` to its end, or end it after `timeout_s`; what it prints is kept for its end."""
    begun_ns = time.monotonic_ns()
    before = os.times()
    process = subprocess.Popen(
        ["taskset", "-c", str(core), *argv],  # noqa: S607 - wherever it is
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True, env=environment,
    )  # fmt: skip
    samples = [(begun_ns, 0.0)]
    peak = 0
    told = b""
    try:
        while True:
            try:
                told, _ = process.communicate(timeout=_PAUSE_S)
                break
            except subprocess.TimeoutExpired:
                now = time.monotonic_ns()
                ticks, pages = _look(process.pid)
                samples.append((now, max(samples[-1][1], ticks / _TICKS_PER_S)))
                peak = max(peak, pages)
                if now - begun_ns > timeout_s * 1e9:
                    _end(process.pid)
    finally:
        _end(process.pid)
        process.wait()
    after = os.times()
    cpu_s = after.children_user + after.children_system
    cpu_s -= before.children_user + before.children_system
    samples.append((time.monotonic_ns(), max(samples[-1][1], cpu_s)))
    return Cost(
        begun_ns, process.returncode, told.decode(errors="replace"), cpu_s, peak * _PAGE / 1e6,
        tuple(samples),
    )  # fmt: skip


def _look(session: int) -> tuple[int, int]:
    """Ticks of processor time and pages of own memory of all processes of a session."""
    ticks = pages = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) != session:
                continue
            ticks += sum(map(int, fields[11:15]))  # own and of reaped children, user and system
            _, resident, shared, *_ = map(int, (folder / "statm").read_text().split())
        except (OSError, ValueError):
            continue  # it has ended meanwhile
        pages += resident - shared
    return ticks, pages


def _end(session: int) -> None:
    """End what is left of a session's first process group."""
    try:
        os.killpg(session, signal.SIGKILL)
    except ProcessLookupError:
        return
