"""Energy over tokens: what a token cost of the board's power, idle power included."""

from collections.abc import Sequence

import msgspec

from trt_nemotron.measure.bench.figures.summary import LegSummary
from trt_nemotron.measure.bench.values import Energy, RequestRecord


def add_energy(
    summary: LegSummary, energies: Sequence[Energy], records: Sequence[RequestRecord]
) -> LegSummary:
    """The same figures with `watts` and `joules_per_token`, where the leg's energy was measured.

    `records` are all of the leg, warm-up included, since the board fed those too. A request that
    failed was fed as well, though nobody knows how many tokens it made: its energy is in the sum.
    """
    spent = next((e for e in reversed(energies) if e.leg == summary.leg), None)
    if spent is None or spent.joules is None:
        return summary
    tokens = [r.completion_tokens for r in records if r.outcome == "ok"]
    is_counted = bool(tokens) and min(tokens) >= 0 and sum(tokens) > 0
    return msgspec.structs.replace(
        summary,
        watts=spent.joules / spent.duration_s if spent.duration_s > 0 else None,
        joules_per_token=spent.joules / sum(tokens) if is_counted else None,
    )


def energy_notes(energies: Sequence[Energy]) -> tuple[str, ...]:
    """Why energy is missing, each reason once; what measured it where it is not."""
    missing = dict.fromkeys(e.reason for e in energies if e.joules is None)
    sources = dict.fromkeys(e.source for e in energies if e.joules is not None)
    return (
        *(f"no energy: {reason}" for reason in missing),
        *(f"energy by {source}, idle power included" for source in sources),
    )
