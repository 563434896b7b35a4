"""Workers on two machines of a real Ray cluster; the second has a monotonic clock of its own.

Both machines are this one: a raylet on 127.0.0.2, another on 127.0.0.3 in a time namespace, where
the system allows one, so that its clock is ahead by a known amount to the nanosecond.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.measure.bench.conftest import Truth
from trt_nemotron.errors import EnvironmentUnfit, InvalidInput
from trt_nemotron.measure.bench.environment import describe_environment
from trt_nemotron.measure.bench.runner import run_bench
from trt_nemotron.measure.bench.values import Measurement, Workload
from trt_nemotron.measure.bench.workers.senders import Senders
from trt_nemotron.measure.bench.workload import change_workload
from trt_nemotron.openai.dialect import OPENAI

pytest.importorskip("ray", reason="workers on other machines are the extra `ray`")
pytestmark = [
    pytest.mark.slow,
    # Ray's own, of its own future and of sockets that its driver leaves to the system.
    pytest.mark.filterwarnings("ignore::FutureWarning:ray", "ignore::ResourceWarning"),
]

REPOSITORY = Path(__file__).resolve().parents[3]
AHEAD_S = 100_000
MODULE = b"trt_nemotron.measure.bench.workers.worker"
ADDRESSES = ("127.0.0.2", "127.0.0.3")
REHEARSAL = 3
WORKLOAD = Workload(
    concurrencies=(4,),
    requests_per_concurrency=24,
    warmup_requests=2,
    input_tokens=40,
    output_tokens=5,
    seed=7,
    timeout_s=10.0,
    total_timeout_s=60.0,
)


def has_time_namespaces() -> bool:
    with suppress(OSError):
        done = subprocess.run(["unshare", "-T", "true"], check=False, capture_output=True)
        return done.returncode == 0
    return False


class Cluster:
    """A head that sends nothing, and machines that can be taken away."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        port = self.address.rpartition(":")[2]
        self.head = self._ray("--head", f"--port={port}", "--include-dashboard=false")
        self.machines: dict[str, subprocess.Popen[bytes]] = {}

    def add(self, machine: str, *, ahead_s: int = 0, code: Path = REPOSITORY) -> None:
        clock = ["unshare", "-T", "--monotonic", str(ahead_s), "--"] if ahead_s else []
        self.machines[machine] = self._ray(
            f"--address={self.address}", f"--node-ip-address={machine}", before=clock, code=code
        )
        self._wait_for(machine)

    def _wait_for(self, machine: str) -> None:
        """Two raylets that start at once on one machine get into each other's way."""
        import ray

        ray.init(address=self.address, log_to_driver=False)
        wait_until(
            lambda: machine in {n["NodeManagerAddress"] for n in ray.nodes() if n["Alive"]},
            f"{machine} did not come up",
        )
        ray.shutdown()

    def end(self) -> None:
        for process in (*self.machines.values(), self.head):
            kill_group(process)

    @staticmethod
    def _ray(
        *options: str, before: list[str] | None = None, code: Path = REPOSITORY
    ) -> "subprocess.Popen[bytes]":
        common = ["--block", "--num-cpus=1", "--object-store-memory=80000000"]
        ray = [sys.executable, "-m", "ray.scripts.scripts", "start"]
        return subprocess.Popen(
            [*(before or ()), *ray, *common, "--disable-usage-stats", *options],
            env={**os.environ, "PYTHONPATH": str(code)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    """All that `ray start --block` started; the tests' own processes, by their ids."""
    family = [process.pid, *descendants(process.pid)]
    for pid in family:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def descendants(parent: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(folder.name))
    found, left = [], [parent]
    while left:
        children = parents.get(left.pop(), [])
        found += children
        left += children
    return found


def workers_of(cluster: Cluster, machine: str) -> list[int]:
    """Worker processes on a machine of the cluster."""
    found = []
    for pid in descendants(cluster.machines[machine].pid):
        with suppress(OSError):
            if MODULE in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(0.05)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    try:
        port = int(cluster.address.rpartition(":")[2])
        wait_until(lambda: is_open(port), "the head did not start")
        cluster.add(ADDRESSES[0])
        cluster.add(ADDRESSES[1], ahead_s=AHEAD_S if has_time_namespaces() else 0)
        yield cluster
    finally:
        cluster.end()


def is_open(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def bench(
    cluster: Cluster,
    url: str,
    hosts: tuple[str, ...] = ADDRESSES,
    *,
    workers: int = 1,
    **changes: Any,
) -> Measurement:
    workload = change_workload(WORKLOAD, **changes)
    facts = describe_environment(target="test")
    senders = Senders(workers, cluster.address, hosts)
    return run_bench(url, "truth", workload, OPENAI, facts, senders=senders)


def test_two_machines_send_together_and_their_clocks_are_known(cluster: Cluster, truth: Truth):
    measurement = bench(cluster, truth.url_for(ttft_ms=20, interval_ms=2), workers=2)
    records = measurement.records
    assert [r.index for r in records] == list(range(REHEARSAL, REHEARSAL + 28))
    assert [r.outcome for r in records] == ["ok"] * 28
    assert sorted(r.worker for r in records) == [n for n in range(4) for _ in range(7)]
    assert len(truth.requests()) == REHEARSAL + 28
    workers = measurement.client.workers
    assert [w.machine for w in workers] == [*ADDRESSES, *ADDRESSES]
    assert [w.streams for w in workers] == [1] * 4
    ahead_ms = AHEAD_S * 1e3 if has_time_namespaces() else 0.0
    for worker, truth_ms in zip(workers, [0.0, ahead_ms] * 2, strict=True):
        (offset,) = worker.clock_offsets
        assert abs(offset.before_ms - truth_ms) <= offset.before_bound_ms
        assert abs(offset.after_ms - truth_ms) <= offset.after_bound_ms
        assert not offset.is_stepped
    assert measurement.client.measurement_error[-1].figure == "clock_offset_ms"
    for machine in ADDRESSES:
        wait_until(lambda machine=machine: not workers_of(cluster, machine), "a worker is left")


def test_the_schedule_of_an_open_loop_is_one_over_both_machines(cluster: Cluster, truth: Truth):
    fields = {"arrivals": "constant", "rates_rps": (50.0,), "concurrencies": (32,)}
    records = bench(
        cluster, truth.url_for(ttft_ms=20, interval_ms=1), requests_per_concurrency=18, **fields
    ).records
    intended = [record.intended_ns for record in records]
    bound_ns = 5_000_000
    assert all(abs(at - intended[0] - 20_000_000 * n) < bound_ns for n, at in enumerate(intended))
    assert [record.worker for record in records] == [0, 1] * 10


def test_a_killed_worker_is_named_with_its_machine(cluster: Cluster, truth: Truth):
    def kill_one() -> None:
        wait_until(lambda: len(truth.requests()) >= REHEARSAL + 4, "nothing was sent")
        os.kill(workers_of(cluster, ADDRESSES[1])[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    named = r"worker 1 of the client \(process \d+ on 127\.0\.0\.3\) died"
    with pytest.raises(EnvironmentUnfit, match=named) as caught:
        bench(cluster, truth.url_for(ttft_ms=200, interval_ms=20), requests_per_concurrency=400)
    killer.join()
    assert "was killed by SIGKILL" in caught.value.evidence
    wait_until(lambda: not workers_of(cluster, ADDRESSES[0]), "a worker is left")


def test_a_machine_that_dies_ends_the_run(cluster: Cluster, truth: Truth):
    lost = "127.0.0.4"
    cluster.add(lost)

    def kill_it() -> None:
        wait_until(lambda: len(truth.requests()) >= REHEARSAL + 4, "nothing was sent")
        kill_group(cluster.machines.pop(lost))

    killer = threading.Thread(target=kill_it)
    killer.start()
    with pytest.raises(EnvironmentUnfit, match=r"127\.0\.0\.4") as caught:
        bench(
            cluster, truth.url_for(ttft_ms=200, interval_ms=20), (ADDRESSES[0], lost),
            requests_per_concurrency=400,
        )  # fmt: skip
    killer.join()
    assert caught.value.evidence
    wait_until(lambda: not workers_of(cluster, ADDRESSES[0]), "a worker is left")


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_an_interrupted_run_leaves_no_worker(
    cluster: Cluster, truth: Truth, sent: signal.Signals, code: int
):
    url = truth.url_for(ttft_ms=200, interval_ms=20)
    command = [sys.executable, "-m", "trt_nemotron", "bench", "--url", url, "--model", "truth",
               "--dialect", "openai", "--ray", cluster.address, "--hosts", ",".join(ADDRESSES),
               "--concurrency", "4", "--requests", "400", "--output-tokens", "5",
               "--input-tokens", "40"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        wait_until(lambda: len(truth.requests()) >= REHEARSAL + 5, "nothing was sent")
        assert [len(workers_of(cluster, machine)) for machine in ADDRESSES] == [1, 1]
        run.send_signal(sent)
        run.communicate(timeout=60)
    assert run.returncode == code
    for machine in ADDRESSES:
        wait_until(lambda machine=machine: not workers_of(cluster, machine), "a worker is left")


def test_another_version_on_a_machine_is_refused(cluster: Cluster, truth: Truth, tmp_path: Path):
    other = "127.0.0.5"
    shutil.copytree(REPOSITORY / "trt_nemotron", tmp_path / "trt_nemotron")
    (tmp_path / "engine_configs").symlink_to(REPOSITORY / "engine_configs")
    with (tmp_path / "trt_nemotron" / "__init__.py").open("a") as file:
        file.write('__version__ = "0.0.0.other"\n')
    cluster.add(other, code=tmp_path)
    with pytest.raises(EnvironmentUnfit, match="another version") as caught:
        bench(cluster, truth.url, (other,))
    assert "0.0.0.other there" in caught.value.evidence
    kill_group(cluster.machines.pop(other))


def test_a_machine_that_is_not_in_the_cluster_is_refused(cluster: Cluster, truth: Truth):
    with pytest.raises(InvalidInput, match=r"called 10\.1\.2\.3") as caught:
        bench(cluster, truth.url, ("10.1.2.3",))
    assert "127.0.0.2" in caught.value.evidence


def test_a_cluster_that_is_not_there_is_said_at_once(truth: Truth):
    facts = describe_environment(target="test")
    with pytest.raises(EnvironmentUnfit, match="cannot be reached"):
        run_bench(truth.url, "truth", WORKLOAD, OPENAI, facts, senders=Senders(1, "127.0.0.1:1"))
