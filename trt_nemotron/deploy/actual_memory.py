"""Planned against actual memory: the ledger beside what the server says it took."""

from collections.abc import Iterable

from trt_nemotron.deploy.plan import Ledger
from trt_nemotron.deploy.runtimes.protocol import ReportedBuffer
from trt_nemotron.document import Value

MOST_GAP = 0.02
"""Share by which an exact line of the ledger may differ from the server's own report."""

_PARTS = {"weights": ("weights", "repacked_weights"), "kv_cache": ("kv_cache", "kv_spare")}
"""A buffer that the server reports as one and the ledger keeps as several lines."""


class MemoryGap(Value, frozen=True, kw_only=True):
    """One buffer, planned and reported.

    Attributes:
        is_exact: whether the ledger claims to know it to the byte; the rest it estimates.
        gap: (reported - planned) / reported, as far as the report's rounding lets it be seen.
    """

    name: str
    planned_bytes: int
    reported_bytes: int
    resolution_bytes: int
    is_exact: bool
    gap: float

    @property
    def is_wrong(self) -> bool:
        """An exact line that the server contradicts."""
        return self.is_exact and abs(self.gap) > MOST_GAP


def compare_memory(ledger: Ledger, reported: Iterable[ReportedBuffer]) -> tuple[MemoryGap, ...]:
    """Every reported buffer that the ledger has a line for, in the order of the report."""
    lines = {line.name: line for line in ledger.lines}
    gaps = []
    for buffer in reported:
        parts = [lines[name] for name in _PARTS.get(buffer.name, (buffer.name,)) if name in lines]
        if not parts:
            continue
        planned = sum(line.size_bytes for line in parts)
        gaps.append(
            MemoryGap(
                name=buffer.name,
                planned_bytes=planned,
                reported_bytes=buffer.size_bytes,
                resolution_bytes=buffer.resolution_bytes,
                is_exact=all(line.status == "exact" for line in parts),
                gap=_gap(planned, buffer),
            )
        )
    return tuple(gaps)


def _gap(planned_bytes: int, buffer: ReportedBuffer) -> float:
    """0 within the report's own rounding; beyond it, from the nearer end of what it may mean."""
    difference = buffer.size_bytes - planned_bytes
    beyond = max(0, abs(difference) - buffer.resolution_bytes)
    if beyond == 0:
        return 0.0
    return (beyond if difference > 0 else -beyond) / max(1, buffer.size_bytes)


def in_words(gaps: Iterable[MemoryGap]) -> str:
    """How well the plan knew the buffers that it claims to know; empty when it claims none."""
    exact = [gap for gap in gaps if gap.is_exact]
    if not exact:
        return ""
    names = ", ".join(gap.name.replace("_", " ") for gap in exact)
    worst = max(abs(gap.gap) for gap in exact)
    return f"{names} as planned" if worst == 0 else f"{names} within {worst:.1%} of the plan"
