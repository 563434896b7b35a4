"""How truthful our measuring client is and what it costs, by clock, against a server's own log.

    python benchmarks/client_accuracy.py [--streams 1,32,128,256] [--rounds 5] [--busy]
        [--clients packet,kernel,user,requests]

The truth server (`truth/`, a process of its own on a core of its own) sends 256 tokens 5 ms apart
after 50 ms and logs when it sent each. Every way of measuring takes its turn in every round, in a
fresh process that is held to one core: ours with each of its clocks, and for comparison one thread
a stream with `requests`, as many measuring scripts have it. All streams start together and stay in
step, which is the worst case for a reader.

Shown, in Markdown, are medians over the rounds, one table for each way. An error is what the client
says minus the server's log, the same percentile of both. Processor time is that of the client's
process per streamed token: from the first request to the last byte, and, apart, for reading the
recording afterwards. `says valid` is the share of rounds that the client itself would have called
so. `--busy` runs a busy loop on every core. Nothing is written but what is printed.
"""

import argparse
import json
import os
import queue
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from typing import TYPE_CHECKING

from truth.running import Answer, compiled, truth_server

if TYPE_CHECKING:
    from trt_nemotron.measure.bench.client_health import ClientHealth

TOKENS, TTFT_MS, INTERVAL_MS = 256, 50.0, 5.0
CLIENTS = ("packet", "kernel", "user", "requests")
REQUESTS = {1: 6, 8: 24, 32: 160, 64: 256, 128: 384, 256: 768, 384: 768, 512: 1024, 640: 1280}
FIGURES = {
    "ttft p50 error (ms)": ("ttft", 0.50),
    "ttft p99 error (ms)": ("ttft", 0.99),
    "itl p50 error (ms)": ("itl", 0.50),
    "itl p99 error (ms)": ("itl", 0.99),
    "tpot p50 error (ms)": ("tpot", 0.50),
    "e2e p50 error (ms)": ("e2e", 0.50),
    "e2e p99 error (ms)": ("e2e", 0.99),
}

Times = dict[int, list[float]]
"""Seconds from sending to each token, by the number of the request."""


def body(number: int) -> bytes:
    """A request; the number in it is that in the server's log."""
    asked = {"model": "truth", "messages": [{"role": "user", "content": "word " * 16}]}
    return json.dumps({"n": number, **asked, "max_tokens": TOKENS, "stream": True}).encode()


def run_ours(url: str, streams: int, count: int, wish: str) -> dict:
    """What our own client saw, what it cost, and whether it would call itself valid."""
    from trt_nemotron.measure.bench.calibration import measure_floor
    from trt_nemotron.measure.bench.clock import SystemClock, WallClockTrack
    from trt_nemotron.measure.bench.clock_choice import choose_clock
    from trt_nemotron.measure.bench.figures.request_figures import measure_request, token_chunks
    from trt_nemotron.measure.bench.figures.validity import find_lag_reasons
    from trt_nemotron.measure.bench.health import HealthLog
    from trt_nemotron.measure.bench.leg import Leg
    from trt_nemotron.measure.bench.record import Expectation, Place, make_record
    from trt_nemotron.measure.bench.wire.address import resolve_address
    from trt_nemotron.measure.bench.wire.http_request import CHAT_PATH, build_request
    from trt_nemotron.measure.bench.wire.load import Load
    from trt_nemotron.measure.bench.wire.loop import run_closed_loop

    clock = SystemClock()
    track = WallClockTrack(clock)
    address = resolve_address(url)
    choice = choose_clock(address, wish)
    floor = measure_floor(streams, clock, choice)
    requests = [build_request(address, "POST", CHAT_PATH, body(n)) for n in range(count)]
    load = Load(requests, streams, 0, 60 * 10**9, clock.monotonic_ns() + 300 * 10**9)
    before = time.process_time()
    with choice.capture(address, streams) as capture:
        result = run_closed_loop(
            address, load, clock, track,
            capture=capture, asks_for_stamps=choice.source == "kernel_receive",
        )  # fmt: skip
    health, leg = HealthLog(), Leg(concurrency=streams)
    health.add_loop(leg, result)
    records = []
    for exchange in result.exchanges:
        place = Place(index=exchange.index, concurrency=streams, is_warmup=False, origin_ns=0)
        record, stamps = make_record(
            exchange, place, Expectation(TOKENS, sends_done=True), track,
            are_kernel_stamps_asked=result.are_kernel_stamps_asked, packets=result.packets,
        )  # fmt: skip
        if record.outcome != "ok" or record.void:
            sys.exit(f"request {exchange.index}: {record.outcome} {record.error}{record.void}")
        health.add_request(record, stamps)
        records.append(record)
    after = time.process_time() - before - result.process_cpu_ns / 1e9
    client = health.conclude(floor, len(track.steps))
    figures = [measure_request(record) for record in records]
    return {
        "times": {
            record.index: [(c.received_ns - record.sent_ns) / 1e9 for c in token_chunks(record)]
            for record in records
        },
        "cpu_s": result.process_cpu_ns / 1e9,
        "cpu_after_s": after,
        **_own_judgement(list(find_lag_reasons(leg, figures, client)), client),
    }


def _own_judgement(reasons: list[str], client: "ClientHealth") -> dict:
    """What the client would have said of itself, and from what."""
    return {
        "is_valid": not reasons,
        "reasons": reasons,
        "loop_lag_p99_ms": client.loop_lag_p99_ms,
        "stamp_delay_p99_ms": client.stamp_delay_p99_ms,
        "read_lag_p99_ms": client.read_lag_p99_ms,
    }


def run_requests(url: str, streams: int, count: int) -> dict:
    """The same from a thread for each stream, each with a `requests.Session`."""
    import requests

    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(count):
        waiting.put(number)
    times: Times = {}

    def work() -> None:
        session = requests.Session()
        while True:
            try:
                number = waiting.get_nowait()
            except queue.Empty:
                return
            data = body(number)
            stamps = []
            begun = time.perf_counter()
            with session.post(f"{url}/v1/chat/completions", data=data, stream=True) as reply:
                for line in reply.iter_lines(chunk_size=None):
                    now = time.perf_counter()
                    if not line.startswith(b"data: {"):
                        continue
                    choices = json.loads(line[6:])["choices"]
                    if choices and choices[0]["delta"].get("content"):
                        stamps.append(now - begun)
            times[number] = stamps

    threads = [threading.Thread(target=work) for _ in range(streams)]
    before = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cpu_s = time.process_time() - before
    return {"times": times, "cpu_s": cpu_s, "cpu_after_s": 0.0, "is_valid": True}


def be_client(name: str, url: str, streams: int, count: int) -> None:
    """Run one client in this process and print what it saw and what it cost."""
    run = run_requests if name == "requests" else run_ours
    extra = () if name == "requests" else (name,)
    seen = run(url, streams, count, *extra)
    seen["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(seen))


def percentile(values: list[float], quantile: float) -> float:
    """By nearest rank: both sides alike, no claim of confidence."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]


def pick(times: list[float], name: str) -> list[float]:
    """What one request adds to a figure."""
    if name == "itl":
        return [late - early for early, late in pairwise(times)]
    if name == "tpot":
        return [(times[-1] - times[0]) / (len(times) - 1)]
    return times[:1] if name == "ttft" else times[-1:]


def compare(seen: dict, told: list[Answer]) -> dict[str, float]:
    """One round's figures."""
    truth = {answer.number: answer.times_s for answer in told}
    times = {int(number): stamps for number, stamps in seen["times"].items()}
    if truth.keys() != times.keys():
        sys.exit(f"{len(truth)} requests were answered, {len(times)} were recorded")
    tokens = sum(map(len, truth.values()))
    begin = min(answer.arrived_ns for answer in told)
    end = max(answer.sent_ns[-1] for answer in told)
    figures = {"tokens/s": tokens / (end - begin) * 1e9}
    worst = 0.0
    for label, (name, quantile) in FIGURES.items():
        client, server = (
            percentile([v for stamps in side.values() for v in pick(stamps, name)], quantile)
            for side in (times, truth)
        )
        figures[label] = (client - server) * 1e3
        worst = max(worst, abs(client / server - 1.0) * 100)
        if name == "tpot":
            figures["tpot p50 error (%)"] = (client / server - 1.0) * 100
    figures["worst of these errors (%)"] = worst
    figures["cpu us/token"] = seen["cpu_s"] * 1e6 / tokens
    figures["cpu us/token, afterwards"] = seen["cpu_after_s"] * 1e6 / tokens
    figures["peak memory (MB)"] = seen["peak_mb"]
    figures["says valid (share)"] = float(seen["is_valid"])
    return figures


def one_round(name: str, streams: int) -> dict[str, float]:
    """One client against a fresh server."""
    seen, told = observe(name, streams)
    return compare(seen, told)


def observe(name: str, streams: int, count: int = 0) -> tuple[dict, list[Answer]]:
    """What one client and its fresh server saw of `count` requests; without, as in `REQUESTS`."""
    cores = sorted(os.sched_getaffinity(0))
    with truth_server(
        tokens=TOKENS, ttft_ms=TTFT_MS, interval_ms=INTERVAL_MS, core=cores[-1]
    ) as server:
        argv = [sys.executable, __file__, "--client", name, "--url", server.url]
        argv += ["--streams", str(streams), "--core", str(cores[0])]
        argv += ["--requests", str(count or REQUESTS.get(streams, 2 * streams))]
        done = subprocess.run(argv, check=True, stdout=subprocess.PIPE, timeout=300)
        return json.loads(done.stdout), server.read_log()


@contextmanager
def busy_cores() -> Iterator[None]:
    """A busy loop on every core."""
    loops = []
    for core in os.sched_getaffinity(0):
        loops.append(subprocess.Popen([sys.executable, "-I", "-S", "-c", "while True: pass"]))
        os.sched_setaffinity(loops[-1].pid, {core})
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def measure(
    names: list[str], levels: list[int], rounds: int
) -> dict[tuple[str, int], list[dict[str, float]]]:
    """Figures of every round by client and streams; the clients take turns."""
    results: dict[tuple[str, int], list[dict[str, float]]] = {}
    for number in range(rounds):
        for streams in levels:
            for name in names if number % 2 == 0 else reversed(names):
                results.setdefault((name, streams), []).append(one_round(name, streams))
                print(f"round {number + 1}: {name}, {streams} streams", file=sys.stderr)
    return results


def show(name: str, columns: dict[int, list[dict[str, float]]]) -> None:
    """The table of one client, in Markdown; the mean for shares, else the median."""
    print(f"\n| `{name}` |" + "".join(f" {streams} streams |" for streams in columns))
    print("|---|" + "---|" * len(columns))
    for figure in next(iter(columns.values()))[0]:
        average = statistics.fmean if "share" in figure else statistics.median
        values = [average(r[figure] for r in rows) for rows in columns.values()]
        digits = 0 if figure == "tokens/s" else 1 if "MB" in figure else 4 if "%" in figure else 3
        print(f"| {figure} |" + "".join(f" {value:,.{digits}f} |" for value in values))


def describe_machine() -> str:
    """What the figures were taken on, and how busy it was."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, Linux {os.uname().release}, load average {load}"


def main() -> None:
    """Run, or be one of the clients."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--streams", default="1,32,128,256")
    parser.add_argument("--clients", default="packet,kernel")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--requests", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    levels = [int(part) for part in given.streams.split(",")]
    if given.client:
        os.sched_setaffinity(0, {given.core})
        be_client(given.client, given.url, levels[0], given.requests)
        return
    names = given.clients.split(",")
    print(f"{TOKENS} tokens a request, {INTERVAL_MS:g} ms apart after {TTFT_MS:g} ms; medians of")
    print(f"{given.rounds} rounds; {describe_machine()} before the first", flush=True)
    compiled()
    with busy_cores() if given.busy else nullcontext():
        results = measure(names, levels, given.rounds)
    for name in names:
        show(name, {streams: results[name, streams] for streams in levels})


if __name__ == "__main__":
    main()
