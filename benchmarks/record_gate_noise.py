"""Record how runs of one unchanged server differ, for `benchmarks/gate_rates.py`.

    python benchmarks/record_gate_noise.py --runs 240 --out benchmarks/gate_noise.json

Two servers of the same bundle of the embedded target, started one after the other, are measured in
turn by short runs; which of a pair comes first is drawn by a seeded coin. Kept are each request's
TTFT and TPOT in milliseconds, the server, the time of the run and the load of the machine. Runs
that the client itself calls invalid are kept and marked: a gate would not judge them.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from trt_nemotron.document import write_atomically
from trt_nemotron.measure.bench.figures.request_figures import measure_request
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.replay import read_measurement

TOOL = [sys.executable, "-m", "trt_nemotron"]
SERVERS = ("noise-a", "noise-b")


def tool(*arguments: str, timeout_s: float = 300.0, may_fail: bool = False) -> str:
    """What a command of ours printed."""
    done = subprocess.run(
        [*TOOL, *arguments], capture_output=True, text=True, check=False, timeout=timeout_s
    )
    if done.returncode and not may_fail:
        sys.exit(f"{' '.join(arguments)}: {done.stderr}")
    return done.stdout


def one_run(server: str, seed: int, requests: int, folder: Path) -> dict[str, object] | None:
    """One short bench of one server, as the requests' figures; nothing when it could not be run."""
    path = folder / "run.json"
    path.unlink(missing_ok=True)
    load = os.getloadavg()[0]
    begun = time.time()
    options = ["--concurrency", "1", "--requests", str(requests), "--seed", str(seed)]
    tool("bench", server, *options, "--out", str(path), may_fail=True)
    if not path.exists():
        return None
    measurement = read_measurement(path)
    good = [r for r in measurement.records if not r.is_warmup and r.outcome == "ok"]
    figures = [measure_request(record) for record in good]
    return {
        "server": server[-1],
        "at_s": round(begun, 1),
        "load": round(load, 2),
        "is_valid": not summarise(measurement).invalid_reasons,
        "ttft_ms": [round(figure.ttft_ms, 3) for figure in figures],
        "tpot_ms": [round(f.tpot_ms, 5) for f in figures if f.tpot_ms is not None],
    }


def record(runs: int, requests: int, seed: int) -> list[dict[str, object]]:
    """`runs` runs, half of each server, in pairs of random order."""
    coin = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tool("build", "--target", "cpu", "--out", str(folder / "bundle"))
        started = []
        try:
            for server in SERVERS:
                tool("serve", str(folder / "bundle"), "--name", server, "--detach")
                started.append(server)
            done: list[dict[str, object]] = []
            while len(done) < runs:
                pair = SERVERS if coin.getrandbits(1) else SERVERS[::-1]
                both = [one_run(server, len(done) + 1, requests, folder) for server in pair]
                if None in both:
                    sys.exit("a bench did not run; see it with `trt-nemotron bench noise-a`")
                done += [run for run in both if run is not None]
                print(f"{len(done)} of {runs}", file=sys.stderr)
            return done
        finally:
            for server in started:
                tool("stop", server, may_fail=True)


def main() -> None:
    """Record and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=240)
    parser.add_argument("--requests", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    runs = record(given.runs, given.requests, given.seed)
    command = f"python benchmarks/record_gate_noise.py --runs {given.runs}"
    head = {
        "about": "two unchanged servers of the embedded target, measured in turn",
        "command": f"{command} --requests {given.requests} --seed {given.seed}",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }
    lines = [json.dumps(run, separators=(",", ":")) for run in runs]
    body = json.dumps(head)[:-1] + ', "runs": [\n' + ",\n".join(lines) + "\n]}\n"
    write_atomically(given.out, body.encode())


if __name__ == "__main__":
    main()
