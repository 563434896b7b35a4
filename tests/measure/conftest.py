"""Measurements, smoke reports and budgets as values, for the gate and the report."""

import random
from collections.abc import Callable, Sequence

import msgspec
import pytest

from trt_nemotron.measure.bench.client_health import ClientHealth
from trt_nemotron.measure.bench.values import (
    ChunkRecord,
    Environment,
    Measurement,
    RequestRecord,
    Workload,
)
from trt_nemotron.measure.smoke.values import SmokeReport, SmokeResult

MakeMeasurement = Callable[..., Measurement]
MakeSmoke = Callable[..., SmokeReport]

ENVIRONMENT = Environment(
    target="cpu",
    runtime="llamacpp",
    release="1.2.3",
    model="trt-nemotron-embedded",
    configuration_sha256="ab" * 32,
    client_version="0.1.0",
    python="3.11.7",
    system="Linux 6.18",
    processor="A Processor",
    cores=2,
)
CLIENT = ClientHealth(
    clock="kernel_receive", cpu_share=0.2, loop_lag_p99_ms=0.3, floor_ttft_p50_ms=0.1
)


def request_record(
    index: int, concurrency: int, sent_ms: float, *, ttft_ms: float, tpot_ms: float, tokens: int
) -> RequestRecord:
    """A good request whose gaps are all `tpot_ms`."""
    sent = round(sent_ms * 1e6)
    first = sent + round(ttft_ms * 1e6)
    gap = round(tpot_ms * 1e6)
    stamps = [first + place * gap for place in range(tokens)]
    return RequestRecord(
        index=index,
        concurrency=concurrency,
        is_warmup=False,
        outcome="ok",
        connect_ns=0,
        sent_ns=sent,
        finished_ns=stamps[-1],
        chunks=tuple(
            ChunkRecord(received_ns=stamp, kind="content", characters=3) for stamp in stamps
        ),
        status_code=200,
        finish_reason="length",
        prompt_tokens=128,
        completion_tokens=tokens,
        cached_tokens=0,
    )


@pytest.fixture
def make_measurement() -> MakeMeasurement:
    def make(
        *,
        ttft_ms: float = 8.0,
        tpot_ms: float = 0.5,
        spread: float = 0.05,
        requests: int = 24,
        concurrencies: Sequence[int] = (1, 4),
        tokens: int = 16,
        seed: int = 1,
        started_at: str = "2026-11-23T12:00:00Z",
    ) -> Measurement:
        rng = random.Random(seed)
        records = []
        clock_ms = 0.0
        for concurrency in concurrencies:
            free_ms = [clock_ms] * concurrency
            for index in range(requests):
                slot = free_ms.index(min(free_ms))
                ttft = ttft_ms * concurrency**0.5 * rng.uniform(1 - spread, 1 + spread)
                tpot = tpot_ms * concurrency**0.3 * rng.uniform(1 - spread, 1 + spread)
                record = request_record(
                    index, concurrency, free_ms[slot], ttft_ms=ttft, tpot_ms=tpot, tokens=tokens
                )
                records.append(record)
                free_ms[slot] = record.finished_ns / 1e6 + 0.05
            clock_ms = max(free_ms) + 10.0
        return Measurement(
            url="http://127.0.0.1:1",
            started_at=started_at,
            workload=Workload(
                concurrencies=tuple(concurrencies),
                requests_per_concurrency=requests,
                warmup_requests=0,
                input_tokens=128,
                output_tokens=tokens,
                seed=seed,
                timeout_s=60.0,
            ),
            environment=ENVIRONMENT,
            client=CLIENT,
            records=tuple(records),
        )

    return make


@pytest.fixture
def make_smoke() -> MakeSmoke:
    def make(*statuses: str, evidence: dict[str, object] | None = None) -> SmokeReport:
        names = ("health", "models", "completion", "tool call", "json schema", "unicode")
        results = tuple(
            SmokeResult(
                name=names[place % len(names)],
                status=status,
                reason=f"the reason of check {place}",
                evidence=evidence or {"sent": "Hello", "received": "Hi"},
                duration_ms=1.5,
            )
            for place, status in enumerate(statuses)
        )
        return SmokeReport(
            url="http://127.0.0.1:1",
            model="trt-nemotron-embedded",
            suite="embedded",
            started_at="2026-11-23T12:00:00Z",
            results=results,
        )

    return make


@pytest.fixture
def change() -> Callable[..., Measurement]:
    """A measurement with fields of its parts replaced: `change(m, client={"cpu_share": 2})`."""

    def change(measurement: Measurement, **parts: dict[str, object]) -> Measurement:
        replaced = {
            name: msgspec.structs.replace(getattr(measurement, name), **fields)
            for name, fields in parts.items()
        }
        return msgspec.structs.replace(measurement, **replaced)

    return change
