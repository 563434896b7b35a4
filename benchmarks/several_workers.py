"""What several workers follow, and how exactly, against one process: the same work, by turns.

    python benchmarks/several_workers.py [--streams 64,128,256] [--workers 1,2] [--rounds 3]

Each run is a whole `trt-nemotron bench --clock kernel` against the truth server (`truth/`, on one
core; the client may use all): 256 tokens, 5 ms apart after 50 ms, twice as many requests as streams
and as many before them. Shown, in Markdown, as medians over the rounds: the rate that the server's
log says was sent over the whole leg, its start and end included; the errors, client minus that log,
the same percentile of both; the worst of the figures TTFT, ITL, TPOT and E2E (p50 and p99) in per
cent; the busiest worker's share of a core, and how often the client called itself valid. Workers
need cores: with no more than the truth server and one worker can have to themselves, two of them
show that the figures stay right, not that they are faster. Nothing is written but what is printed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from client_accuracy import INTERVAL_MS, TOKENS, TTFT_MS, describe_machine, percentile, pick
from truth.running import Answer, compiled, truth_server

FIGURES = [(name, quantile) for name in ("ttft", "itl", "tpot", "e2e") for quantile in (0.5, 0.99)]
_NO_VALID_MEASUREMENT = 4


def one_round(streams: int, workers: int) -> dict[str, float]:
    """One command against a fresh server."""
    requests = 2 * streams
    with (
        tempfile.TemporaryDirectory() as folder,
        truth_server(
            tokens=TOKENS,
            ttft_ms=TTFT_MS,
            interval_ms=INTERVAL_MS,
            core=max(os.sched_getaffinity(0)),
        ) as server,
    ):
        kept = Path(folder, "m.json")
        argv = [sys.executable, "-m", "trt_nemotron", "bench", "--url", server.url, "--json"]
        argv += ["--workers", str(workers), "--clock", "kernel", "--out", str(kept)]
        argv += ["--concurrency", str(streams), "--requests", str(requests), "--warmup", "1"]
        argv += ["--output-tokens", str(TOKENS)]
        done = subprocess.run(argv, check=False, stdout=subprocess.DEVNULL, timeout=120)
        if done.returncode not in {0, _NO_VALID_MEASUREMENT}:
            sys.exit(f"{' '.join(argv)} ended with exit code {done.returncode}")
        told = server.read_log()[-requests - streams :]
        return compare(kept, told, is_valid=done.returncode == 0)


def compare(kept: Path, told: list[Answer], *, is_valid: bool) -> dict[str, float]:
    """One round's figures; every request of the leg on both sides, warm-up included."""
    from trt_nemotron.measure.bench.figures.request_figures import token_chunks
    from trt_nemotron.measure.bench.replay import read_measurement

    measurement = read_measurement(kept)
    bad = [record for record in measurement.records if record.outcome != "ok"]
    if bad or len(measurement.records) != len(told):
        sys.exit(f"{len(told)} requests were answered, {len(measurement.records)} recorded, "
                 f"{len(bad)} of them badly")  # fmt: skip
    seen = [
        [(chunk.received_ns - record.sent_ns) / 1e9 for chunk in token_chunks(record)]
        for record in measurement.records
    ]
    truth = [answer.times_s for answer in told]
    begin, end = min(a.arrived_ns for a in told), max(a.sent_ns[-1] for a in told)
    row = {"tokens/s": sum(map(len, truth)) / (end - begin) * 1e9}
    worst = 0.0
    for name, quantile in FIGURES:
        client, server = (
            percentile([value for times in side for value in pick(times, name)], quantile)
            for side in (seen, truth)
        )
        row[f"{name} p{quantile * 100:.0f} error (ms)"] = (client - server) * 1e3
        worst = max(worst, abs(client / server - 1.0) * 100)
    row["worst of these errors (%)"] = worst
    row["busiest share of a core (%)"] = measurement.client.cpu_share * 100
    row["valid (share)"] = float(is_valid)
    return row


def show(streams: int, columns: dict[int, list[dict[str, float]]]) -> None:
    """One number of streams, a column for each number of workers."""
    print(f"\n| {streams} streams |" + "".join(f" {workers} workers |" for workers in columns))
    print("|---|" + "---|" * len(columns))
    for figure in next(iter(columns.values()))[0]:
        average = statistics.fmean if "share)" in figure else statistics.median
        values = [average(row[figure] for row in rows) for rows in columns.values()]
        digits = 0 if figure == "tokens/s" else 3
        print(f"| {figure} |" + "".join(f" {value:,.{digits}f} |" for value in values), flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--streams", default="64,128,256")
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    counts = [int(part) for part in given.workers.split(",")]
    compiled()
    print(f"{given.rounds} rounds; {describe_machine()} before the first", flush=True)
    for streams in map(int, given.streams.split(",")):
        columns: dict[int, list[dict[str, float]]] = {workers: [] for workers in counts}
        for number in range(given.rounds):
            for workers in counts if number % 2 == 0 else reversed(counts):
                columns[workers].append(one_round(streams, workers))
        show(streams, columns)


if __name__ == "__main__":
    main()
