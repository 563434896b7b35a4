"""How many tokens a second one core of our client follows, and where it falls over.

    python benchmarks/rate_curve.py [--clocks packet] [--rounds 1]
        [--streams 8,32,64,128,256,384,512,640]

Each step offers more streams of 256 tokens, 5 ms apart, to a client held to one core, against the
truth server on another; see `client_accuracy.py`. Shown are, as medians over the rounds, the rate
that the server's log says was sent, and by how much the worst of the client's figures (TTFT, ITL,
TPOT, E2E) was off. A client follows as long as that is at most 5 %. Where the server sends less
than nine tenths of what was asked of it, the server is at its limit, which is said: the row then
shows the client at the rate sent. Nothing is written.
"""

import argparse
import os
import statistics
import sys

from client_accuracy import INTERVAL_MS, describe_machine, one_round
from truth.running import compiled

MOST_ERROR = 5.0


def show(clock: str, streams: list[int], rounds: int) -> None:
    """The curve of one clock, in Markdown, as it is measured."""
    print(
        f"\n| `{clock}`: streams | asked tokens/s | sent tokens/s | worst error | us per token | |"
    )
    print("|---|---|---|---|---|---|", flush=True)
    followed = 0.0
    has_fallen = False
    for count in streams:
        rows = [one_round(clock, count) for _ in range(rounds)]
        sent, worst, cost = (
            statistics.median(row[name] for row in rows)
            for name in ("tokens/s", "worst of these errors (%)", "cpu us/token")
        )
        asked = count / INTERVAL_MS * 1e3
        remarks = []
        if worst > MOST_ERROR:
            has_fallen = True
            remarks.append("**off by more than 5 %**")
        if sent < 0.9 * asked:
            remarks.append("the server's limit, or its start and end")
        followed = sent if not has_fallen else followed
        print(
            f"| {count} | {asked:,.0f} | {sent:,.0f} | {worst:.3f} % | {cost:.1f} "
            f"| {'; '.join(remarks)} |",
            flush=True,
        )
    print(f"\n`{clock}` follows {followed:,.0f} tokens/s; {'it fell' if has_fallen else 'no fall'}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clocks", default="packet")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--streams", default="8,32,64,128,256,384,512,640")
    given = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("client and server need a core each")
    compiled()
    print(f"{given.rounds} rounds; {describe_machine()} before the first")
    for clock in given.clocks.split(","):
        show(clock, [int(part) for part in given.streams.split(",")], given.rounds)


if __name__ == "__main__":
    main()
