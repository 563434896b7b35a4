"""Several processes load a real server together: nothing twice, nothing left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.measure.bench.conftest import Truth
from trt_nemotron.errors import EnvironmentUnfit, InvalidInput
from trt_nemotron.measure.bench.environment import describe_environment
from trt_nemotron.measure.bench.runner import run_bench
from trt_nemotron.measure.bench.share import deal
from trt_nemotron.measure.bench.values import Measurement, Workload
from trt_nemotron.measure.bench.workload import change_workload
from trt_nemotron.openai.dialect import OPENAI

WORKLOAD = Workload(
    concurrencies=(4,),
    requests_per_concurrency=12,
    warmup_requests=2,
    input_tokens=40,
    output_tokens=5,
    seed=7,
    timeout_s=10.0,
    total_timeout_s=60.0,
)
REHEARSAL = 3
MS = 1_000_000
MODULE = b"trt_nemotron.measure.bench.workers.worker"


def bench(url: str, workers: int, **changes: Any) -> Measurement:
    workload = change_workload(WORKLOAD, **changes)
    facts = describe_environment(target="test")
    return run_bench(url, "truth", workload, OPENAI, facts, workers=workers)


def workers_of(parent: int) -> list[int]:
    """Worker processes below `parent`."""
    return [pid for pid in _children(parent) if MODULE in _read(Path(f"/proc/{pid}/cmdline"))]


def _children(parent: int) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        fields = _read(folder / "stat").rpartition(b")")[2].split()
        if len(fields) > 1 and int(fields[1]) == parent:
            yield int(folder.name)


def _read(path: Path) -> bytes:
    with suppress(OSError):
        return path.read_bytes()
    return b""


def wait_for_requests(truth: Truth, count: int) -> None:
    end = time.monotonic() + 30
    while len(truth.requests()) < count and time.monotonic() < end:
        time.sleep(0.05)


@pytest.mark.parametrize(("streams", "workers"), [(4, 2), (5, 3), (2, 4), (1, 1)])
@pytest.mark.parametrize("is_closed", [True, False])
def test_every_number_is_dealt_once(streams: int, workers: int, is_closed: bool):
    shares = deal(streams, workers, is_closed=is_closed)
    assert len(shares) == min(streams, workers)
    for count in range(30):
        dealt = [share.number(n) for share in shares for n in range(share.count(count))]
        assert sorted(dealt) == list(range(count))


@pytest.mark.slow
def test_two_workers_send_exactly_the_requests_and_none_twice(truth: Truth):
    measurement = bench(truth.url_for(ttft_ms=20, interval_ms=2), 2)
    records = measurement.records
    assert [r.index for r in records] == list(range(REHEARSAL, REHEARSAL + 16))
    assert sum(r.is_warmup for r in records) == 4
    assert [r.outcome for r in records] == ["ok"] * 16
    assert sorted(r.worker for r in records) == [0] * 8 + [1] * 8
    asked = [r["ask"]["messages"][0]["content"] for r in truth.requests()[REHEARSAL:]]
    assert len(asked) == len(set(asked)) == 16
    assert [w.worker for w in measurement.client.workers] == [0, 1]
    assert measurement.client.cpu_share == max(w.cpu_share for w in measurement.client.workers)
    assert measurement.client.clock == "kernel_receive"
    assert not workers_of(os.getpid())


@pytest.mark.slow
def test_the_schedule_of_an_open_loop_is_the_union(truth: Truth):
    url = truth.url_for(ttft_ms=20, interval_ms=1)
    fields = {"arrivals": "constant", "rates_rps": (50.0,), "concurrencies": (32,)}
    records = bench(url, 2, requests_per_concurrency=18, **fields).records
    intended = [record.intended_ns for record in records]
    assert [at - intended[0] for at in intended] == [20 * MS * place for place in range(20)]
    assert [record.worker for record in records] == [0, 1] * 10
    assert len(truth.requests()) == REHEARSAL + 20


@pytest.mark.slow
def test_conversations_are_dealt_whole(truth: Truth):
    url = truth.url_for(ttft_ms=5, interval_ms=1)
    records = bench(url, 2, turns=2, concurrencies=(2,), requests_per_concurrency=8).records
    by_session: dict[int, set[int]] = {}
    for record in records:
        by_session.setdefault(record.session, set()).add(record.worker)
    assert sorted(by_session) == list(range(5))
    assert all(len(senders) == 1 for senders in by_session.values())


@pytest.mark.slow
def test_a_killed_worker_ends_the_run_and_none_is_left(truth: Truth):
    def kill_one() -> None:
        wait_for_requests(truth, REHEARSAL + 4)
        os.kill(workers_of(os.getpid())[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    with pytest.raises(EnvironmentUnfit, match="a worker of the client"):
        bench(truth.url_for(ttft_ms=200, interval_ms=20), 2, requests_per_concurrency=400)
    killer.join()
    assert not workers_of(os.getpid())


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_an_interrupted_run_leaves_no_worker(truth: Truth, sent: signal.Signals, code: int):
    url = truth.url_for(ttft_ms=200, interval_ms=20)
    command = [sys.executable, "-m", "trt_nemotron", "bench", "--url", url, "--model", "truth",
               "--dialect", "openai", "--workers", "2", "--concurrency", "4", "--requests", "400",
               "--output-tokens", "5", "--input-tokens", "40"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        wait_for_requests(truth, REHEARSAL + 5)
        pids = workers_of(run.pid)
        run.send_signal(sent)
        run.communicate(timeout=30)
    assert len(pids) == 2
    assert run.returncode == code
    end = time.monotonic() + 10
    while any(MODULE in _read(Path(f"/proc/{p}/cmdline")) for p in pids):
        assert time.monotonic() < end, "a worker outlived its run"
        time.sleep(0.05)


@pytest.mark.slow
def test_an_error_of_a_worker_is_the_error_of_the_run(truth: Truth):
    from trt_nemotron.errors import NoValidMeasurement

    with pytest.raises(NoValidMeasurement, match="longer than it was given"):
        bench(truth.url_for(ttft_ms=300, interval_ms=20), 2, total_timeout_s=1.0,
              requests_per_concurrency=100)  # fmt: skip
    assert not workers_of(os.getpid())


def test_what_cannot_be_is_refused():
    facts = describe_environment(target="test")
    with pytest.raises(InvalidInput, match="at least one worker"):
        run_bench("http://127.0.0.1:9", "m", WORKLOAD, OPENAI, facts, workers=0)
    with pytest.raises(InvalidInput, match="not with packets"):
        run_bench("http://127.0.0.1:9", "m", WORKLOAD, OPENAI, facts, workers=2,
                  clock_wish="packet")  # fmt: skip
