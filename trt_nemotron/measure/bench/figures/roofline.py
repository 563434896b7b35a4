"""How near a leg comes to what the board allows, where somebody hands over what that is."""

from collections.abc import Sequence

import msgspec

from trt_nemotron.document import Value
from trt_nemotron.measure.bench.figures.summary import LegSummary


class Ceiling(Value, frozen=True, kw_only=True):
    """The highest rate that the memory of a board allows at one load.

    Attributes:
        concurrency: sequences decoded together.
        most_tokens_s: aggregate rate that no step can beat.
        input_tokens: of the legs it holds for; 0 for those of the workload's own length.
        source: where it comes from.
    """

    concurrency: int
    most_tokens_s: float
    input_tokens: int = 0
    source: str = ""


def ratio_to_ceiling(summary: LegSummary, ceilings: Sequence[Ceiling]) -> LegSummary:
    """The same figures with `roofline_ratio`, where a ceiling holds for the leg.

    A ceiling of so many sequences holds for an open loop as well: no more are under way.
    """
    found = [
        ceiling.most_tokens_s
        for ceiling in ceilings
        if ceiling.concurrency == summary.concurrency
        and ceiling.input_tokens == summary.input_tokens
    ]
    if not found or summary.tokens_per_s is None:
        return summary
    return msgspec.structs.replace(summary, roofline_ratio=summary.tokens_per_s / found[0])
