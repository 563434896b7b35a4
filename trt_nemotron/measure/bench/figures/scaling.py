"""Where more streams stop bringing more tokens: the knee, or that it was not reached.

A result at one concurrency says nothing of the next: a server was seen to saturate at 128 streams
where another went on to 512 (https://github.com/NVIDIA/TensorRT-LLM/issues/13562).
"""

from collections.abc import Sequence

from trt_nemotron.measure.bench.figures.summary import LegSummary

LEAST_GAIN = 1.10
"""A rate that is not a tenth higher is no gain worth the latency; noise between runs is less."""

FEWEST_LEVELS = 3
"""Concurrencies below which nothing is said: two points have no knee."""


def find_knee(levels: Sequence[LegSummary]) -> int | None:
    """The least concurrency that no higher one beats by `LEAST_GAIN` in tokens a second.

    Nothing when that is the highest one measured, since it may lie beyond; nothing either from
    fewer than `FEWEST_LEVELS` concurrencies, or when one of them has no rate.
    """
    rates = _rates(levels)
    if rates is None:
        return None
    for place, (concurrency, rate) in enumerate(rates[:-1]):
        if all(other <= rate * LEAST_GAIN for _, other in rates[place + 1 :]):
            return concurrency
    return None


def scaling_notes(legs: Sequence[LegSummary]) -> tuple[str, ...]:
    """One sentence on the knee of each prompt length; none when too little was measured.

    Open loops have no knee: their rate was chosen, not found.
    """
    closed = [leg for leg in legs if not leg.rate_rps]
    lengths = dict.fromkeys(leg.input_tokens for leg in closed)
    return tuple(
        (f"{length} tokens in: " if length else "") + note
        for length in lengths
        for note in _notes_of([leg for leg in closed if leg.input_tokens == length])
    )


def _notes_of(levels: Sequence[LegSummary]) -> tuple[str, ...]:
    rates = _rates(levels)
    if rates is None:
        return ()
    knee, (most, rate) = find_knee(levels), rates[-1]
    if knee is None:
        return (
            (
                f"throughput still grew at {most} streams ({rate:,.0f} tokens/s): the knee lies "
                "beyond, or just there"
            ),
        )
    at_knee = dict(rates)[knee]
    return (
        (
            f"the knee is at {knee} streams: {at_knee:,.0f} tokens/s, and no higher concurrency up "
            f"to {most} brings a tenth more"
        ),
    )


def _rates(levels: Sequence[LegSummary]) -> list[tuple[int, float]] | None:
    """Concurrencies with their rates, rising; nothing when a rate is missing or there are few."""
    rates = [
        (level.concurrency, level.tokens_per_s)
        for level in sorted(levels, key=lambda level: level.concurrency)
        if level.tokens_per_s is not None
    ]
    return rates if len(rates) == len(levels) >= FEWEST_LEVELS else None
