"""Medians and spread of rows over their rounds; and what may be wrong with a row."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.peers.peer import INTERVAL_MS, REQUESTS, TTFT_MS
from benchmarks.peers.results import FIGURES, Row

LATE_SHARE = 0.02
"""Of its plan, by which the server's median may be late before a row is doubted."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over its rounds: the middle one, the lowest and the highest."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Line:
    """One client at one load.

    Attributes:
        rounds: that gave figures.
        figures: by the names in `results.FIGURES`; `None` for what the client does not have.
    """

    client: str
    streams: int
    rounds: int
    figures: Mapping[str, Spread | None]


def spread(values: Sequence[float | None]) -> Spread | None:
    """Of those that are there; `None` when none is."""
    known = [value for value in values if value is not None]
    return Spread(statistics.median(known), min(known), max(known)) if known else None


def summarise(rows: Sequence[Row]) -> dict[tuple[int, str], Line]:
    """A line for each load and client that has figures, by (streams, client)."""
    grouped: dict[tuple[int, str], list[Row]] = {}
    for row in rows:
        if not row.fault:
            grouped.setdefault((row.streams, row.client), []).append(row)
    return {
        (streams, client): Line(
            client, streams, len(those),
            {name: spread([row.figures.get(name) for row in those]) for name in FIGURES},
        )
        for (streams, client), those in sorted(grouped.items())
    }  # fmt: skip


def doubts(row: Row) -> Iterator[str]:
    """What is wrong with a row, as far as its line tells."""
    if row.fault:
        yield f"gave no figures: {row.fault}"
        return
    asked = row.counts.get("asked", REQUESTS.get(row.streams, 0))
    if row.counts.get("failed"):
        yield f"{row.counts['failed']} of {asked} requests failed for it"
    if row.counts.get("good", asked) + row.counts.get("failed", 0) != asked:
        yield f"it counted {row.counts['good']} good ones of {asked}"
    if row.counts.get("answered", asked) < asked:
        yield f"the server answered {row.counts['answered']} of {asked}"
    for name, plan in (("ttft_p50", TTFT_MS), ("tpot_p50", INTERVAL_MS)):
        true = row.truth.get(name, plan)
        if abs(true / plan - 1.0) > LATE_SHARE:
            yield f"the server's own {name} was {true:.3f} ms instead of {plan:g}"
