"""The machine, and what else it was doing while a client was measured; from /proc."""

import os
import platform
import subprocess
import time
from pathlib import Path

from trt_nemotron import __version__

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_IDLE, _WAITING, _STOLEN = 3, 4, 7
"""Columns of the first line of /proc/stat; see proc_stat(5)."""


def machine() -> str:
    """Cores that we may use, processor, kernel and Python, in words."""
    processor = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
            break
    cores = len(os.sched_getaffinity(0))
    python = platform.python_version()
    return f"{cores} cores ({processor}), Linux {platform.release().split('-')[0]}, Python {python}"


def now() -> str:
    """UTC, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime())


def load() -> float:
    """Load average over one minute."""
    return round(os.getloadavg()[0], 2)


def busy_share(pause_s: float = 1.0) -> float:
    """Share of all cores that is busy during the next `pause_s`."""
    before = _ticks()
    time.sleep(pause_s)
    spent = [late - early for early, late in zip(before, _ticks(), strict=True)]
    whole = sum(spent) or 1
    return round(1.0 - (spent[_IDLE] + spent[_WAITING]) / whole, 3)


def stolen_s() -> float:
    """Processor time since the start of the machine that its hypervisor gave to others."""
    return _ticks()[_STOLEN] / _TICKS_PER_S


def our_version(root: Path) -> str:
    """With the commit, and a plus when the package differs from it; alone outside a checkout."""
    commit = _git(root, "rev-parse", "--short", "HEAD")
    if not commit:
        return __version__
    changed = _git(root, "diff", "HEAD", "--stat", "--", "trt_nemotron")
    return f"{__version__} ({commit}{'+' if changed else ''})"


def _git(root: Path, *words: str) -> str:
    try:
        argv = ["git", *words]
        done = subprocess.run(argv, cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def _ticks() -> list[int]:
    first = Path("/proc/stat").read_text().splitlines()[0].split()
    return [int(part) for part in first[1:9]]
