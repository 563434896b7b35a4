import json
from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import measured
from trt_nemotron.cli.compare import short_names
from trt_nemotron.cli.main import run
from trt_nemotron.measure.bench.replay import write_measurement
from trt_nemotron.measure.bench.values import Measurement


def in_turn(gap_ns: int) -> Measurement:
    return measured(gap_ns=gap_ns, slower_ns=1000, model="m-embedded", clock="kernel_receive")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_measurement(tmp_path / "a.json.gz", in_turn(500_000))
    write_measurement(tmp_path / "b.json.gz", in_turn(900_000))
    other = in_turn(500_000)
    other = msgspec.structs.replace(
        other, environment=msgspec.structs.replace(other.environment, power_mode="MAXN")
    )
    write_measurement(tmp_path / "c.json.gz", other)
    return tmp_path


def test_two_runs_stand_side_by_side(files: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["compare", str(files / "a.json.gz"), str(files / "b.json.gz")]) == 0
    shown = capsys.readouterr().err
    assert "beyond noise" in shown
    assert "gate --ab" in shown
    assert "not comparable" not in shown


def test_what_differs_is_said_first(files: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["compare", str(files / "a.json.gz"), str(files / "c.json.gz")]) == 0
    shown = capsys.readouterr().err
    assert shown.startswith("not comparable: c.json.gz has power_mode MAXN instead of none")


def test_json_is_a_comparison(files: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["compare", *(str(files / f"{name}.json.gz") for name in "abc"), "--json"]
    assert run([*arguments, "--slo", "ttft_ms=100"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["schema"] == "trt-nemotron/comparison/1"
    assert [one["name"] for one in tree["runs"]] == ["a.json.gz", "b.json.gz", "c.json.gz"]
    assert tree["is_comparable"] is False
    assert "goodput_rps" in {metric["metric"] for metric in tree["legs"][0]["metrics"]}


def test_a_page_is_drawn_and_a_dry_run_draws_none(files: Path):
    page = files / "page.html"
    arguments = ["compare", str(files / "a.json.gz"), str(files / "b.json.gz"), "--html", str(page)]
    assert run([*arguments, "--dry-run"]) == 0
    assert not page.exists()
    assert run(arguments) == 0
    assert page.read_text().startswith("<!doctype html>")


def test_one_file_alone_is_refused(files: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["compare", str(files / "a.json.gz")]) == 2
    assert "two or more" in capsys.readouterr().err


def test_one_file_twice_is_refused(files: Path, capsys: pytest.CaptureFixture[str]):
    a, link = files / "a.json.gz", files / "link.json.gz"
    link.symlink_to(a)
    for twin in (a, files / ".." / files.name / "a.json.gz", link):
        assert run(["compare", str(a), str(twin)]) == 2
        assert "is given twice" in capsys.readouterr().err


def test_requests_that_failed_make_a_run_not_comparable(
    files: Path, capsys: pytest.CaptureFixture[str]
):
    bad = in_turn(500_000)
    short = msgspec.structs.replace(bad.records[3], outcome="wrong_length", completion_tokens=3)
    records = (*bad.records[:3], short, *bad.records[4:])
    write_measurement(files / "d.json.gz", msgspec.structs.replace(bad, records=records))
    arguments = ["compare", str(files / "a.json.gz"), str(files / "d.json.gz"), "--json"]
    assert run(arguments) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["is_comparable"] is False
    assert tree["runs"][1]["invalid_reasons"][0].startswith("concurrency 1: 1 of 20 requests")


def test_names_are_as_long_as_is_needed_to_tell_them_apart():
    assert short_names([Path("x/a.json"), Path("y/b.json")]) == ["a.json", "b.json"]
    assert short_names([Path("r/x/m.json"), Path("r/y/m.json")]) == ["x/m.json", "y/m.json"]
