"""What each client made of the eighteen things that can be wrong with a stream, as a table."""

from collections.abc import Mapping, Sequence

from benchmarks.peers.faults import FAULTS, TTFT_S
from benchmarks.peers.results import FaultRow

TTFT_OFF_MS, TPOT_OFF_SHARE = 50.0, 0.3
"""What is called wrong: far beyond what a busy machine does at four streams, and less than what
counting the wrong event does."""
INTRO = """
## What is wrong with a stream

The eighteen of [wire-faults](wire-faults.md), by a server of their own: 24 requests of 64 tokens
are measured at 4 streams, the first 8 of all are sound. A shape that is allowed is then every
answer, and a client is right when it counts all as good, with TTFT within 50 ms and TPOT within
30 % of what was sent. Of what is a failure every second answer is one; a client is right when it
counts just these as failed, and the cell has what it called them. Bold took failed requests for
good ones. Each client was told, where it can be, to give a request up after 3 s, and was ended
after 75 s. One run each, other work beside it. An empty cell was not run.
"""


def fault_table(rows: Sequence[FaultRow], names: Mapping[str, str]) -> str:
    """A line for each fault, a column for each client that has any row."""
    found = {row.key: row for row in rows}
    clients = [name for name in names if any(row.client == name for row in rows)]
    head = " | ".join(names[name] for name in clients)
    text = f"{INTRO}\n| | {head} |\n|---|{'---|' * len(clients)}\n"
    for fault in FAULTS:
        cells = [verdict(found[fault, c]) if (fault, c) in found else "" for c in clients]
        text += f"| {fault} | {' | '.join(cells)} |\n"
    right = [sum(is_right(row) for row in rows if row.client == c) for c in clients]
    run = [sum(row.client == c for row in rows) for c in clients]
    totals = (f"{good} of {all_}" for good, all_ in zip(right, run, strict=True))
    return f"{text}| right | {' | '.join(totals)} |\n"


def is_right(row: FaultRow) -> bool:
    """Whether the client took everything for what it was and timed what is sound."""
    return not _wrong(row)


def verdict(row: FaultRow) -> str:
    """A cell."""
    wrong = _wrong(row)
    if wrong:
        return wrong
    names = ", ".join(f"`{name}`" for name in row.names)
    return names or ("ok" if FAULTS[row.wire_fault].is_sound else "failed")


def _wrong(row: FaultRow) -> str:
    if row.fault or row.good is None or row.failed is None:
        return row.fault.replace("|", "/") or "no result"
    if row.struck is None:
        return f"sent {row.came} of {row.asked} requests"
    fault = FAULTS[row.wire_fault]
    failures = 0 if fault.is_sound else row.struck
    if row.good > row.asked - failures:
        return f"**{row.good - (row.asked - failures)} of {failures} taken for good**"
    if row.good < row.asked - failures or row.failed != failures:
        return f"{row.good} good, {row.failed} failed of {row.asked}, really {failures} failed"
    return _mistimed(row, fault.tpot_ms) if fault.is_sound else ""


def _mistimed(row: FaultRow, tpot_ms: float) -> str:
    wrong = []
    if row.ttft_ms is None or abs(row.ttft_ms - 1e3 * TTFT_S) > TTFT_OFF_MS:
        wrong.append(f"TTFT {_figure(row.ttft_ms)} for {1e3 * TTFT_S:.0f} ms")
    if row.tpot_ms is None or abs(row.tpot_ms / tpot_ms - 1.0) > TPOT_OFF_SHARE:
        wrong.append(f"TPOT {_figure(row.tpot_ms)} for {tpot_ms:.1f} ms")
    return "; ".join(wrong)


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.1f}"
