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


def measured(started_at: str) -> Measurement:
    return Measurement(
        url="http://127.0.0.1:1",
        started_at=started_at,
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


def test_kept_runs_are_drawn_before_this_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    store = str(tmp_path / "store")
    for day in (21, 22):
        path = tmp_path / f"{day}.json.gz"
        write_measurement(path, measured(f"2026-11-{day}T12:00:00Z"))
        arguments = ["baseline", "record", str(path), "--store", store]
        assert run(arguments) == 0
    now = tmp_path / "now.json.gz"
    write_measurement(now, measured("2026-11-23T12:00:00Z"))
    capsys.readouterr()
    assert run(["report", str(now), "--baseline-store", store, "--json"]) == 0
    page = Path(json.loads(capsys.readouterr().out)["report"]).read_text()
    assert 'id="history"' in page
    assert ">3 runs<" in page
    assert run(["report", str(now)]) == 0
    assert 'id="history"' not in now.with_name("now.html").read_text()
