import json
from pathlib import Path

import msgspec
import pytest

from trt_nemotron.cli.compare import short_names
from trt_nemotron.cli.main import run
from trt_nemotron.measure.bench.replay import write_measurement
from trt_nemotron.measure.bench.values import (
    ChunkRecord,
    ClientHealth,
    Environment,
    Measurement,
    RequestRecord,
    Workload,
)


def record(index: int, gap_ns: int) -> RequestRecord:
    stamps = [index * 10**8 + 8 * 10**6 + gap_ns * place for place in range(4)]
    return RequestRecord(
        index=index, concurrency=1, is_warmup=False, outcome="ok", connect_ns=0,
        sent_ns=index * 10**8, finished_ns=stamps[-1], prompt_tokens=8, completion_tokens=4,
        chunks=tuple(ChunkRecord(received_ns=at, kind="content", characters=1) for at in stamps),
    )  # fmt: skip


def measured(gap_ns: int) -> Measurement:
    return Measurement(
        url="http://127.0.0.1:1",
        started_at="2026-11-23T12:00:00Z",
        workload=Workload(
            concurrencies=(1,), requests_per_concurrency=20, warmup_requests=0, input_tokens=8,
            output_tokens=4, seed=1, timeout_s=9.0,
        ),
        environment=Environment(
            target="cpu", runtime="llamacpp", release="1", model="m-embedded",
            configuration_sha256="ab", client_version="1", python="3", system="s", processor="p",
            cores=2,
        ),
        client=ClientHealth(
            clock="kernel_receive", cpu_share=0.1, loop_lag_p99_ms=0.1, floor_ttft_p50_ms=0.1
        ),
        records=tuple(record(index, gap_ns + 1000 * index) for index in range(20)),
    )  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_measurement(tmp_path / "a.json.gz", measured(500_000))
    write_measurement(tmp_path / "b.json.gz", measured(900_000))
    other = measured(500_000)
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


def test_names_are_as_long_as_is_needed_to_tell_them_apart():
    assert short_names([Path("x/a.json"), Path("y/b.json")]) == ["a.json", "b.json"]
    assert short_names([Path("r/x/m.json"), Path("r/y/m.json")]) == ["x/m.json", "y/m.json"]
