"""Which power mode the board is in: the same board in another mode is another board to measure.

The wrong one was seen to cost up to 2.8 times
(https://github.com/dusty-nv/jetson-containers/issues/617), so a measurement keeps it in its
fingerprint and is compared with none of another mode.
"""

import re

from trt_nemotron.command import run
from trt_nemotron.errors import CommandFailed
from trt_nemotron.facts.target import Target

NONE, UNKNOWN = "none", "unknown"
NVPMODEL = ("nvpmodel", "-q")
"""The question after a Jetson's power mode."""

_TIMEOUT_S = 10.0
_LIMIT = ("nvidia-smi", "--query-gpu=name,power.limit", "--format=csv,noheader,nounits")


def power_mode(target: Target) -> str:
    """The mode in words: `MAXN`, `700 W`, or the name of the only mode that there is.

    `none` for a target that has none, `unknown` where the board does not say.
    """
    if not target.power_modes:
        return NONE
    ways = " ".join(mode.set_by for mode in target.power_modes)
    if "nvpmodel" in ways:
        return nvpmodel_mode(_answer(NVPMODEL)) or UNKNOWN
    if "nvidia-smi" in ways:
        return _limit(target)
    return target.power_modes[0].name if len(target.power_modes) == 1 else UNKNOWN


def nvpmodel_mode(output: str) -> str:
    """The mode that the answer to `NVPMODEL` names; empty when it names none."""
    found = re.search(r"^NV Power Mode: *(\S+)", output, re.MULTILINE)
    return found.group(1) if found else ""


def _limit(target: Target) -> str:
    """The limit of the target's own board; unknown where there are two with different limits."""
    names = target.gpu.product_names if target.gpu else ()
    rows = [line.rpartition(",") for line in _answer(_LIMIT).splitlines()]
    limits = {limit.strip() for name, _, limit in rows if name.strip() in names}
    if len(limits) != 1:
        return UNKNOWN
    (limit,) = limits
    return f"{float(limit):.0f} W" if re.fullmatch(r"\d+(\.\d+)?", limit) else UNKNOWN


def _answer(question: tuple[str, ...]) -> str:
    try:
        return run(question, timeout_s=_TIMEOUT_S).stdout
    except CommandFailed:
        return ""
