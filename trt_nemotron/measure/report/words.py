"""Numbers and decisions as people read them."""

from collections.abc import Mapping
from types import MappingProxyType

from trt_nemotron.measure.gate.metrics import METRICS
from trt_nemotron.measure.gate.values import BoundResult, Decision

NOTHING = "\N{EN DASH}"
"""Stands where there is no number."""

DECISION_WORDS: Mapping[Decision, str] = MappingProxyType(
    {
        "pass": "PASS",
        "fail": "FAIL",
        "invalid": "INVALID",
        "no_baseline": "NO BASELINE",
        "inconclusive": "INCONCLUSIVE",
    }
)
DECISION_SIGNS: Mapping[Decision, str] = MappingProxyType(
    {"pass": "✓", "fail": "✗", "invalid": "!", "no_baseline": "∅", "inconclusive": "?"}
)


REMARK = "Look at this"
LATE = "Judged by what the server can have done at worst"
"""Before the reason of a verdict's note: the client was late, see docs/gating.md."""


def number(value: float | None) -> str:
    """Three significant digits, no exponent up to millions; a dash for nothing."""
    if value is None:
        return NOTHING
    if value == 0:
        return "0"
    if abs(value) < 0.1:
        return f"{value:.2g}"
    decimals = max(0, 3 - len(str(int(abs(value)))))
    return f"{value:,.{decimals}f}"


def interval(low: float | None, high: float | None) -> str:
    """`0.41 to 0.48`; empty when there are no limits, or when they coincide."""
    if low is None or high is None or low == high:
        return ""
    return f"{number(low)} to {number(high)}"


def change(ratio: float) -> str:
    """A ratio as what was added or taken: `+4.2 %`; from ten-fold on as a factor, `x 12.0`."""
    if ratio >= 10:
        return f"× {number(ratio)}"  # noqa: RUF001 - the sign of multiplication
    percent = 100.0 * (ratio - 1.0)
    return f"{percent:+.1f} %" if abs(percent) >= 0.05 else "±0 %"


def size(size_bytes: int) -> str:
    """Bytes in binary units with three digits: `3.30 MiB`."""
    amount = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(amount) < 1024 or unit == "GiB":
            return f"{int(amount)} B" if unit == "B" else f"{number(amount)} {unit}"
        amount /= 1024
    raise AssertionError


def bound(result: BoundResult) -> str:
    """The bound with its sign, `≤ 5 ms`; a dash where there is none to show."""
    if result.bound is None:
        return NOTHING
    sign = "≤" if result.direction == "lower_is_better" else "≥"
    return f"{sign} {result.bound:,g} {unit(result)}".rstrip()


def figure(result: BoundResult) -> str:
    """The figure with its unit."""
    if result.figure is None:
        return NOTHING
    if result.unit == "checks":
        return f"{result.figure:g} of {result.samples}"
    return f"{number(result.figure)} {unit(result)}".rstrip()


def title(result: BoundResult) -> str:
    """What was bounded, in words."""
    if result.metric in METRICS:
        return METRICS[result.metric].title
    return "checks of the answers that failed"


def unit(result: BoundResult) -> str:
    """The unit; nothing for a count of checks and for a share."""
    return "" if result.unit in {"checks", "share"} else result.unit
