"""The performance changelog: no budget and no baseline changes without a word about it.

`ci/perf-changelog.yaml` names each change of a budget by the hash of the file it led to, and each
baseline that became current by its id. So the check needs no history of the repository: what lies
there now must be what was last written about.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec

from trt_nemotron.document import Document, Value, read_bytes
from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.baselines.ledger import Ledger

Said = Annotated[str, msgspec.Meta(min_length=10)]


class Change(Value, frozen=True, kw_only=True):
    """One change.

    Attributes:
        date: YYYY-MM-DD.
        kind: of what.
        name: the budget's file, such as `spark.yaml`, or the baseline's id.
        sha256: of a budget's file after the change; `removed` when it is gone; empty for a
            baseline, whose id holds its hash.
        reason: why, in a sentence.
    """

    date: str
    kind: Literal["budget", "baseline"]
    name: str
    reason: Said
    sha256: str = ""


class PerfChangelog(Document, frozen=True, kw_only=True):
    """All changes, oldest first."""

    SCHEMA: ClassVar[str] = "trt-nemotron/perf-changelog/1"

    changes: tuple[Change, ...]


def unsaid_changes(
    changelog: PerfChangelog, budgets: Mapping[str, str], ledger: Ledger | None
) -> Iterator[str]:
    """What changed and is not in the changelog: one sentence each, with the entry to add.

    Args:
        changelog: as it stands.
        budgets: hash of every budget by its file's name.
        ledger: of the baselines; nothing where there is no storage to look at.

    Raises:
        InvalidInput: a date that is none, or dates that do not rise.
    """
    _check_dates(changelog)
    told = {change.name: change for change in changelog.changes if change.kind == "budget"}
    for name, digest in sorted(budgets.items()):
        if name not in told or told[name].sha256 != digest:
            yield f"budget {name} changed: add {_entry('budget', name, digest)}"
    for name in sorted(told.keys() - budgets.keys()):
        if told[name].sha256 != "removed":
            yield f"budget {name} is gone: add {_entry('budget', name, 'removed')}"
    named = {change.name for change in changelog.changes if change.kind == "baseline"}
    for event in () if ledger is None else ledger.events:
        if event.action != "record" and event.baseline not in named:
            named.add(event.baseline)
            entry = _entry("baseline", event.baseline)
            yield f"{event.action} of baseline {event.baseline}: add {entry}"


def budget_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every budget in a folder, by file name.

    Raises:
        InvalidInput: no budget is there.
    """
    import hashlib

    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise InvalidInput(f"there is no budget in {folder}", next_step="Name another --budgets.")
    return {file.name: hashlib.sha256(read_bytes(file)).hexdigest() for file in files}


def _entry(kind: str, name: str, digest: str = "") -> str:
    """A line to paste, with what only a person can say left open."""
    hashed = f", sha256: {digest}" if digest else ""
    return f"- {{date: YYYY-MM-DD, kind: {kind}, name: {name}{hashed}, reason: ...}}"


def _check_dates(changelog: PerfChangelog) -> None:
    dates = [change.date for change in changelog.changes]
    for date in dates:
        try:
            is_date = dt.date.fromisoformat(date).isoformat() == date
        except ValueError:
            is_date = False
        if not is_date:
            raise InvalidInput(f"{date!r} is no date", next_step="Write it as 2026-01-31.")
    if dates != sorted(dates):
        raise InvalidInput(
            "the changelog's dates do not rise", next_step="Add new changes at the end."
        )
