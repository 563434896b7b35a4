"""The file that a comparison grows in: one JSON line for each run, so that it can go on any time.

Its first line says on which machine; rows of another machine are refused. A line that was cut off
while it was written is passed over and its run done again.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FIGURES = (
    "ttft_p50_ms", "ttft_p99_ms", "itl_p99_ms", "tpot_p50_percent",
    "us_per_token", "cpu_s", "first_request_s", "peak_mb",
)  # fmt: skip
"""Of a row: the first four are what the client said less what was true, the others its cost."""


class Unreadable(Exception):
    """A results file is not of this machine or not one at all; the message says which."""


@dataclass(frozen=True, slots=True)
class Row:
    """One client, once, at one load.

    Attributes:
        client: its name in the catalogue.
        version: of the client, of ours with the commit.
        at: when it began, UTC.
        load: load average over one minute before it began.
        seconds: that it took, the server's start and end included.
        figures: by the names in `FIGURES`; `None` for what the client does not have. Empty when
            the run gave none.
        truth: the server's own figures in ms; empty where the line did not keep them.
        counts: `asked`, `answered` (whole, by the server's log, with what came before the measured
            ones), `good` and `failed` (by the client); what the line did not keep is missing.
        around: `busy_before`, the share of all cores that was busy in the second before, and
            `stolen_s`, processor time that the hypervisor gave to others meanwhile.
        fault: why it gave no figures.
    """

    client: str
    version: str
    streams: int
    round: int
    at: str
    load: float
    seconds: float
    figures: Mapping[str, float | None] = field(default_factory=dict)
    truth: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    around: Mapping[str, float] = field(default_factory=dict)
    fault: str = ""

    @property
    def key(self) -> tuple[int, int, str]:
        """What there is one row of."""
        return self.round, self.streams, self.client


@dataclass(frozen=True, slots=True)
class FaultRow:
    """What one client made of one thing that can be wrong with a stream.

    Attributes:
        wire_fault: its name in `faults.FAULTS`.
        asked: requests that were to be measured.
        came: that the server got in all, probes and warm-up included.
        struck: how many of the last `asked` met the fault, by the server's own count; `None` when
            fewer came.
        good, failed: what it took them for; `None` when it gave no result.
        names: what it called the failed ones, with their number, where it says so.
        ttft_ms, tpot_ms: medians that it gives over what it took for good.
        fault: why it gave no result.
    """

    client: str
    version: str
    wire_fault: str
    at: str
    asked: int
    came: int = 0
    struck: int | None = None
    good: int | None = None
    failed: int | None = None
    names: Mapping[str, int] = field(default_factory=dict)
    ttft_ms: float | None = None
    tpot_ms: float | None = None
    fault: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What there is one row of."""
        return self.wire_fault, self.client


@dataclass(frozen=True, slots=True)
class Results:
    """What a file holds.

    Attributes:
        machine: in words.
        rows, faults: the last of each key, in the order of their first.
    """

    machine: str
    rows: Sequence[Row]
    faults: Sequence[FaultRow]


def read_results(path: Path) -> Results:
    """Everything in the file.

    Raises:
        Unreadable: it has no first line that says where it is from, or a line nobody wrote here.
    """
    lines = list(_lines(path))
    if not lines or set(lines[0]) != {"machine"}:
        raise Unreadable(f"{path}: its first line does not say on which machine it was recorded")
    rows: dict[Any, Row] = {}
    faults: dict[Any, FaultRow] = {}
    try:
        for tree in lines[1:]:
            if "wire_fault" in tree:
                fault = FaultRow(**tree)
                faults[fault.key] = fault
            else:
                row = Row(**tree)
                rows[row.key] = row
    except TypeError as error:
        raise Unreadable(f"{path}: {error}") from None
    return Results(lines[0]["machine"], tuple(rows.values()), tuple(faults.values()))


def begin_results(path: Path, machine: str) -> Results:
    """What is there; an empty file of this machine when there is none.

    Raises:
        Unreadable: as `read_results`; or it is from another machine.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _append(path, {"machine": machine})
    found = read_results(path)
    if found.machine != machine:
        raise Unreadable(f"{path} is from {found.machine}; this is {machine}: begin another file")
    return found


def keep(path: Path, row: Row | FaultRow) -> None:
    """Add a line; what is at its default is left out."""
    tree = {name: value for name, value in asdict(row).items() if value not in ({}, "", None)}
    _append(path, tree)


def _append(path: Path, tree: Mapping[str, Any]) -> None:
    """One write, on the disk when this returns; after a half line on a line of its own."""
    text = json.dumps(_compact(tree), separators=(",", ":")) + "\n"
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            text = text if file.read(1) == b"\n" else "\n" + text
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def _compact(value: Any) -> Any:
    """With seven significant digits, which is a tenth of a microsecond in a second of ms."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, Mapping):
        return {name: _compact(one) for name, one in value.items()}
    return value


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines():
        try:
            tree = json.loads(line)
        except ValueError:
            continue  # cut off while it was written
        if isinstance(tree, dict):
            yield tree
