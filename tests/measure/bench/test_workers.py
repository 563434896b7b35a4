"""Several processes load a real server together: nothing twice, nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.measure.bench.conftest import Truth
from trt_nemotron.errors import EndpointUnfit, EnvironmentUnfit, InvalidInput
from trt_nemotron.measure.bench.environment import describe_environment
from trt_nemotron.measure.bench.runner import run_bench
from trt_nemotron.measure.bench.share import deal
from trt_nemotron.measure.bench.values import Measurement, Workload
from trt_nemotron.measure.bench.workers.processes import Processes
from trt_nemotron.measure.bench.workers.senders import Senders
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


def bench(url: str, workers: int, *, patience_s: float = 30.0, **changes: Any) -> Measurement:
    workload = change_workload(WORKLOAD, **changes)
    facts = describe_environment(target="test")
    senders = Senders(workers, patience_s=patience_s)
    return run_bench(url, "truth", workload, OPENAI, facts, senders=senders)


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


def signal_one(sent: signal.Signals, when: Callable[[], bool]) -> threading.Thread:
    """Send `sent` to a worker of this process as soon as there is one and `when` says so."""

    def work() -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            pids = workers_of(os.getpid())
            if pids and when():
                os.kill(pids[0], sent)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.slow
@pytest.mark.parametrize("is_early", [True, False], ids=["before it is set up", "under way"])
@pytest.mark.parametrize(
    ("sent", "what", "evidence"),
    [
        (signal.SIGKILL, "died", "was killed by SIGKILL"),
        (signal.SIGSTOP, "said nothing for 3 s", "is stopped (SIGSTOP)"),
    ],
    ids=["killed", "stopped"],
)
def test_a_worker_that_is_gone_or_hangs_ends_the_run_and_none_is_left(
    truth: Truth, sent: signal.Signals, what: str, evidence: str, *, is_early: bool
):
    least = 0 if is_early else REHEARSAL + 4
    sender = signal_one(sent, lambda: len(truth.requests()) >= least)
    url = truth.url_for(ttft_ms=200, interval_ms=20)
    with pytest.raises(
        EnvironmentUnfit, match=r"worker \d of the client \(process \d+\)"
    ) as caught:
        bench(url, 2, requests_per_concurrency=400, patience_s=3.0)
    sender.join()
    assert what in caught.value.message
    assert evidence in caught.value.evidence
    assert "nothing of this run was kept" in caught.value.next_step
    if sent is signal.SIGSTOP and not is_early:
        assert "it has not said that its last request has ended" in caught.value.evidence
    assert not workers_of(os.getpid())


@pytest.mark.slow
def test_the_last_words_of_a_worker_are_the_evidence(truth: Truth, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")  # a Python that cannot start
    with pytest.raises(EnvironmentUnfit, match="worker 0 of the client") as caught:
        bench(truth.url, 2)
    assert "ended with exit code 1; on standard error it said:" in caught.value.evidence
    assert "encodings" in caught.value.evidence
    assert not workers_of(os.getpid())


@pytest.mark.slow
def test_a_worker_that_does_not_read_is_not_waited_for():
    """Arrivals of a long trace are more than a pipe holds."""
    processes = Processes()
    pid = processes.start(1)[0]
    try:
        os.kill(pid, signal.SIGSTOP)
        assert not processes.write(0, b"x" * (1 << 20), timeout_s=0.2)
    finally:
        processes.close()
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.slow
def test_each_worker_measures_itself_with_its_share(truth: Truth):
    url = truth.url_for(ttft_ms=20, interval_ms=2)
    client = bench(url, 2, concurrencies=(2, 5), requests_per_concurrency=10).client
    assert [worker.streams for worker in client.workers] == [3, 2]
    assert client.floor_ttft_p50_ms == max(w.floor_ttft_p50_ms for w in client.workers) > 0
    assert client.stamp_delay_p99_ms == max(w.stamp_delay_p99_ms for w in client.workers)
    assert all(worker.stamp_delay_p50_ms > 0 for worker in client.workers)
    assert client.clock_reason == "each worker would capture the packets of all"


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
        run_bench("http://127.0.0.1:9", "m", WORKLOAD, OPENAI, facts, senders=Senders(0))
    with pytest.raises(InvalidInput, match="not with packets"):
        run_bench("http://127.0.0.1:9", "m", WORKLOAD, OPENAI, facts, senders=Senders(2),
                  clock_wish="packet")  # fmt: skip
    many = change_workload(WORKLOAD, concurrencies=(2049,))
    for workers, each in ((1, "2,049"), (2, "1,025")):
        with pytest.raises(InvalidInput, match="1,024 streams at most") as caught:
            run_bench("http://127.0.0.1:9", "m", many, OPENAI, facts, senders=Senders(workers))
        assert f"{each} for each" in caught.value.evidence
    with pytest.raises(EndpointUnfit):  # three have room for them; nobody answers there
        run_bench("http://127.0.0.1:9", "m", many, OPENAI, facts, senders=Senders(3))
    with pytest.raises(InvalidInput, match="through a Ray cluster"):
        run_bench("http://127.0.0.1:9", "m", WORKLOAD, OPENAI, facts,
                  senders=Senders(hosts=("10.0.0.2",)))  # fmt: skip


@pytest.mark.skipif(find_spec("ray") is not None, reason="says what to do where Ray is missing")
def test_without_ray_the_install_line_is_said_before_a_server_is_asked():
    command = [sys.executable, "-m", "trt_nemotron", "bench", "--url", "http://127.0.0.1:9"]
    done = subprocess.run([*command, "--ray", "auto"], check=False, capture_output=True, text=True)
    assert done.returncode == 3
    assert "pip install 'trt-nemotron[ray]'" in done.stderr


def test_a_dry_run_says_who_would_send_what():
    command = [sys.executable, "-m", "trt_nemotron", "bench", "--url", "http://127.0.0.1:9"]
    command += ["--workers", "3", "--concurrency", "2,7", "--dry-run"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    assert "by 3 processes of this machine" in told
    assert "concurrency 2: 1 + 1 + 0; concurrency 7: 3 + 2 + 2" in told
    tree = json.loads(subprocess.run([*command, "--json"], check=True, capture_output=True).stdout)
    assert tree["workers"] == 3
    assert tree["streams_of_workers"] == {"concurrency 2": [1, 1, 0], "concurrency 7": [3, 2, 2]}
