"""Baselines in a bucket over the S3 protocol: a real client against a double of the service."""

import json
import os
import re
import subprocess
import sys
import threading
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("s3fs")
pytest.importorskip("moto.server")

from trt_nemotron.errors import EnvironmentUnfit, InvalidInput
from trt_nemotron.measure.baselines.bucket import Bucket
from trt_nemotron.measure.baselines.finding import find_kept
from trt_nemotron.measure.baselines.ledger import expire, promote, read_ledger, read_run, record
from trt_nemotron.measure.baselines.storage import open_storage

pytestmark = pytest.mark.slow

MakeRun = Callable[..., msgspec.Struct]


@contextmanager
def s3_double() -> Iterator[str]:
    """A double of an S3 service: moto's server, in a process of its own, spoken to over HTTP.

    It checks neither who asks nor signatures; the rest of the protocol (listing, paging, missing
    buckets and keys) is answered as the real one does. Gives its address, on loopback.
    """
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stderr is not None
    drain = threading.Thread()
    try:
        found = (re.search(r"http://127\.0\.0\.1:\d+", line) for line in server.stderr)
        address = next(address.group() for address in found if address)
        drain = threading.Thread(target=server.stderr.read)  # it logs more than a pipe holds
        drain.start()
        yield address
    finally:
        server.kill()
        server.wait()
        drain.join()
        server.stderr.close()


def make_bucket(address: str, name: str) -> None:
    """An empty bucket."""
    request = urllib.request.Request(f"{address}/{name}", method="PUT")  # noqa: S310 - loopback
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310 - loopback


def bucket_names(address: str) -> list[str]:
    """Every bucket there is."""
    with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310 - loopback
        return re.findall(r"<Name>([^<]+)</Name>", answer.read().decode())


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with s3_double() as address:
        yield address


@pytest.fixture
def location(service: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty prefix in a bucket of its own; who asks is told by the environment alone."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", service)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-name")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    name = f"b{uuid.uuid4().hex}"
    make_bucket(service, name)
    return f"s3://{name}/perf/baselines"


def test_what_was_added_is_read_back(location: str):
    storage = open_storage(location)
    assert isinstance(storage, Bucket)
    assert storage.names() == ()
    storage.add({"b/two.json": '"ü"'.encode(), "a/one.json": b"1", "a/no.txt": b"2"}, "add")
    assert storage.names() == ("a/one.json", "b/two.json")
    assert open_storage(location).read("b/two.json") == '"ü"'.encode()
    with pytest.raises(InvalidInput, match=r"b\.json"):
        storage.read("b.json")


def test_nothing_is_overwritten(location: str):
    storage = open_storage(location)
    for _ in range(2):
        storage.add({"a.json": b"1"}, "add")
    with pytest.raises(InvalidInput, match="something else"):
        open_storage(location).add({"a.json": b"2"}, "change")
    assert storage.read("a.json") == b"1"


def test_what_another_job_added_is_seen_at_once(location: str):
    mine, theirs = open_storage(location), open_storage(location)
    assert mine.names() == ()
    theirs.add({"a.json": b"1"}, "theirs")
    assert mine.names() == ("a.json",)
    theirs.add({"b.json": b"2"}, "theirs")
    assert mine.names() == ("a.json", "b.json")


def test_a_neighbouring_prefix_is_another_place(location: str):
    open_storage(f"{location}-old").add({"a.json": b"1"}, "old")
    assert open_storage(location).names() == ()


def test_more_files_than_one_listing_holds(location: str):
    """S3 lists a thousand names at a time."""
    storage = open_storage(location)
    names = [f"events/{place:04}.json" for place in range(1010)]
    storage._files.pipe({storage._path(name): b"{}" for name in names})
    assert storage.names() == tuple(names)


def test_a_baseline_from_record_to_expiry(location: str, make_measurement: MakeRun, clock):
    run = make_measurement()
    later = msgspec.structs.replace(make_measurement(seed=2), started_at="2026-11-24T12:00:00Z")
    kept = record(open_storage(location), run, clock=clock)
    assert find_kept(open_storage(location), later).baseline is None
    promote(open_storage(location), kept.id, reason="first", clock=clock)
    found = find_kept(open_storage(location), later)
    assert (found.baseline, found.history) == (run, (run,))
    assert read_run(open_storage(location), kept) == run
    expire(open_storage(location), kept.id, reason="another board", clock=clock)
    assert find_kept(open_storage(location), later).baseline is None
    actions = [event.action for event in read_ledger(open_storage(location)).events]
    assert actions == ["record", "promote", "expire"]


def test_jobs_that_record_at_once_lose_nothing(location: str, make_measurement: MakeRun):
    runs = [make_measurement(seed=seed, requests=8) for seed in (1, 2, 3, 3)]
    gate = threading.Barrier(len(runs))
    ids: list[str] = []

    def job(run: msgspec.Struct) -> None:
        storage = open_storage(location)
        gate.wait()
        ids.append(record(storage, run).id)

    jobs = [threading.Thread(target=job, args=(run,)) for run in runs]
    for it in jobs:
        it.start()
    for it in jobs:
        it.join()
    storage = open_storage(location)
    ledger = read_ledger(storage)
    assert {kept.id for kept in ledger.baselines} == set(ids)
    assert len(ids) == 4
    assert len(set(ids)) == 3
    assert all(read_run(storage, kept) in runs for kept in ledger.baselines)


def test_a_mistyped_bucket_is_refused_and_not_made(location: str, service: str):
    storage = open_storage("s3://no-such-bucket-of-ours/perf")
    with pytest.raises(InvalidInput, match="no bucket that exists"):
        storage.names()
    with pytest.raises(InvalidInput, match="no bucket that exists"):
        storage.add({"a.json": b"1"}, "add")
    with pytest.raises(InvalidInput, match="no bucket that exists"):
        storage._write(storage._path("a.json"), b"1")
    assert "no-such-bucket-of-ours" not in bucket_names(service)


def test_a_service_that_does_not_answer_is_told(location: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(EnvironmentUnfit, match="cannot be reached") as caught:
        open_storage(location).names()
    assert "AWS_ENDPOINT_URL" in caught.value.next_step
    assert "the-secret" not in f"{caught.value} {caught.value.evidence}"


def test_without_credentials_the_environment_is_named(
    location: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(EnvironmentUnfit, match="cannot be reached") as caught:
        open_storage(location).add({"a.json": b"1"}, "add")
    assert "AWS_PROFILE" in caught.value.next_step


def run_tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "trt_nemotron", *arguments],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_the_commands_work_on_a_bucket(location: str, make_measurement: MakeRun, tmp_path: Path):
    """Record, promote, list and gate as a job does them, each in a process of its own."""
    old, new, budget = tmp_path / "old.json", tmp_path / "new.json", tmp_path / "budget.yaml"
    old.write_bytes(msgspec.json.encode(make_measurement()))
    later = msgspec.structs.replace(make_measurement(), started_at="2026-11-24T12:00:00Z")
    new.write_bytes(msgspec.json.encode(later))
    budget.write_text(
        "schema: trt-nemotron/budget/1\ntarget: cpu\nrelative:\n"
        "  - {metric: tpot_p50_ms, concurrency: 1, worse_by_at_most_percent: 30}\n"
    )
    gate = ("gate", str(new), "--budget", str(budget), "--baseline-store", location, "--json")
    assert run_tool(*gate).returncode == 5
    ran = run_tool("baseline", "record", str(old), "--store", location, "--json")
    assert ran.returncode == 0, ran.stderr
    name = json.loads(ran.stdout)["id"]
    told = run_tool("baseline", "promote", name, "--store", location, "--reason", "the first one")
    assert told.returncode == 0, told.stderr
    listed = run_tool("baseline", "list", "--store", location, "--json")
    assert name in listed.stdout
    assert "the-secret" not in listed.stdout + listed.stderr
    judged = run_tool(*gate)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert json.loads(judged.stdout)["results"][0]["decision"] == "pass"


def test_a_folder_loads_no_s3_client(tmp_path: Path):
    program = (
        "import sys; from trt_nemotron.measure.baselines.storage import open_storage; "
        f"open_storage({str(tmp_path)!r}).names(); "
        "sys.exit(any(m in sys.modules for m in ('fsspec', 's3fs', 'botocore')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
