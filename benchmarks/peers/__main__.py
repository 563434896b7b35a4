"""Our client beside others: `python -m benchmarks.peers`, from the root of the repository.

    python -m benchmarks.peers [--results FILE] [--peer NAME ...] [--concurrency 1,32,128,256]
        [--rounds 5] [--faults | --no-faults] [--most N]
    python -m benchmarks.peers --summarise [--results FILE]

Makes an environment for each peer that has none yet (a few GB in the user's cache), lets the peers
take turns against the truth server, each run with a fresh one, and adds a line to the results file
after each. It can be ended at any time: called again, it goes on with what is missing. When nothing
is missing, docs/peers.md and its plots are written from the file, which `--summarise` does alone.
`--most 1` measures one thing and ends, for a machine that has to be quiet only meanwhile; exit code
3 says that something is still missing. A round of the default set takes ten minutes.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.peers.catalogue import DEFAULT, PEERS
from benchmarks.peers.environments import Unavailable, programs_of
from benchmarks.peers.fault_rounds import ask_about
from benchmarks.peers.faults import FAULTS
from benchmarks.peers.page import NoPlace, write_page
from benchmarks.peers.peer import REQUESTS
from benchmarks.peers.results import (
    FaultRow,
    Results,
    Row,
    Unreadable,
    begin_results,
    keep,
    read_results,
)
from benchmarks.peers.rounds import ROOT, Failed, measure
from benchmarks.peers.surroundings import busy_share, load, machine, now, our_version, stolen_s

RESULTS = Path(__file__).with_name("results") / "2026-11-24.jsonl"
Task = tuple[str, int, int] | tuple[str, str]
MISSING = 3
"""Exit code when `--most` ended the run before the end."""


def main() -> int:
    """Run what is missing; write the page when nothing is."""
    given = _parser().parse_args()
    try:
        if not given.summarise:
            done = begin_results(given.results, machine())
            left = list(_missing(given, done))
            for task in left[: given.most]:
                keep(given.results, _do(task))
            if given.most is not None and len(left) > given.most:
                return MISSING
        write_page(read_results(given.results), given.results.name, ROOT / "docs")
    except (NoPlace, Unreadable, Unavailable) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _missing(given: argparse.Namespace, done: Results) -> Iterator[Task]:
    """(client, streams, round) or (client, fault), in turn; even rounds go backwards."""
    names = given.peer or list(DEFAULT)
    rows = {row.key for row in done.rows}
    for number in range(1, given.rounds + 1):
        for streams in given.concurrency:
            for name in names if number % 2 else reversed(names):
                if (number, streams, name) not in rows:
                    yield name, streams, number
    faults = {row.key for row in done.faults}
    for name in names if given.faults else ():
        yield from ((name, fault) for fault in FAULTS if (fault, name) not in faults)


def _do(task: Task) -> Row | FaultRow:
    name, *rest = task
    peer = PEERS[name]
    programs_of(peer)
    version = our_version(ROOT) if name.startswith("ours") else peer.name
    _say(f"{peer.name}: {', '.join(map(str, rest))}")
    if len(rest) == 1:
        return ask_about(peer, name, version, str(rest[0]))
    return _one(name, version, int(rest[0]), int(rest[1]))


def _one(name: str, version: str, streams: int, number: int) -> Row:
    facts = {"client": name, "version": version, "streams": streams, "round": number}
    facts |= {"at": now(), "load": load()}
    before = busy_share()
    stolen, begun = stolen_s(), time.monotonic()
    try:
        found = measure(PEERS[name], streams)
    except Failed as error:
        return Row(**facts, seconds=round(time.monotonic() - begun, 1), fault=str(error))
    around = {"busy_before": before, "stolen_s": round(stolen_s() - stolen, 2)}
    seconds = round(time.monotonic() - begun, 1)
    return Row(
        **facts, seconds=seconds, figures=found.figures, truth=found.truth, counts=found.counts,
        around=around,
    )  # fmt: skip


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def _levels(text: str) -> list[int]:
    levels = [int(part) for part in text.split(",")]
    if unknown := [level for level in levels if level not in REQUESTS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]}: one of {', '.join(map(str, REQUESTS))}")
    return levels


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file that grows")
    parser.add_argument("--peer", action="append", choices=list(PEERS), help="may be repeated")
    parser.add_argument(
        "--concurrency", type=_levels, default="1,32,128,256", help=f"of {list(REQUESTS)}"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--faults", action=argparse.BooleanOptionalAction, default=True,
        help="also what each client makes of streams that are wrong",
    )  # fmt: skip
    parser.add_argument("--most", type=int, help="measure at most so many things, then end")
    parser.add_argument("--summarise", action="store_true", help="write docs/peers.md, no more")
    return parser


if __name__ == "__main__":
    sys.exit(main())
