"""A measurement as `bench` keeps it, made up: known figures, and no server needed."""

from pathlib import Path

import pytest

from trt_nemotron.measure.bench.client_health import ClientHealth
from trt_nemotron.measure.bench.replay import write_measurement
from trt_nemotron.measure.bench.values import (
    ChunkRecord,
    ClockSource,
    Environment,
    Measurement,
    RequestRecord,
    Workload,
)

_PERIOD_NS = 2 * 10**7


def _record(index: int, gap_ns: int) -> RequestRecord:
    """TTFT 8 ms, four tokens `gap_ns` apart."""
    stamps = [index * _PERIOD_NS + 8 * 10**6 + gap_ns * place for place in range(4)]
    return RequestRecord(
        index=index, concurrency=1, is_warmup=False, outcome="ok", connect_ns=0,
        sent_ns=index * _PERIOD_NS, finished_ns=stamps[-1], prompt_tokens=8, completion_tokens=4,
        chunks=tuple(ChunkRecord(received_ns=at, kind="content", characters=1) for at in stamps),
    )  # fmt: skip


def measured(
    started_at: str = "2026-11-23T12:00:00Z",
    gap_ns: int = 500_000,
    *,
    slower_ns: int = 0,
    model: str = "m",
    clock: ClockSource = "user_read",
) -> Measurement:
    """Twenty good requests of one stream; gaps grow by `slower_ns` from one to the next."""
    return Measurement(
        url="http://127.0.0.1:1",
        started_at=started_at,
        workload=Workload(
            concurrencies=(1,), requests_per_concurrency=20, warmup_requests=0, input_tokens=8,
            output_tokens=4, seed=1, timeout_s=9.0,
        ),
        environment=Environment(
            target="cpu", runtime="llamacpp", release="1", model=model, configuration_sha256="ab",
            client_version="1", python="3", system="s", processor="p", cores=2,
        ),
        client=ClientHealth(
            clock=clock, cpu_share=0.1, loop_lag_p99_ms=0.1, floor_ttft_p50_ms=0.1
        ),
        records=tuple(_record(index, gap_ns + slower_ns * index) for index in range(20)),
    )  # fmt: skip


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A measurement in a file."""
    path = tmp_path / "m.json.gz"
    write_measurement(path, measured())
    return path
