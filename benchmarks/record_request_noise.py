"""Record how neighbouring requests of two unchanged servers differ, for `benchmarks/gate_rates.py`.

    python benchmarks/record_request_noise.py --seconds 120 --core 1 --out FILE
    python benchmarks/record_request_noise.py --seconds 120 --core -1 --out FILE

Two servers of one bundle of the embedded target, asked request by request in turn by the gate's own
client; a seeded coin draws the order of each two neighbours. With `--core` both are held to that
core, with -1 the scheduler puts them where it likes. Kept are, of each pair, which came first, TTFT
of A and B and TPOT of A and B in milliseconds, and the load of the machine.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from gate_end_to_end import held_to, served, tool

from trt_nemotron.document import write_atomically
from trt_nemotron.measure.bench.alternating import Alternation, Server, open_alternation
from trt_nemotron.measure.bench.discovery import discover_dialect, discover_model
from trt_nemotron.measure.bench.environment import describe_environment
from trt_nemotron.measure.bench.figures.request_figures import measure_request
from trt_nemotron.measure.bench.kept_floors import KeptFloors
from trt_nemotron.measure.bench.workload import find_profile
from trt_nemotron.measure.gate.ab import order_of_arms

ROUND = 48
NOT_COMPARED = "not compared"


def alternation(ports: tuple[int, int]) -> Alternation:
    """The client of both servers."""
    environment = describe_environment(
        target="cpu",
        runtime=NOT_COMPARED,
        release=NOT_COMPARED,
        model=NOT_COMPARED,
        configuration_sha256=NOT_COMPARED,
    )
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    servers = [Server(url, discover_model(url), discover_dialect(url), environment) for url in urls]
    return open_alternation(servers, find_profile("quick"), KeptFloors())


def record(client: Alternation, seconds: float, seed: int) -> list[dict[str, object]]:
    """Rounds of pairs, until so long has passed."""
    rounds: list[dict[str, object]] = []
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        # The same coin goes on from round to round.
        order = order_of_arms(seed, ROUND * (len(rounds) + 1))[-ROUND:]
        load = os.getloadavg()[0]
        a, b = client.measure([int(arm == "b") for pair in order for arm in pair])
        pairs = []
        for (first, _), one, other in zip(order, a.records, b.records, strict=True):
            if one.gives_figures and other.gives_figures:
                before, after = measure_request(one), measure_request(other)
                if before.tpot_ms and after.tpot_ms:
                    figures = (before.ttft_ms, after.ttft_ms, before.tpot_ms, after.tpot_ms)
                    pairs.append([first, *(round(value, 4) for value in figures)])
        rounds.append({"load": round(load, 2), "pairs": pairs})
    return rounds


def main() -> None:
    """Record and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--core", type=int, default=1, help="for both servers; -1 for any")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        tool("build", "--target", "cpu", "--out", str(folder / "bundle"))
        place = held_to(given.core) if given.core >= 0 else ExitStack()
        with place:
            ports = (
                held.enter_context(served(folder / "bundle", "request-noise-a")),
                held.enter_context(served(folder / "bundle", "request-noise-b")),
            )
        rounds = record(alternation(ports), given.seconds, given.seed)
    where = f"both held to core {given.core}" if given.core >= 0 else "put anywhere"
    head = {
        "about": f"two unchanged servers of the embedded target, request by request, {where}",
        "command": "python benchmarks/record_request_noise.py " + " ".join(sys.argv[1:]),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }
    lines = [json.dumps(each, separators=(",", ":")) for each in rounds]
    body = json.dumps(head)[:-1] + ', "rounds": [\n' + ",\n".join(lines) + "\n]}\n"
    write_atomically(given.out, body.encode())
    count = sum(len(list(each["pairs"])) for each in rounds)  # type: ignore[call-overload]
    print(f"{count} pairs in {len(rounds)} rounds", file=sys.stderr)


if __name__ == "__main__":
    main()
