"""What a busy loop on every core does to each clock's figures, and whether the client notices.

    python benchmarks/busy_machine.py [--clocks packet,kernel,user] [--runs 10] [--streams 32]
        [--requests 64]

The truth server and the clients are those of `client_accuracy.py`: each run is a fresh process,
held to one core, against a fresh server on another. Idle runs and busy ones (`while True: pass` on
every core, at the usual priority) take turns, and so do the clocks. An error is what the client
says minus the server's log, the same percentile of both; shown are the medians over the runs of its
size, idle and busy, and of how many runs the client itself called invalid. `--verbose` prints each
run with the client's own lateness. Nothing is written.
"""

import argparse
import json
import statistics
import sys
from contextlib import nullcontext

from client_accuracy import FIGURES, busy_cores, compare, compiled, describe_machine, observe

_OWN = ("is_valid", "loop_lag_p99_ms", "stamp_delay_p99_ms", "read_lag_p99_ms", "reasons")


def one_run(clock: str, streams: int, requests: int, *, is_busy: bool) -> dict:
    """The errors of one run, and what the client said of itself."""
    with busy_cores() if is_busy else nullcontext():
        seen, told = observe(clock, streams, requests)
    figures = compare(seen, told)
    return {name: figures[name] for name in FIGURES} | {name: seen[name] for name in _OWN}


def show(clock: str, idle: list[dict], busy: list[dict]) -> None:
    """The table of one clock, in Markdown."""
    print(f"\n| `{clock}` | idle | busy | busy / idle |\n|---|---|---|---|")
    for name in FIGURES:
        calm, loaded = (statistics.median(abs(run[name]) for run in runs) for runs in (idle, busy))
        ratio = f"{loaded / calm:.1f}" if calm else ""
        print(f"| {name} | {calm:.4f} | {loaded:.4f} | {ratio} |")
    for name in _OWN[1:-1]:
        calm, loaded = (statistics.median(run[name] for run in runs) for runs in (idle, busy))
        print(f"| {name} | {calm:.3f} | {loaded:.3f} | |")
    counts = [f"{sum(not run['is_valid'] for run in runs)} of {len(runs)}" for runs in (idle, busy)]
    print(f"| runs that say they are invalid | {counts[0]} | {counts[1]} | |", flush=True)


def main() -> None:
    """Run all of it and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clocks", default="packet,kernel,user")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args()
    compiled()
    print(f"{given.streams} streams, {given.requests} requests; medians of {given.runs} runs;")
    print(f"{describe_machine()} before the first", flush=True)
    clocks = given.clocks.split(",")
    runs: dict[tuple[str, bool], list[dict]] = {}
    for number in range(given.runs):
        for clock in clocks if number % 2 == 0 else reversed(clocks):
            for is_busy in (False, True):
                run = one_run(clock, given.streams, given.requests, is_busy=is_busy)
                runs.setdefault((clock, is_busy), []).append(run)
                told = json.dumps(run) if given.verbose else ""
                state = "busy" if is_busy else "idle"
                print(f"run {number + 1}: {clock}, {state} {told}", file=sys.stderr)
    for clock in clocks:
        show(clock, runs[clock, False], runs[clock, True])


if __name__ == "__main__":
    main()
