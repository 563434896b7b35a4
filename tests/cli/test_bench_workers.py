"""The workers of a client, drawn: each on its own row, nothing cut off on a narrow terminal."""

import io

from rich.console import Console

from trt_nemotron.cli.bench_workers import render_workers
from trt_nemotron.measure.bench.client_health import ClientHealth
from trt_nemotron.measure.bench.worker_health import ClockOffset, WorkerHealth


def offset(bound_ms: float) -> ClockOffset:
    return ClockOffset(
        concurrency=4, before_ms=1.0, before_bound_ms=0.1, after_ms=1.0, after_bound_ms=0.1,
        bound_ms=bound_ms,
    )  # fmt: skip


def worker(number: int, machine: str = "", *bounds_ms: float) -> WorkerHealth:
    return WorkerHealth(
        worker=number, cpu_share=0.25, loop_lag_p99_ms=1.5, read_lag_p99_ms=0.1, machine=machine,
        streams=64, floor_ttft_p50_ms=0.125, stamp_delay_p99_ms=0.75,
        clock_offsets=tuple(map(offset, bounds_ms)),
    )  # fmt: skip


def shown(*workers: WorkerHealth) -> list[list[str]]:
    client = ClientHealth(
        clock="kernel_receive", cpu_share=0.25, loop_lag_p99_ms=1.5, floor_ttft_p50_ms=0.125,
        workers=workers,
    )  # fmt: skip
    file = io.StringIO()
    for part in render_workers(client):
        Console(file=file, width=80, no_color=True).print(part)
    assert "…" not in file.getvalue()
    return [line.split() for line in file.getvalue().splitlines() if line.strip()]


def test_one_process_has_no_table():
    assert shown() == []


def test_workers_of_this_machine():
    title, names, _, *rows = shown(worker(0), worker(1))
    assert title[:2] == ["2", "workers,"]
    assert " ".join(names) == "worker streams core timer floor stamps"
    assert rows == [[n, "64", "25%", "1.500", "0.125", "0.750"] for n in ("0", "1")]


def test_workers_of_others_with_the_worst_bound_of_their_clock():
    title, names, _, *rows = shown(
        worker(0, "192.168.100.200", 0.25, 0.5), worker(1, "192.168.100.201", 0.125)
    )
    assert title[:5] == ["2", "workers", "on", "2", "machines,"]
    assert names[1] == "machine"
    assert [(row[1], row[-1]) for row in rows] == [
        ("192.168.100.200", "0.500"),
        ("192.168.100.201", "0.125"),
    ]
