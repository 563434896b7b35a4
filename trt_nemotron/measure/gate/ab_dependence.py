"""Whether pairs are pairs of their own, or one process was disturbed for many of them.

The coin exchanges two moments, not two processes. Where a scheduler keeps one of two servers on a
processor that others use, that server is slower for seconds, whatever the order of its requests;
480 pairs then are a dozen. Gates simulated from one recording of two busy cores failed an unchanged
server so in half of all cases (docs/gating.md). It shows: if only moments differ, the sign of each
difference is a coin of its own, and the products of neighbouring ranks with their signs add up to
nothing.
"""

import math
from collections.abc import Sequence
from statistics import median

MOST_DEPENDENCE = 2.33
"""Standard deviations; independent pairs exceed it in one case of a hundred for each reach."""
REACHES = (8, 32)
"""Neighbours that are looked at: some tenths of a second, and some seconds."""


def dependence(losses: Sequence[float]) -> float:
    """How much neighbouring pairs are alike, in standard deviations of what coins would give.

    Ranks about the median, so that neither a true difference nor a stall looks like dependence.
    """
    ranks = _signed_ranks(losses)
    return max(_alike(ranks, reach) for reach in REACHES)


def _signed_ranks(losses: Sequence[float]) -> list[int]:
    centre = median(losses)
    by_size = sorted(range(len(losses)), key=lambda place: abs(losses[place] - centre))
    rank_of = {place: rank for rank, place in enumerate(by_size, 1)}
    return [
        rank_of[place] * ((loss > centre) - (loss < centre)) for place, loss in enumerate(losses)
    ]


def _alike(ranks: Sequence[int], reach: int) -> float:
    total = squares = 0
    for apart in range(1, reach + 1):
        for one, other in zip(ranks, ranks[apart:], strict=False):
            total += one * other
            squares += (one * other) ** 2
    return total / math.sqrt(squares) if squares else 0.0
