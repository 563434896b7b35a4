import hashlib
from pathlib import Path

import pytest

from trt_nemotron.document import read_document
from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.baselines.changelog import (
    Change,
    PerfChangelog,
    budget_hashes,
    unsaid_changes,
)
from trt_nemotron.measure.baselines.ledger import Ledger
from trt_nemotron.measure.baselines.values import BaselineEvent

ROOT = Path(__file__).parents[3]
REASON = "faster kernels in 1.3"


def change(name: str = "cpu.yaml", sha256: str = "aa", date: str = "2026-11-23") -> Change:
    return Change(date=date, kind="budget", name=name, sha256=sha256, reason=REASON)


def unsaid(*changes: Change, budgets=None, ledger=None) -> list[str]:
    log = PerfChangelog(changes=changes)
    return list(unsaid_changes(log, {"cpu.yaml": "aa"} if budgets is None else budgets, ledger))


def test_what_is_there_is_what_was_last_written_about():
    assert unsaid(change(sha256="old"), change()) == []


def test_a_changed_budget_is_named_with_the_entry_to_add():
    (line,) = unsaid(change(), change(sha256="other"))
    assert "cpu.yaml changed" in line
    assert "sha256: aa" in line


def test_a_new_and_a_removed_budget_are_named():
    assert (
        "spark.yaml changed" in unsaid(change(), budgets={"cpu.yaml": "aa", "spark.yaml": "b"})[0]
    )
    assert "cpu.yaml is gone" in unsaid(change(), budgets={})[0]
    assert unsaid(change(), change(sha256="removed"), budgets={}) == []


@pytest.mark.parametrize(("action", "count"), [("record", 0), ("promote", 1), ("expire", 1)])
def test_a_baseline_in_or_out_of_use_is_named(action: str, count: int):
    event = BaselineEvent(at="2026", action=action, baseline="cpu-x", reason="r")
    assert len(unsaid(change(), ledger=Ledger((), (event, event)))) == count
    told = Change(date="2026-11-23", kind="baseline", name="cpu-x", reason=REASON)
    assert unsaid(change(), told, ledger=Ledger((), (event,))) == []


def test_a_budget_is_not_accounted_for_by_a_baseline_of_its_name():
    other = Change(date="2026-11-23", kind="baseline", name="cpu.yaml", sha256="aa", reason=REASON)
    assert len(unsaid(other)) == 1


@pytest.mark.parametrize("date", ["yesterday", "2026-13-01", "20261123", ""])
def test_a_date_is_a_date(date: str):
    with pytest.raises(InvalidInput, match="no date"):
        unsaid(change(date=date))


def test_dates_rise():
    with pytest.raises(InvalidInput, match="do not rise"):
        unsaid(change(date="2026-11-24"), change(date="2026-11-23"))


def test_a_reason_says_something(tmp_path: Path):
    text = "schema: trt-nemotron/perf-changelog/1\nchanges:\n"
    text += '  - {date: "2026-11-23", kind: budget, name: a, sha256: b, reason: meh}\n'
    (tmp_path / "log.yaml").write_text(text)
    with pytest.raises(InvalidInput):
        read_document(tmp_path / "log.yaml", PerfChangelog)


def test_hashes_are_those_of_the_files(tmp_path: Path):
    (tmp_path / "cpu.yaml").write_bytes(b"x")
    (tmp_path / "note.txt").write_bytes(b"y")
    assert budget_hashes(tmp_path) == {"cpu.yaml": hashlib.sha256(b"x").hexdigest()}
    with pytest.raises(InvalidInput, match="no budget"):
        budget_hashes(tmp_path / "elsewhere")


def test_the_shipped_budgets_are_accounted_for():
    log = read_document(ROOT / "ci" / "perf-changelog.yaml", PerfChangelog)
    assert list(unsaid_changes(log, budget_hashes(ROOT / "ci" / "budgets"), None)) == []
