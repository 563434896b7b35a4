"""The figures of one run of the comparison as a page."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.peers.peer import INTERVAL_MS, REQUESTS, TOKENS, TTFT_MS

Row = dict[str, float | None]
COLUMNS = {
    "ttft_p50_ms": ("TTFT p50 (ms)", "+.3f"),
    "ttft_p99_ms": ("TTFT p99 (ms)", "+.3f"),
    "itl_p99_ms": ("ITL p99 (ms)", "+.3f"),
    "tpot_p50_percent": ("TPOT p50 (%)", "+.3f"),
    "us_per_token": ("CPU per token (us)", ".1f"),
    "cpu_s": ("CPU, whole command (s)", ".1f"),
    "first_request_s": ("first request after (s)", ".2f"),
    "peak_mb": ("peak memory (MB)", ".0f"),
}
INTRO = """\
# Beside other clients

Written by `python -m benchmarks.peers`; do not edit it. Every figure is from one run of

    {command}

on {date}: {machine}. Load average at the start {load_begin}, at the end {load_end}.

The truth server ([benchmarks/truth](../benchmarks/truth/README.md)) sends {tokens} tokens a
request, {interval:g} ms apart after {ttft:g} ms, on one core; the client is held to the other. Each
client is asked as its users ask it, by its own command and for the same work, and what it says is
read from its own result. Each run has a fresh server. Where a client can send requests that do not
count, it sends one for each stream first.

**An error is what the client says minus the server's own log**, the same percentile of both: the
true TTFT is from the kernel's receipt of the request to the first token's `send`. Medians over the
rounds. `-`: it has no such figure. Processor time is of all its processes: per token from the first
measured request to the last token, and of the whole command, start to end. Memory is resident less
shared, of all its processes together, sampled.
"""
FAULTS = """
## An error in the middle of a stream

24 requests are measured. After the first 8 of all, probes and warm-up included, every second one is
answered with 16 tokens and then `data: {"error": ...}`, which is what servers send when a request
fails after its first token. Bold is what took failed requests for good ones.

| client | took for good | took for failed | really failed |
|---|---|---|---|
"""


@dataclass(slots=True)
class Results:
    """What one run of the command found.

    Attributes:
        rows: figures by number of streams, by client, of each round.
        faults: counts of the run with errors in the middle, by client.
        missing: why a client has no figures, or not all; by client.
        notes: what to know of a client; by client.
    """

    rows: dict[int, dict[str, list[Row]]] = field(default_factory=dict)
    faults: dict[str, dict[str, int]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def page(results: Results, facts: Mapping[str, str]) -> str:
    """The whole page; `facts` fills the introduction."""
    work = {"tokens": TOKENS, "interval": INTERVAL_MS, "ttft": TTFT_MS}
    parts = [INTRO.format(**facts, **work)]
    parts += (table(streams, rows) for streams, rows in results.rows.items())
    if results.faults:
        parts.append(FAULTS + "".join(_fault_row(*item) for item in results.faults.items()))
    parts += _listed("Of the clients", results.notes)
    parts += _listed("Not shown", results.missing)
    return "".join(parts)


def table(streams: int, rows: Mapping[str, Sequence[Row]]) -> str:
    """One number of streams: a client a line."""
    head = " | ".join(title for title, _ in COLUMNS.values())
    rounds = max((len(one) for one in rows.values()), default=0)
    titled = f"\n## {streams} stream{'s' * (streams > 1)}\n\n{REQUESTS[streams]} requests; "
    titled += f"rounds: {rounds}.\n\n| client | {head} |\n|---|{'---:|' * len(COLUMNS)}\n"
    return titled + "".join(_row(name, one) for name, one in rows.items())


def _row(name: str, rounds: Sequence[Row]) -> str:
    cells = (_cell([row[key] for row in rounds], form) for key, (_, form) in COLUMNS.items())
    failed = sum(row["failed"] or 0.0 for row in rounds)
    note = f" ({failed:g} requests failed for it)" if failed else ""
    return f"| {name}{note} | {' | '.join(cells)} |\n"


def _cell(values: Sequence[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return format(statistics.median(known), form) if known else "-"


def _fault_row(name: str, counts: Mapping[str, int]) -> str:
    good, failed, really = counts["good"], counts["failed"], counts["really failed"]
    shown = f"**{good}**" if good > counts["asked"] - really else str(good)
    return f"| {name} | {shown} | {failed} | {really} |\n"


def _listed(title: str, items: Mapping[str, str]) -> list[str]:
    if not items:
        return []
    return [f"\n## {title}\n\n", *(f"- {name}: {text}.\n" for name, text in items.items())]
