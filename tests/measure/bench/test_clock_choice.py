"""The best clock that is allowed, named with the reason why it is not a better one."""

import ctypes
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.measure.bench.conftest import Truth
from trt_nemotron.errors import EnvironmentUnfit, InvalidInput
from trt_nemotron.measure.bench.clock_choice import ClockChoice, choose_clock, is_connection_seen
from trt_nemotron.measure.bench.environment import describe_environment
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.runner import run_bench
from trt_nemotron.measure.bench.values import Measurement, Workload
from trt_nemotron.measure.bench.wire.address import resolve_address
from trt_nemotron.measure.bench.wire.packet_ring import PacketRing
from trt_nemotron.openai.dialect import OPENAI

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernel stamps are Linux's")

WORKLOAD = Workload(
    concurrencies=(4,),
    requests_per_concurrency=16,
    warmup_requests=4,
    input_tokens=40,
    output_tokens=20,
    seed=7,
    timeout_s=5.0,
    total_timeout_s=60.0,
)
NO_CAPABILITIES = (ctypes.c_uint32 * 6)()
VERSION_3 = (ctypes.c_uint32 * 2)(0x20080522, 0)  # linux/capability.h


def without_capabilities(work: Callable[[], ClockChoice]) -> Any:
    """What `work` returns or raises in a thread that has given up every capability."""
    found: list[Any] = []

    def run() -> None:
        ctypes.CDLL(None, use_errno=True).capset(VERSION_3, NO_CAPABILITIES)
        try:
            found.append(work())
        except EnvironmentUnfit as fault:
            found.append(fault)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


@pytest.fixture
def packets_allowed(truth: Truth) -> None:
    choice = choose_clock(resolve_address(truth.url))
    if choice.source != "packet_ring":
        pytest.skip(f"no packet clock here: {choice.reason}")


def test_packets_are_taken_where_they_are_allowed(truth: Truth, packets_allowed: None):
    choice = choose_clock(resolve_address(truth.url))
    assert choice == ClockChoice("packet_ring", "", "lo")
    assert choose_clock(resolve_address(truth.url), "packet") == choice


def test_without_the_capability_reads_are_stamped_and_the_result_says_why(truth: Truth):
    address = resolve_address(truth.url)
    choice = without_capabilities(lambda: choose_clock(address))
    assert choice.source == "kernel_receive"
    assert "CAP_NET_RAW" in choice.reason


def test_packets_that_are_insisted_on_and_not_allowed_are_an_error(truth: Truth):
    address = resolve_address(truth.url)
    fault = without_capabilities(lambda: choose_clock(address, "packet"))
    assert isinstance(fault, EnvironmentUnfit)
    assert "CAP_NET_RAW" in str(fault)
    assert fault.next_step


def test_packets_are_not_taken_on_trust(truth: Truth, packets_allowed: None):
    """Nobody listens there, so no packet can be seen."""
    truth.end()
    choice = choose_clock(resolve_address(truth.url))
    assert choice.source == "kernel_receive"
    assert "trial connection" in choice.reason


def test_an_interface_that_shows_no_packet_of_the_server_is_not_taken(
    truth: Truth, packets_allowed: None
):
    """As with a port that a container engine translates: packets pass by another way."""
    others = [name for _, name in socket.if_nameindex() if name != "lo"]
    if not others:
        pytest.skip("there is only the loopback interface")
    address = resolve_address(truth.url)
    for name, is_seen in ((others[0], False), ("lo", True)):
        ring = PacketRing(name, address.family, truth.port)
        try:
            assert is_connection_seen(ring, address) is is_seen
        finally:
            ring.close()


@pytest.mark.parametrize(("wish", "source"), [("kernel", "kernel_receive"), ("user", "user_read")])
def test_a_wished_clock_is_taken(truth: Truth, wish: Any, source: str):
    choice = choose_clock(resolve_address(truth.url), wish)
    assert (choice.source, choice.reason) == (source, "asked for")


def test_an_unknown_clock_is_refused(truth: Truth):
    wish: Any = "sundial"
    with pytest.raises(InvalidInput, match="sundial"):
        choose_clock(resolve_address(truth.url), wish)


class Sleeper:
    """A progress double that keeps the client from its work, as a busy machine does."""

    def phase(self, text: str) -> None: ...

    def step(self, done: int, total: int, unit: str) -> None:
        time.sleep(0.15)

    def note(self, text: str) -> None: ...


def bench(url: str, wish: Any, progress: Any = None, **changes: Any) -> Measurement:
    workload = msgspec.structs.replace(WORKLOAD, **changes)
    more = {"progress": progress} if progress else {}
    return run_bench(
        url, "truth", workload, OPENAI, describe_environment(target="test"),
        clock_wish=wish, **more,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wish", "source"),
    [("packet", "packet_ring"), ("kernel", "kernel_receive"), ("user", "user_read")],
)
def test_every_record_and_the_result_name_the_clock_and_its_error(
    truth: Truth, packets_allowed: None, wish: str, source: str
):
    measurement = bench(truth.url_for(interval_ms=5), wish)
    client = measurement.client
    assert client.clock == source
    assert {record.clock for record in measurement.records} == {source}
    assert client.clock_reason == ("" if wish == "packet" else "asked for")
    errors = {error.figure: error.error_ms for error in client.measurement_error}
    assert list(errors) == [
        f"{name}_{quantile}_ms"
        for name in ("ttft", "itl", "tpot", "e2e")
        for quantile in ("p50", "p99")
    ]
    (lag,) = client.schedule_lags
    assert 0 <= lag.p50_ms <= lag.p99_ms
    assert 0 <= client.merged_share < 1
    assert (client.lost_packets, client.void_requests) == (0, 0)


@pytest.mark.slow
def test_a_client_that_is_kept_from_reading_says_so_unless_packets_hold_the_time(
    truth: Truth, packets_allowed: None
):
    url = truth.url_for(interval_ms=5, ttft_ms=50)
    late = summarise(bench(url, "user", Sleeper()))
    assert any("own clock readings" in reason for reason in late.lateness_reasons)
    assert set(late.lateness_reasons) <= set(late.invalid_reasons)
    sound = summarise(bench(url, "packet", Sleeper()))
    assert not any("own clock" in reason or "read together" in reason
                   for reason in sound.invalid_reasons)  # fmt: skip
    assert sound.at(4).shared_stamp_share == 0.0


@pytest.mark.slow
def test_events_that_share_a_segment_are_counted(truth: Truth, packets_allowed: None):
    url = truth.url_for(scenario="two events a segment", interval_ms=5)
    measurement = bench(url, "packet")
    assert measurement.client.merged_share == pytest.approx(10 / 19, abs=0.01)
    assert any("read together" in note for note in summarise(measurement).notes)


@pytest.mark.slow
def test_the_whole_run_is_packets_where_every_answer_closes_its_connection(
    truth: Truth, packets_allowed: None
):
    measurement = bench(truth.url_for(interval_ms=2, is_closing=True), "auto")
    assert {record.clock for record in measurement.records} == {"packet_ring"}
    assert not [record for record in measurement.records if record.void]


@pytest.mark.slow
def test_a_busy_machine_shifts_no_packet(truth: Truth, packets_allowed: None):
    """A busy loop on every core, as in the benchmark; the figures are the server's own."""
    count = len(os.sched_getaffinity(0))
    loops = [
        subprocess.Popen([sys.executable, "-I", "-S", "-c", "while True: pass"])
        for _ in range(count)
    ]
    try:
        measurement = bench(truth.url_for(interval_ms=5, ttft_ms=50), "packet")
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    told = [r for r in truth.requests() if len(r["tokens_ns"]) == 20][-16:]
    ttfts = sorted((r["tokens_ns"][0] - r["received_ns"]) / 1e6 for r in told)
    summary = summarise(measurement).at(4)
    assert summary.ttft_ms.p50 == pytest.approx((ttfts[7] + ttfts[8]) / 2, abs=0.5)
    assert summary.shared_stamp_share == 0.0
