import csv
import json
from pathlib import Path

import pytest

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


def record(index: int) -> RequestRecord:
    stamps = [index * 2 * 10**7 + 8 * 10**6 + 500_000 * place for place in range(4)]
    return RequestRecord(
        index=index, concurrency=1, is_warmup=False, outcome="ok", connect_ns=0,
        sent_ns=index * 2 * 10**7, finished_ns=stamps[-1], prompt_tokens=8, completion_tokens=4,
        chunks=tuple(ChunkRecord(received_ns=at, kind="content", characters=1) for at in stamps),
    )  # fmt: skip


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "m.json.gz"
    measurement = Measurement(
        url="http://127.0.0.1:1",
        started_at="2026-11-23T12:00:00Z",
        workload=Workload(
            concurrencies=(1,), requests_per_concurrency=20, warmup_requests=0, input_tokens=8,
            output_tokens=4, seed=1, timeout_s=9.0,
        ),
        environment=Environment(
            target="cpu", runtime="llamacpp", release="1", model="m", configuration_sha256="ab",
            client_version="1", python="3", system="s", processor="p", cores=2,
        ),
        client=ClientHealth(
            clock="user_read", cpu_share=0.1, loop_lag_p99_ms=0.1, floor_ttft_p50_ms=0.1
        ),
        records=tuple(record(index) for index in range(20)),
    )  # fmt: skip
    write_measurement(path, measurement)
    return path


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
    assert "is the measurement itself" in capsys.readouterr().err


def test_a_file_that_is_no_measurement_is_refused(tmp_path: Path):
    path = tmp_path / "x.json"
    path.write_text("{}")
    out = str(tmp_path / "o.csv")
    assert run(["export", str(path), "--format", "csv", "--out", out]) == 2
    assert not Path(out).exists()
