import csv
import json
from pathlib import Path

import pytest

from trt_nemotron.cli.main import run


def test_a_table_is_written_and_said(kept: Path, capsys: pytest.CaptureFixture[str]):
    out = kept.with_name("r.csv")
    assert run(["export", str(kept), "--format", "csv", "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {
        "file": str(out.resolve()), "format": "csv", "is_written": True,
        "bytes": out.stat().st_size,
    }  # fmt: skip
    with out.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 20
    assert run(["export", str(kept), "--format", "csv", "--per", "chunk", "--out", str(out)]) == 0
    with out.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 80


def test_a_dry_run_writes_nothing(kept: Path, capsys: pytest.CaptureFixture[str]):
    out = kept.with_name("v.json")
    arguments = ["export", str(kept), "--format", "vllm", "--out", str(out), "--dry-run"]
    assert run(arguments) == 0
    assert not out.exists()
    told = capsys.readouterr().err
    assert "would write" in told
    assert "p99 of 20 requests are left out" in told


@pytest.mark.parametrize("name", ["vllm", "aiperf"])
def test_the_result_of_another_tool_is_json(kept: Path, name: str):
    out = kept.with_name("v.json")
    arguments = ["export", str(kept), "--format", name, "--out", str(out), "--all-percentiles"]
    assert run(arguments) == 0
    assert isinstance(json.loads(out.read_text()), dict)


def test_the_measurement_itself_is_never_written_over(
    kept: Path, capsys: pytest.CaptureFixture[str]
):
    before = kept.read_bytes()
    link = kept.with_name("link.csv")
    link.symlink_to(kept)
    for out in (kept, link):
        assert run(["export", str(kept), "--format", "csv", "--out", str(out)]) == 2
    assert kept.read_bytes() == before
    assert "would write over a file that is read" in capsys.readouterr().err


def test_a_file_that_is_no_measurement_is_refused(tmp_path: Path):
    path = tmp_path / "x.json"
    path.write_text("{}")
    out = str(tmp_path / "o.csv")
    assert run(["export", str(path), "--format", "csv", "--out", out]) == 2
    assert not Path(out).exists()
