"""Clients as people write them themselves: threads with `requests`, asyncio with `openai`."""

import json
from itertools import pairwise
from pathlib import Path

from benchmarks.peers.peer import Peer, Said, Work, percentile

FOLDER = Path(__file__).with_name("programs")


def command(work: Work, program: str) -> list[str]:
    """One of the two programs."""
    patience = [] if work.patience_s is None else ["--timeout", f"{work.patience_s:g}"]
    return [
        "python", str(FOLDER / program), "--url", work.url, "--streams", str(work.streams),
        "--requests", str(work.requests), "--warmup", str(work.warmup),
        "--tokens", str(work.tokens), "--prompts", str(work.prompts),
        "--out", str(work.folder / "said.json"), *patience,
    ]  # fmt: skip


def read(work: Work) -> Said:
    """Milliseconds from sending to each token, a list for each request."""
    tree = json.loads((work.folder / "said.json").read_text())
    answers: list[list[float]] = [times for times in tree["times_ms"] if times]
    gaps = [late - early for times in answers for early, late in pairwise(times)]
    per_token = [(t[-1] - t[0]) / (len(t) - 1) for t in answers if len(t) > 1]
    return Said(
        ttft_p50=percentile([times[0] for times in answers], 0.50),
        ttft_p99=percentile([times[0] for times in answers], 0.99),
        itl_p99=percentile(gaps, 0.99),
        tpot_p50=percentile(per_token, 0.50),
        good=len(answers),
        failed=sum(tree["failed"].values()),
        names=tree["failed"],
    )


def _baseline(name: str, requirement: str, program: str) -> Peer:
    return Peer(name, (requirement,), lambda work: command(work, program), read)


PEERS = (
    _baseline("requests 2.34.2, threads", "requests==2.34.2", "with_requests.py"),
    _baseline("openai 3.54.0, asyncio", "openai==3.54.0", "with_openai.py"),
)
