import json
from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import measured
from trt_nemotron.cli.main import run
from trt_nemotron.document import write_document

BUDGET = """schema: trt-nemotron/budget/1
target: cpu
relative:
  - {metric: tpot_p50_ms, concurrency: 1, worse_by_at_most_percent: 5}
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_document(tmp_path / "old.json", measured("2026-11-22T12:00:00Z"))
    write_document(tmp_path / "new.json", measured("2026-11-23T12:00:00Z", 510_000))
    write_document(tmp_path / "slow.json", measured("2026-11-23T12:00:00Z", 600_000))
    write_document(tmp_path / "three times.json", measured("2026-11-23T12:00:00Z", 1_500_000))
    (tmp_path / "budget.yaml").write_text(BUDGET)
    return tmp_path


def recorded(files: Path, capsys: pytest.CaptureFixture[str], name: str = "old.json") -> str:
    assert (
        run(["baseline", "record", str(files / name), "--store", str(files / "s"), "--json"]) == 0
    )
    return json.loads(capsys.readouterr().out)["id"]


def gate(files: Path, name: str) -> int:
    arguments = ["gate", str(files / name), "--budget", str(files / "budget.yaml"), "--json"]
    return run([*arguments, "--baseline-store", str(files / "s")])


def test_from_a_run_to_a_verdict(files: Path, capsys: pytest.CaptureFixture[str]):
    name = recorded(files, capsys)
    assert gate(files, "new.json") == 5
    assert "is recorded, not current" in capsys.readouterr().out
    store = ["--store", str(files / "s")]
    assert run(["baseline", "promote", name, "--reason", "the first run", *store]) == 0
    assert gate(files, "new.json") == 0
    assert gate(files, "slow.json") == 6, "one stored run does not tell how much two differ"
    assert gate(files, "three times.json") == 1
    capsys.readouterr()
    assert run(["baseline", "expire", name, "--reason", "a new board", *store, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "expired"
    assert gate(files, "new.json") == 5


def test_another_environment_is_no_baseline_and_the_field_is_named(
    files: Path, capsys: pytest.CaptureFixture[str]
):
    name = recorded(files, capsys)
    run(["baseline", "promote", name, "--reason", "first", "--store", str(files / "s")])
    new = measured("2026-11-23T12:00:00Z")
    other = msgspec.structs.replace(new.environment, power_mode="15W")
    write_document(files / "other.json", msgspec.structs.replace(new, environment=other))
    capsys.readouterr()
    assert gate(files, "other.json") == 5
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["decision"] == "no_baseline"
    assert "power_mode none instead of 15W" in verdict["results"][0]["reason"]


def test_list_and_show(files: Path, capsys: pytest.CaptureFixture[str]):
    name = recorded(files, capsys)
    store = ["--store", str(files / "s")]
    assert run(["baseline", "list", *store]) == 0
    assert name in capsys.readouterr().err
    assert run(["baseline", "show", name[:-2], *store]) == 0
    assert "tpot_p50_ms@1: 0.5" in capsys.readouterr().err
    run(["baseline", "expire", name, "--reason", "over", *store])
    capsys.readouterr()
    assert run(["baseline", "list", *store, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run(["baseline", "list", *store, "--json", "--all"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["status"] == "expired"
    assert run(["baseline", "show", name, *store, "--json"]) == 0
    events = json.loads(capsys.readouterr().out)["events"]
    assert [event["action"] for event in events] == ["record", "expire"]


def test_dry_runs_change_nothing(files: Path, capsys: pytest.CaptureFixture[str]):
    store = ["--store", str(files / "s"), "--dry-run"]
    assert run(["baseline", "record", str(files / "old.json"), *store]) == 0
    assert not (files / "s").exists()
    name = recorded(files, capsys)
    before = sorted((files / "s").rglob("*"))
    for action in ("promote", "expire"):
        assert run(["baseline", action, name, "--reason", "no", *store]) == 0
        assert "is still recorded" in capsys.readouterr().err
    assert sorted((files / "s").rglob("*")) == before


def test_an_invalid_run_is_refused_with_its_code(files: Path):
    run_ = measured("2026-11-22T12:00:00Z")
    busy = msgspec.structs.replace(run_.client, cpu_share=0.99)
    write_document(files / "busy.json", msgspec.structs.replace(run_, client=busy))
    store = str(files / "s")
    assert run(["baseline", "record", str(files / "busy.json"), "--store", store]) == 4
    assert run(["baseline", "promote", "none", "--reason", "r", "--store", store]) == 2
    assert run(["baseline", "promote", "none", "--store", store]) == 2


def test_a_file_and_a_store_exclude_each_other(files: Path):
    arguments = ["gate", str(files / "new.json"), "--budget", str(files / "budget.yaml")]
    arguments += ["--baseline", str(files / "old.json")]
    assert run([*arguments, "--baseline-store", str(files / "s")]) == 2


def test_the_changelog_is_checked(files: Path, capsys: pytest.CaptureFixture[str]):
    import hashlib

    (files / "budgets").mkdir()
    (files / "budgets" / "cpu.yaml").write_text(BUDGET)
    digest = hashlib.sha256(BUDGET.encode()).hexdigest()
    log = "schema: trt-nemotron/perf-changelog/1\nchanges:\n"
    log += f"  - {{date: '2026-11-23', kind: budget, name: cpu.yaml, sha256: {digest},"
    (files / "log.yaml").write_text(f"{log} reason: the first one}}\n")
    arguments = ["baseline", "check-changelog", "--changelog", str(files / "log.yaml")]
    arguments += ["--budgets", str(files / "budgets")]
    assert run(arguments) == 0
    name = recorded(files, capsys)
    run(["baseline", "promote", name, "--reason", "first", "--store", str(files / "s")])
    (files / "budgets" / "cpu.yaml").write_text(BUDGET.replace("5}", "6}"))
    capsys.readouterr()
    assert run([*arguments, "--store", str(files / "s"), "--json"]) == 1
    unsaid = json.loads(capsys.readouterr().out)["unsaid"]
    assert ["cpu.yaml" in unsaid[0], name in unsaid[1]] == [True, True]


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("old.json", "is a file, and baselines are kept in a folder"),
        ("http://127.0.0.1:9/x", "names no bucket"),
        ("s3://", "names no bucket"),
        ("s3:///", "names no bucket"),
    ],
)
def test_a_place_that_keeps_no_baselines_is_not_an_empty_one(
    location: str,
    said: str,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(files)
    assert run(["baseline", "list", "--store", location, "--json"]) == 2
    assert said in json.loads(capsys.readouterr().out)["error"]["message"]
    arguments = ["gate", "new.json", "--budget", "budget.yaml", "--baseline-store", location]
    assert run(arguments) == 2


def test_a_list_of_nothing_says_where_it_looked(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["baseline", "list", "--store", str(tmp_path / "typo")]) == 0
    assert "typo" in capsys.readouterr().err


def test_a_damaged_event_is_named_with_its_store(files: Path, capsys: pytest.CaptureFixture[str]):
    recorded(files, capsys)
    (event,) = (files / "s" / "events").iterdir()
    event.write_text("{")
    assert run(["baseline", "list", "--store", str(files / "s")]) == 2
    said = capsys.readouterr().err
    assert event.name in said
    assert str(files / "s") in said
