"""Our client beside others: `python -m benchmarks.peers`, from the root of the repository.

    python -m benchmarks.peers [--peer NAME ...] [--concurrency 1,32,128,256] [--rounds 1]
        [--out docs/peers.md] [--json FILE]

Makes an environment for each peer that has none yet (a few GB in the user's cache), lets the peers
take turns against the truth server, each run with a fresh one, and prints the page, or writes it
with `--out`. One round of the default set took ten minutes on a busy machine of
two cores.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.peers.catalogue import DEFAULT, LEFT_OUT, PEERS
from benchmarks.peers.environments import Unavailable, programs_of
from benchmarks.peers.page import Results, page
from benchmarks.peers.peer import REQUESTS
from benchmarks.peers.rounds import Failed, ask_for_faults, measure
from trt_nemotron.document import write_atomically


def run(names: list[str], levels: list[int], rounds: int) -> Results:
    """Let the peers take turns; one that fails once at some load is left out from then on there."""
    results = Results(missing={k: v for k, v in LEFT_OUT.items() if k not in names})
    there = [name for name in names if _is_there(name, results)]
    for streams in levels:
        rows = results.rows.setdefault(streams, {PEERS[name].name: [] for name in there})
        for number in range(rounds):
            for name in there if number % 2 == 0 else reversed(there):
                _one(name, streams, number, rows, results)
        results.rows[streams] = {name: found for name, found in rows.items() if found}
    for name in there:
        _say(f"{PEERS[name].name}: errors in the middle of streams")
        try:
            results.faults[PEERS[name].name] = ask_for_faults(PEERS[name])
        except Failed as error:
            results.missing[f"{PEERS[name].name}, errors in the middle"] = str(error)
    return results


def _is_there(name: str, results: Results) -> bool:
    peer = PEERS[name]
    try:
        programs_of(peer)
    except Unavailable as error:
        results.missing[peer.name] = f"could not be installed here: {error}"
        return False
    if peer.note:
        results.notes[peer.name] = peer.note
    return True


def _one(name: str, streams: int, number: int, rows: dict, results: Results) -> None:
    peer = PEERS[name]
    _say(f"{streams} streams, round {number + 1}: {peer.name}")
    try:
        rows[peer.name].append(measure(peer, streams))
    except Failed as error:
        results.missing[f"{peer.name}, {streams} streams, round {number + 1}"] = str(error)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _load() -> str:
    return ", ".join(f"{value:.2f}" for value in os.getloadavg())


def _machine() -> str:
    processor = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
            break
    cores = len(os.sched_getaffinity(0))
    python = platform.python_version()
    return f"{cores} cores ({processor}), Linux {platform.release().split('-')[0]}, Python {python}"


def _command(given: argparse.Namespace) -> str:
    """What was asked, without where it was to be kept."""
    peers = [word for name in given.peer or () for word in ("--peer", name)]
    asked = ["--concurrency", given.concurrency, "--rounds", str(given.rounds), *peers]
    return shlex.join(["python", "-m", "benchmarks.peers", *asked])


def main() -> int:
    """Run and show."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--peer", action="append", choices=list(PEERS), help="may be repeated")
    parser.add_argument("--concurrency", default="1,32,128,256", help=f"of {list(REQUESTS)}")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the page here instead of printing it")
    parser.add_argument("--json", type=Path, help="keep every round's figures here")
    given = parser.parse_args()
    levels = [int(part) for part in given.concurrency.split(",")]
    if unknown := [level for level in levels if level not in REQUESTS]:
        parser.error(f"--concurrency {unknown[0]}: one of {', '.join(map(str, REQUESTS))}")
    facts = {
        "command": _command(given),
        "date": time.strftime("%Y-%m-%d, %H:%M UTC", time.gmtime()),
        "machine": _machine(),
        "load_begin": _load(),
    }
    results = run(given.peer or list(DEFAULT), levels, given.rounds)
    text = page(results, {**facts, "load_end": _load()})
    if given.json:
        write_atomically(given.json, json.dumps(asdict(results), indent=1).encode())
    if given.out:
        write_atomically(given.out, text.encode())
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
