"""What a whole `trt-nemotron bench` costs: processor time, time to the first request, memory.

    python benchmarks/whole_command.py [--streams 32] [--requests 160] [--rounds 5] [--clock auto]

The command measures the truth server (`truth/`): 256 tokens, 5 ms apart after 50 ms. It is started
as a user starts it, on one core, and waited for with `wait4`: processor time and peak memory are
the kernel's account of it and of every process that it started and waited for, the loopback server
of its calibration included. Time to the first request runs from just before `exec` to the kernel's
stamp of the first chat completion at the server, by one clock; that of the load from there to the
first request after the rehearsal. The bounds are this project's own. Nothing is written.

The same machine is by a quarter slower in one hour than in the next, so each command stands between
two runs of a yardstick: an interpreter that starts, imports click and counts, always the same, on
the same core. How many yardsticks a command took tells two versions apart where seconds do not.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

from truth.running import compiled, truth_server

TOKENS, TTFT_MS, INTERVAL_MS = 256, 50.0, 5.0
YARDSTICK = "import click\nfor number in range(2_000_000): number * number % 7"
BOUNDS = {"processor time (s)": 1.0, "time to first request (s)": 0.3, "peak memory (MB)": 60.0}


def one_round(streams: int, requests: int, clock: str) -> dict[str, float]:
    """One command against a fresh server."""
    cores = sorted(os.sched_getaffinity(0))
    with truth_server(
        tokens=TOKENS, ttft_ms=TTFT_MS, interval_ms=INTERVAL_MS, core=cores[-1]
    ) as server:
        argv = [sys.executable, "-m", "trt_nemotron", "bench", "--url", server.url, "--json"]
        argv += ["--concurrency", str(streams), "--requests", str(requests), "--clock", clock]
        argv += ["--output-tokens", str(TOKENS), "--warmup", "1"]
        before_s = yardstick_s(cores[0])
        begun = time.monotonic_ns()
        code, usage = run_alone(argv, cores[0])
        ended = time.monotonic_ns()
        told = server.read_log()
    used_s = usage.ru_utime + usage.ru_stime
    yard_s = (before_s + yardstick_s(cores[0])) / 2
    loaded = told[-requests - streams :]
    return {
        "processor time (s)": used_s,
        "time to first request (s)": (told[0].arrived_ns - begun) / 1e9,
        "time to first request of the load (s)": (loaded[0].arrived_ns - begun) / 1e9,
        "peak memory (MB)": usage.ru_maxrss / 1024,
        "after the last token (s)": (ended - max(answer.sent_ns[-1] for answer in told)) / 1e9,
        "processor time per token of the load (us)": used_s
        * 1e6
        / sum(len(answer.sent_ns) for answer in loaded),
        "yardstick (s)": yard_s,
        "processor time (yardsticks)": used_s / yard_s,
        "exit code": code,
    }


def run_alone(argv: list[str], core: int) -> tuple[int, resource.struct_rusage]:
    """Run a program on one core; its exit code, and what it and those it waited for have used."""
    program = subprocess.Popen(
        argv,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509 - no threads
    )
    _, status, usage = os.wait4(program.pid, 0)
    program.returncode = os.waitstatus_to_exitcode(status)
    return program.returncode, usage


def yardstick_s(core: int) -> float:
    """Processor time of a fixed piece of work, now, on this core."""
    _, usage = run_alone([sys.executable, "-c", YARDSTICK], core)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--requests", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clock", default="auto")
    given = parser.parse_args()
    compiled()
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"{given.requests} requests of {TOKENS} tokens at {given.streams} streams, clock")
    print(
        f"{given.clock}; {given.rounds} rounds; load average {load} before the first\n", flush=True
    )
    rounds = []
    for number in range(given.rounds):
        rounds.append(one_round(given.streams, given.requests, given.clock))
        print(f"round {number + 1}", file=sys.stderr)
    print("| whole command | median | least | most | bound | of the bound |")
    print("|---|---|---|---|---|---|")
    for name in rounds[0]:
        values = [row[name] for row in rounds]
        median, bound = statistics.median(values), BOUNDS.get(name)
        of_bound = f"{bound:g} | {median / bound:.0%}" if bound else "|"
        print(f"| {name} | {median:.3f} | {min(values):.3f} | {max(values):.3f} | {of_bound} |")


if __name__ == "__main__":
    main()
