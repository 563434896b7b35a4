"""What servers say of themselves: pages as their sources write them, and a real page over HTTP."""

import http.server
import json
import socket
import threading
import time
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trt_nemotron.errors import EndpointUnfit, InvalidInput
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.server_side.asking import make_fetch
from trt_nemotron.measure.bench.server_side.exposition import read_samples
from trt_nemotron.measure.bench.server_side.joining import server_notes
from trt_nemotron.measure.bench.server_side.snapshot import (
    Snapshot,
    compare,
    find_endpoints,
    take_snapshot,
)
from trt_nemotron.measure.bench.values import ServerSide
from trt_nemotron.measure.bench.wire.address import resolve_address

LEG = Leg(concurrency=4)


def page(prefix: str, count: int, **means_s: float) -> str:
    lines = [f"# HELP {prefix}x What it is.", f"# TYPE {prefix}x histogram"]
    for name, mean in means_s.items():
        full = f'{prefix}{name}{{model_name="m, \\"n\\"",engine="0"}}'
        lines += [
            full.replace("{", "_bucket{").replace("}", ',le="+Inf"}') + f" {count}",
            full.replace("{", "_count{") + f" {count}",
            full.replace("{", "_sum{") + f" {mean * count!r}",
        ]
    return "\n".join(lines) + "\n"


VLLM = {"time_to_first_token_seconds": 0.05, "request_time_per_output_token_seconds": 0.002}
TRTLLM = {"time_to_first_token_seconds": 0.04, "time_per_output_token_seconds": 0.003}


class Pages:
    """A double of a server's pages: text by path, 404 for all others."""

    def __init__(self, **pages: str) -> None:
        self.pages = {f"/{name}": text for name, text in pages.items()}
        self.asked: list[str] = []

    def __call__(self, path: str) -> str | None:
        self.asked.append(path)
        return self.pages.get(path.replace("/prometheus/metrics", "/prometheus"))


def test_means_are_those_of_the_leg_alone():
    server = Pages(metrics=page("vllm:", 100, **dict.fromkeys(VLLM, 9.0)))
    endpoints = find_endpoints(server)
    assert endpoints.source == "vllm /metrics"
    before = take_snapshot(server, endpoints)
    later = {name: (9.0 * 100 + mean * 60) / 160 for name, mean in VLLM.items()}
    server.pages["/metrics"] = page("vllm:", 160, **later)
    found = compare(LEG, endpoints, before, take_snapshot(server, endpoints))
    assert found is not None
    assert found.requests == 60
    assert found.ttft_mean_ms == pytest.approx(50.0)
    assert found.tpot_mean_ms == pytest.approx(2.0)
    assert found.queue_mean_ms is None


def test_older_names_count_only_where_the_newer_are_missing():
    both = page("vllm:", 10, inter_token_latency_seconds=7.0, **VLLM)
    old = page("vllm:", 10, time_per_output_token_seconds=0.004)
    for text, tpot in ((both, 2.0), (old, 4.0)):
        server = Pages(metrics=text)
        endpoints = find_endpoints(server)
        found = compare(LEG, endpoints, Snapshot(), take_snapshot(server, endpoints))
        assert found is not None
        assert found.tpot_mean_ms == pytest.approx(tpot)


def test_tensorrt_llm_is_read_where_reading_takes_nothing_away():
    """Its `/metrics` is a queue that reading empties: not asked for where the other is."""
    server = Pages(prometheus=page("trtllm_", 5, **TRTLLM), metrics="[]")
    endpoints = find_endpoints(server)
    take_snapshot(server, endpoints)
    assert endpoints.source == "tensorrt-llm /prometheus/metrics"
    assert "/metrics" not in server.asked


def test_llama_cpp_gives_a_quotient_of_counters():
    name = "llamacpp:tokens_predicted"
    server = Pages(
        metrics=f"# TYPE {name}_total counter\n{name}_total 100\n{name}_seconds_total 2\n"
    )
    endpoints = find_endpoints(server)
    before = take_snapshot(server, endpoints)
    server.pages["/metrics"] = f"{name}_total 300\n{name}_seconds_total 3\n"
    found = compare(LEG, endpoints, before, take_snapshot(server, endpoints))
    assert found is not None
    assert found.tpot_mean_ms == pytest.approx(5.0)
    assert found.ttft_mean_ms is None
    assert found.requests == 0


def perf_entry(*times: float) -> dict[str, object]:
    names = ("arrival_time", "first_scheduled_time", "first_token_time", "last_token_time")
    timing = dict(zip(names, times, strict=True))
    return {"request_id": 1, "perf_metrics": {"first_iter": 1, "timing_metrics": timing}}


def test_times_of_each_request_are_used_and_those_that_run_backwards_are_not():
    entries = [perf_entry(1.0, 1.01, 1.05, 2.0), perf_entry(5.0, 4.0, 5.1, 6.0), {"odd": 1}]
    server = Pages(perf_metrics=json.dumps(entries))
    endpoints = find_endpoints(server)
    assert endpoints.source == "tensorrt-llm /perf_metrics"
    found = compare(LEG, endpoints, Snapshot(), take_snapshot(server, endpoints))
    assert found is not None
    assert found.requests == 1
    assert found.ttft_mean_ms == pytest.approx(50.0)
    assert found.queue_mean_ms == pytest.approx(10.0)
    assert found.e2e_mean_ms == pytest.approx(1000.0)


@pytest.mark.parametrize("text", ["", "[]", "<html>", "vllm:time_to_first_token_seconds_sum NaN\n"])
def test_a_server_that_tells_nothing_gives_nothing(text: str):
    server = Pages(metrics=text)
    endpoints = find_endpoints(server)
    snapshot = take_snapshot(server, endpoints)
    assert compare(LEG, endpoints, snapshot, snapshot) is None


def test_a_server_that_began_anew_gives_nothing():
    server = Pages(metrics=page("vllm:", 100, **VLLM))
    endpoints = find_endpoints(server)
    before = take_snapshot(server, endpoints)
    server.pages["/metrics"] = page("vllm:", 3, **VLLM)
    assert compare(LEG, endpoints, before, take_snapshot(server, endpoints)) is None


@pytest.mark.parametrize(
    ("line", "labels", "value"),
    [
        ("a 1", (), 1.0),
        ("a:b_c{} +Inf", (), float("inf")),
        ('a{x="1"} 2 1395066363000', (("x", "1"),), 2.0),
        ('a{x="\\"\\\\\\n}",y="",} -1.5e3', (("x", '"\\\n}'), ("y", "")), -1500.0),
        ("  a\t.5 ", (), 0.5),
        ('a{x="ü , }"}3', (("x", "ü , }"),), 3.0),
    ],
)
def test_samples_as_the_format_has_them(
    line: str, labels: tuple[tuple[str, str], ...], value: float
):
    (sample,) = read_samples(f"# a comment\n\n{line}\n")
    assert sample.labels == labels
    assert sample.value == value


@pytest.mark.parametrize(
    "line",
    ["a", "1a 1", "a1_", 'a{x="1} 1', "a{x=1} 1", 'a{x="1"', "a 0x10", "a 1_0", "a 1 2 3", "a 1 x",
     'a{x="\\q"} 1', "a{,} 1", 'a{x="1"y="2"} 1', "a-b 1", '{"a": 1}', "a infinite"],
)  # fmt: skip
def test_what_is_no_sample_is_refused_with_its_line(line: str):
    with pytest.raises(InvalidInput, match="line 2 is no sample"):
        read_samples(f"fine 1\n{line}\n")


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet='ab:_{}=",\\n 01.eE+-#\t\nNaIf[]', max_size=60))
def test_no_text_breaks_the_reader(text: str):
    try:
        samples = read_samples(text)
    except InvalidInput:
        return
    kept = [line for line in text.split("\n") if line.strip(" \t\r") and line.strip()[0] != "#"]
    assert len(samples) == len(kept)


_NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,9}", fullmatch=True)
_LABELS = st.dictionaries(
    st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,9}", fullmatch=True),
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=9),
    max_size=3,
)


@settings(deadline=None)
@given(_NAMES, _LABELS, st.floats())
def test_what_a_client_library_would_write_is_read_back(
    name: str, labels: dict[str, str], value: float
):
    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')

    inner = ",".join(f'{key}="{escaped(text)}"' for key, text in labels.items())
    (sample,) = read_samples(f"{name}{{{inner}}} {value!r}")
    assert sample.name == name
    assert dict(sample.labels) == labels
    assert sample.value == value or value != value  # noqa: PLR0124 - NaN


def test_the_difference_is_said_in_one_sentence(make_measurement):
    measurement = make_measurement(concurrencies=(4,), requests=24, ttft_ms=8.0, spread=0.0)
    server = ServerSide(leg=LEG, source="vllm /metrics", requests=24, ttft_mean_ms=15.0)
    (note,) = server_notes([server], measurement.records)
    assert "TTFT 15 ms on the server's clock and 16 on ours" in note
    assert "not of the same" not in note
    busy = msgspec.structs.replace(server, requests=30)
    told = summarise(msgspec.structs.replace(measurement, server_side=(busy,))).notes
    assert any("counted 30 requests where we sent 24" in note for note in told)
    assert not list(server_notes([ServerSide(leg=LEG, source="x")], measurement.records))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/base/metrics":
            assert self.headers["Authorization"] == "Bearer secret"
            body = page("vllm:", 7, **VLLM).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        else:
            self.send_error(404)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/base"
        server.shutdown()
        thread.join()


def test_a_page_over_http(url: str):
    fetch = make_fetch(resolve_address(url), "secret")
    endpoints = find_endpoints(fetch)
    found = compare(LEG, endpoints, Snapshot(), take_snapshot(fetch, endpoints))
    assert found is not None
    assert found.requests == 7
    assert fetch("/elsewhere") is None


def test_a_server_that_is_silent_or_drips_or_is_gone_holds_nobody():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = resolve_address(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(EndpointUnfit, match="cannot be read"):
            make_fetch(address, longest_s=0.2)("/metrics")
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        with pytest.raises(EndpointUnfit, match="cannot be read"):
            make_fetch(address, longest_s=0.5)("/metrics")
        thread.join()
    with pytest.raises(EndpointUnfit, match="cannot be read"):
        make_fetch(address, longest_s=0.5)("/metrics")
    assert find_endpoints(make_fetch(address, longest_s=0.5)).source == ""


def drip(listener: socket.socket) -> None:
    """Answer the one that is still there with a body that takes an hour."""
    listener.settimeout(10)
    for _ in range(2):  # the first one has gone away, its connection still stands in the queue
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")
                while True:
                    connection.sendall(b"a")
                    time.sleep(0.05)
            except OSError:
                continue
