"""A whole measurement against a real server: what it finds, and how it ends when it cannot."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.measure.bench.conftest import Truth
from trt_nemotron.errors import EndpointUnfit, InvalidInput, NoValidMeasurement, TrtNemotronError
from trt_nemotron.measure.bench.discovery import discover_dialect, discover_model
from trt_nemotron.measure.bench.environment import describe_environment
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.figures.summary import Slo
from trt_nemotron.measure.bench.replay import read_measurement, write_measurement
from trt_nemotron.measure.bench.runner import run_bench
from trt_nemotron.measure.bench.values import Measurement, Workload
from trt_nemotron.openai.dialect import OPENAI

pytestmark = pytest.mark.slow

WORKLOAD = Workload(
    concurrencies=(1, 3),
    requests_per_concurrency=8,
    warmup_requests=2,
    input_tokens=40,
    output_tokens=10,
    seed=7,
    timeout_s=5.0,
    total_timeout_s=60.0,
)
REHEARSAL = 3
SERVER_PAGES = 3
"""At which a server's own figures are looked for, each over a connection of its own."""


def bench(url: str, **changes: Any) -> Measurement:
    workload = msgspec.structs.replace(WORKLOAD, **changes)
    return run_bench(url, "truth", workload, OPENAI, describe_environment(target="test"))


class Recorder:
    """A progress double that keeps what it was told."""

    def __init__(self) -> None:
        self.phases: list[str] = []

    def phase(self, text: str) -> None:
        self.phases.append(text)

    def step(self, done: int, total: int, unit: str) -> None:
        assert 0 <= done <= total

    def note(self, text: str) -> None:
        self.phases.append(text)


@pytest.fixture(scope="module")
def measured() -> Any:
    """One measurement, and what the server says of it."""
    truth = Truth()
    progress = Recorder()
    measurement = run_bench(
        truth.url_for(ttft_ms=15, interval_ms=4), "truth", WORKLOAD, OPENAI,
        describe_environment(target="test"), progress=progress,
    )  # fmt: skip
    told = truth.told()
    truth.end()
    return measurement, told, progress


def test_every_request_is_recorded_and_warmup_is_marked(measured: Any):
    measurement, told, _ = measured
    assert len(told["requests"]) == REHEARSAL + len(measurement.records) == 3 + (2 + 8) + (3 + 8)
    warmup = [record.concurrency for record in measurement.records if record.is_warmup]
    assert warmup == [1, 1, 3, 3, 3]
    assert {record.outcome for record in measurement.records} == {"ok"}


def test_figures_are_those_of_the_server(measured: Any):
    measurement, told, _ = measured
    level = summarise(measurement).at(1)
    truths = [
        (r["tokens_ns"][0] - r["received_ns"], (r["tokens_ns"][-1] - r["tokens_ns"][0]) / 9)
        for r in told["requests"][REHEARSAL + 2 : REHEARSAL + 10]
    ]
    ttft, tpot = (sorted(column)[len(truths) // 2] / 1e6 for column in zip(*truths, strict=True))
    assert level.ttft_ms.p50 == pytest.approx(ttft, abs=1.5)
    assert level.tpot_ms.p50 == pytest.approx(tpot, abs=0.5)


def test_as_many_requests_are_under_way_as_asked_for(measured: Any):
    measurement, told, _ = measured
    assert told["connections"] <= 2 * REHEARSAL + 1 + 3 + 1 + SERVER_PAGES
    level = [record for record in measurement.records if record.concurrency == 3]
    most = max(
        sum(other.sent_ns <= record.sent_ns < other.finished_ns for other in level)
        for record in level
    )
    assert most == 3


def test_prompts_differ_and_have_the_wished_length(measured: Any):
    measurement, told, _ = measured
    prompts = [request["ask"]["messages"][0]["content"] for request in told["requests"]]
    assert len(set(prompts)) == len(prompts)
    assert {record.prompt_tokens for record in measurement.records} == {40}


def test_length_is_asked_for_and_caching_is_asked_off(measured: Any):
    _, told, _ = measured
    for request in told["requests"][REHEARSAL:]:
        asked = request["ask"]
        assert asked["max_tokens"] == asked["min_tokens"] == 10
        assert asked["ignore_eos"] is True
        assert asked["cache_prompt"] is False
        assert asked["chat_template_kwargs"] == {"enable_thinking": False}


def test_the_client_says_how_well_it_was(measured: Any):
    measurement, _, progress = measured
    client = measurement.client
    assert 0 < client.floor_ttft_p50_ms < 20
    assert 0 < client.cpu_share < 1
    assert client.loop_lag_p99_ms >= 0
    assert [lag.concurrency for lag in client.loop_lags] == [1, 3]
    if sys.platform == "linux":
        assert client.clock in {"packet_ring", "kernel_receive"}
    assert progress.phases[:2] == [
        "rehearsing: prompt length, output length",
        "measuring the client itself",
    ]


def test_a_kept_measurement_gives_the_same_figures_again(measured: Any, tmp_path: Path):
    measurement, _, _ = measured
    slo = Slo(ttft_ms=100)
    for name in ("m.json", "m.json.gz"):
        size = write_measurement(tmp_path / name, measurement)
        assert size == (tmp_path / name).stat().st_size
        again = read_measurement(tmp_path / name)
        assert again == measurement
        assert summarise(again, slo) == summarise(measurement, slo)
    assert (tmp_path / "m.json.gz").stat().st_size < (tmp_path / "m.json").stat().st_size / 3


def test_a_damaged_or_foreign_file_is_refused(measured: Any, tmp_path: Path):
    measurement, _, _ = measured
    path = tmp_path / "m.json.gz"
    write_measurement(path, measurement)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InvalidInput, match="damaged"):
        read_measurement(path)
    path.write_bytes(b'{"schema": "something/1"}')
    with pytest.raises(InvalidInput, match="is another document"):
        read_measurement(path)


def test_some_failures_are_reported_and_do_not_end_the_run(truth: Truth):
    url = truth.url_for(**{"scenario": "error in band", "from": REHEARSAL + 3, "every": 2})
    level = summarise(bench(url, concurrencies=(2,))).at(2)
    assert level.outcomes == {"ok": 4, "stream_error": 4}
    assert level.error_share == 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wishes", "kind", "said"),
    [
        ({"scenario": "not http"}, EndpointUnfit, "does not answer as an OpenAI endpoint"),
        ({"scenario": "web page"}, EndpointUnfit, "does not answer as an OpenAI endpoint"),
        ({"scenario": "503"}, EndpointUnfit, "loading"),
        ({"scenario": "fin before anything"}, EndpointUnfit, "does not answer"),
        ({"scenario": "head, then nothing"}, EndpointUnfit, "not ended after 0.2 s"),
        ({"scenario": "error in band"}, NoValidMeasurement, "CUDA out of memory"),
        ({"scenario": "no done"}, NoValidMeasurement, r"no \[DONE\]"),
        ({"scenario": "too short", "from": 2}, NoValidMeasurement, "8 tokens where 10"),
        ({"scenario": "429", "from": 3}, NoValidMeasurement, "none of 8 requests"),
        ({"scenario": "head, then nothing", "from": 6}, EndpointUnfit, "stopped ending"),
    ],
)
def test_a_server_that_cannot_be_measured_is_a_clear_error(
    truth: Truth, wishes: dict[str, Any], kind: type[TrtNemotronError], said: str
):
    with pytest.raises(kind) as fault:
        bench(truth.url_for(**wishes), timeout_s=0.2, concurrencies=(1,))
    assert re.search(said, str(fault.value))
    assert fault.value.next_step


@pytest.mark.slow
def test_a_server_that_dies_on_the_way_is_a_clear_error(truth: Truth):
    def kill_once_busy() -> None:
        while len(truth.requests()) < REHEARSAL + 5:
            time.sleep(0.05)
        truth.process.kill()

    killer = threading.Thread(target=kill_once_busy)
    killer.start()
    with pytest.raises(EndpointUnfit, match="stopped answering"):
        bench(truth.url_for(interval_ms=10), requests_per_concurrency=500)
    killer.join()


@pytest.mark.slow
def test_a_run_that_takes_too_long_is_given_up(truth: Truth):
    with pytest.raises(NoValidMeasurement, match="longer than it was given"):
        bench(truth.url, requests_per_concurrency=5000, total_timeout_s=0.5)


def test_the_server_tells_its_model_and_dialect(truth: Truth):
    assert discover_model(truth.url) == "truth"
    assert discover_dialect(truth.url) == OPENAI
    with pytest.raises(EndpointUnfit):
        discover_model("http://127.0.0.1:9")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_at_once_and_leaves_nothing(
    truth: Truth, tmp_path: Path, number: signal.Signals
):
    out = tmp_path / "m.json"
    argv = [
        "bench",
        "--out",
        str(out),
        "--output-tokens",
        "8",
        "--url",
        truth.url_for(interval_ms=50),
        "--requests",
        "500",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "trt_nemotron", *argv],
        stderr=subprocess.PIPE, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    end = time.monotonic() + 20
    while len(truth.requests()) < REHEARSAL + 2 and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(number)
    begun = time.monotonic()
    _, said = process.communicate(timeout=20)
    assert time.monotonic() - begun < 5
    assert process.returncode == 128 + number, said
    assert b"interrupted" in said
    assert list(tmp_path.iterdir()) == []
