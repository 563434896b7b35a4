"""Recorded arrivals: a file of offsets, played as they were."""

import hashlib
import json
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from trt_nemotron.errors import InvalidInput

_NAMES = ("offset_s", "timestamp", "arrival_s", "time")
_LARGEST = 64 * 1024 * 1024
_MOST_ARRIVALS = 1_000_000


@dataclass(frozen=True, slots=True)
class Trace:
    """Arrivals in seconds from the first one, never falling; `sha256` is of the file."""

    offsets_s: tuple[float, ...]
    sha256: str


def read_trace(path: Path) -> Trace:
    """The arrivals in `path`: one a line, a number of seconds or a JSON object with one as
    `offset_s`, `timestamp`, `arrival_s` or `time`. The first one becomes 0.

    Raises:
        InvalidInput: no such file, a line that is none of these, or times that fall.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise InvalidInput(
                f"{path} is too large for a trace",
                evidence=f"over {_LARGEST} B",
                next_step="Cut it to the arrivals that are to be played.",
            )
        data = path.read_bytes()
    except OSError as fault:
        raise InvalidInput(
            f"cannot read {path}",
            evidence=fault.strerror or str(fault),
            next_step="Check the path and its permissions.",
        ) from fault
    lines = data.decode("utf-8", "replace").splitlines()
    times = [_read_line(line, place, path) for place, line in enumerate(lines, 1) if line.strip()]
    if not times or len(times) > _MOST_ARRIVALS:
        raise InvalidInput(
            f"{path} must hold between 1 and {_MOST_ARRIVALS:,} arrivals",
            evidence=str(len(times)),
            next_step="One arrival a line: seconds, or a JSON object with them.",
        )
    if any(later < earlier for earlier, later in pairwise(times)):
        raise InvalidInput(
            f"the arrivals in {path} are not in order",
            next_step="Sort them by time: what came first stands first.",
        )
    return Trace(tuple(at - times[0] for at in times), hashlib.sha256(data).hexdigest())


def _read_line(line: str, place: int, path: Path) -> float:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        value = next((value[name] for name in _NAMES if name in value), None)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise InvalidInput(
            f"line {place} of {path} is no arrival",
            evidence=line.strip()[:80],
            next_step=f"A number of seconds, or an object with one as {', '.join(_NAMES)}.",
        )
    return float(value)
