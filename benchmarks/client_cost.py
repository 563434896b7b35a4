"""What our measuring client costs and how exact it is, beside a naive one, in the same run.

    python benchmarks/client_cost.py [--streams 32] [--requests 96] [--rounds 3]

A truth server (tests/measure/bench/truth_server.py, a process of its own) sends 64 tokens 10 ms
apart and logs when it sent each. Two clients take turns against it: ours, and one thread a stream
with `requests`, as many measuring scripts have it. Each runs in a fresh process, so that its
processor time is its own. Shown are medians over the rounds: processor time per streamed token
(reading and parsing included, imports not), peak memory, and what each client says minus what the
server knows.
"""

import argparse
import json
import queue
import resource
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from itertools import pairwise
from pathlib import Path

SERVER = Path(__file__).resolve().parent.parent / "tests" / "measure" / "bench" / "truth_server.py"
TOKENS, TTFT_MS, INTERVAL_MS = 64, 50.0, 10.0
CLIENTS = ("ours", "requests threads")


def bodies(count: int) -> list[bytes]:
    """Request bodies; the prompt is the request's number, by which the server's log is matched."""
    return [
        json.dumps(
            {
                "messages": [{"role": "user", "content": f"n{number}"}],
                "max_tokens": TOKENS,
                "ttft_ms": TTFT_MS,
                "interval_ms": INTERVAL_MS,
                "stream": True,
            }
        ).encode()
        for number in range(count)
    ]


def run_ours(url: str, streams: int, count: int) -> dict[str, list[float]]:
    """Seconds from sending to each token chunk, by request number, from our own client."""
    from trt_nemotron.measure.bench.clock import SystemClock, WallClockTrack
    from trt_nemotron.measure.bench.figures.request_figures import token_chunks
    from trt_nemotron.measure.bench.record import Expectation, Place, make_record
    from trt_nemotron.measure.bench.wire.address import resolve_address
    from trt_nemotron.measure.bench.wire.http_request import CHAT_PATH, build_request
    from trt_nemotron.measure.bench.wire.loop import Load, run_closed_loop

    clock = SystemClock()
    track = WallClockTrack(clock)
    address = resolve_address(url)
    requests = [build_request(address, "POST", CHAT_PATH, body) for body in bodies(count)]
    load = Load(requests, streams, 0, 60 * 10**9, clock.monotonic_ns() + 300 * 10**9)
    result = run_closed_loop(address, load, clock, track)
    times = {}
    for exchange in result.exchanges:
        record, _ = make_record(
            exchange,
            Place(index=exchange.index, concurrency=streams, is_warmup=False, origin_ns=0),
            Expectation(TOKENS, sends_done=True),
            track,
            are_kernel_stamps_asked=result.are_kernel_stamps_asked,
        )
        if record.outcome != "ok":
            sys.exit(f"request {exchange.index}: {record.outcome}: {record.error}")
        times[f"n{exchange.index}"] = [
            (chunk.received_ns - record.sent_ns) / 1e9 for chunk in token_chunks(record)
        ]
    return times


def run_requests(url: str, streams: int, count: int) -> dict[str, list[float]]:
    """The same from a thread for each stream, each with a `requests.Session`."""
    import requests

    waiting: queue.SimpleQueue[tuple[int, bytes]] = queue.SimpleQueue()
    for item in enumerate(bodies(count)):
        waiting.put(item)
    times: dict[str, list[float]] = {}

    def work() -> None:
        session = requests.Session()
        while not waiting.empty():
            try:
                number, body = waiting.get_nowait()
            except queue.Empty:
                return
            stamps = []
            begun = time.perf_counter()
            with session.post(f"{url}/v1/chat/completions", data=body, stream=True) as reply:
                for line in reply.iter_lines(chunk_size=None):
                    now = time.perf_counter()
                    if not line.startswith(b"data: {"):
                        continue
                    choices = json.loads(line[6:])["choices"]
                    if choices and choices[0]["delta"].get("content"):
                        stamps.append(now - begun)
            times[f"n{number}"] = stamps

    threads = [threading.Thread(target=work) for _ in range(streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def be_client(name: str, url: str, streams: int, count: int) -> None:
    """Run one client in this process and print what it saw and what it cost."""
    run = run_ours if name == "ours" else run_requests
    run(url, 1, 1)  # imports, and whatever else happens only once
    before = time.process_time()
    times = run(url, streams, count)
    cpu_s = time.process_time() - before
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"times": times, "cpu_s": cpu_s, "peak_mb": peak_mb}))


def percentile(values: list[float], quantile: float) -> float:
    """By nearest rank: both sides alike, no claim of confidence."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]


def gaps(times: list[float]) -> list[float]:
    """Between neighbouring times."""
    return [late - early for early, late in pairwise(times)]


def compare(seen: dict, told: list[dict]) -> dict[str, float]:
    """One round's figures: client minus server, in milliseconds."""
    truth = {}
    for request in told[1:]:
        number = request["ask"]["messages"][0]["content"]
        truth[number] = [(at - request["received_ns"]) / 1e9 for at in request["tokens_ns"]]
    if truth.keys() != seen["times"].keys():
        sys.exit("a client lost requests")
    figures = {
        "cpu_us_per_token": seen["cpu_s"] * 1e6 / sum(map(len, truth.values())),
        "peak_mb": seen["peak_mb"],
    }
    for name, pick in (("ttft", lambda t: t[:1]), ("itl", gaps)):
        client = [value for times in seen["times"].values() for value in pick(times)]
        server = [value for times in truth.values() for value in pick(times)]
        for quantile in (0.5, 0.99):
            error = percentile(client, quantile) - percentile(server, quantile)
            figures[f"{name}_p{quantile * 100:.0f}_error_ms"] = error * 1e3
    return figures


def one_round(name: str, streams: int, count: int) -> dict[str, float]:
    """One client against a fresh server."""
    server = subprocess.Popen(
        [sys.executable, "-I", "-S", str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        url = f"http://127.0.0.1:{int(server.stdout.readline() if server.stdout else b'')}"
        argv = [sys.executable, __file__, "--client", name, "--url", url]
        argv += ["--streams", str(streams), "--requests", str(count)]
        done = subprocess.run(argv, check=True, capture_output=True, timeout=300)
        with urllib.request.urlopen(f"{url}/truth") as reply:  # noqa: S310 - our own server
            told = json.load(reply)["requests"]
    finally:
        server.kill()
        server.communicate()
    return compare(json.loads(done.stdout), told)


def main() -> None:
    """Let the clients take turns and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--requests", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client:
        be_client(given.client, given.url, given.streams, given.requests)
        return
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in CLIENTS}
    for number in range(given.rounds):
        for name in CLIENTS if number % 2 == 0 else reversed(CLIENTS):
            rounds[name].append(one_round(name, given.streams, given.requests))
    print(f"{given.streams} streams, {given.requests} requests x {TOKENS} tokens, "
          f"{INTERVAL_MS:g} ms apart; medians of {given.rounds} rounds")  # fmt: skip
    print(f"{'':22}" + "".join(f"{name:>18}" for name in CLIENTS) + f"{'ratio':>8}")
    for figure in rounds["ours"][0]:
        ours, naive = (
            statistics.median(result[figure] for result in rounds[name]) for name in CLIENTS
        )
        ratio = f"{naive / ours:8.1f}" if ours > 0 else f"{'-':>8}"
        print(f"{figure:22}{ours:18.3f}{naive:18.3f}{ratio}")


if __name__ == "__main__":
    main()
