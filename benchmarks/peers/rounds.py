"""One peer, one piece of work, one fresh server; and the figures that come out of it."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.environments import programs_of
from benchmarks.peers.peer import (
    INTERVAL_MS,
    PROMPT_WORDS,
    REQUESTS,
    TOKENS,
    TTFT_MS,
    Peer,
    Said,
    Work,
)
from benchmarks.peers.tokenizer import WORDS, write_tokenizer
from benchmarks.peers.truth_figures import TooFew, Truth, truth_of
from benchmarks.peers.watching import Cost, watch
from benchmarks.truth.running import truth_server

TIMEOUT_S = 300.0
TRUE_FIGURES = ("ttft_p50", "ttft_p99", "itl_p99", "tpot_p50")
ROOT = Path(__file__).resolve().parents[2]


class Failed(Exception):
    """A peer gave no figures; the message says what it said last."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What came out of one run; the fields are those of `results.Row`."""

    figures: dict[str, float | None]
    truth: dict[str, float]
    counts: dict[str, int]


def measure(peer: Peer, streams: int) -> Measured:
    """Errors (peer minus truth) in ms and %, and costs, of one run.

    Raises:
        Failed: the peer ended with an error, gave no result, or did not send what it should.
        Unavailable: it cannot be installed.
    """
    server_core = max(os.sched_getaffinity(0))
    with (
        truth_server(
            tokens=TOKENS, ttft_ms=TTFT_MS, interval_ms=INTERVAL_MS, core=server_core
        ) as server,
        prepared(
            peer, server.url, streams=streams, requests=REQUESTS[streams], tokens=TOKENS
        ) as work,
    ):
        cost = run(peer, work, client_core())
        said = read(peer, work, cost)
        if said.failed and not said.good:
            raise Failed(f"all {said.failed} requests failed for it")
        log = server.read_log()
        try:
            truth = truth_of(log, work.requests)
        except TooFew as error:
            raise Failed(f"{error}; it says {said.good} good, {said.failed} failed") from None
    counts = {"asked": work.requests, "answered": len(log)}
    return Measured(
        figures={**_errors(said, truth), **_costs(cost, truth)},
        truth={name: getattr(truth, name) for name in TRUE_FIGURES},
        counts={**counts, "good": said.good, "failed": said.failed},
    )


def _errors(said: Said, truth: Truth) -> dict[str, float | None]:
    return {
        "ttft_p50_ms": _less(said.ttft_p50, truth.ttft_p50),
        "ttft_p99_ms": _less(said.ttft_p99, truth.ttft_p99),
        "itl_p99_ms": _less(said.itl_p99, truth.itl_p99),
        "tpot_p50_percent": _share(said.tpot_p50, truth.tpot_p50),
    }


def client_core() -> int:
    """The core that clients are held to; servers have the last one."""
    return min(os.sched_getaffinity(0))


@contextmanager
def prepared(
    peer: Peer,
    url: str,
    *,
    streams: int,
    requests: int,
    tokens: int,
    patience_s: float | None = None,
) -> Iterator[Work]:
    """The work with its files, in a folder that goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="peers-") as name:
        folder = Path(name)
        prompts, texts = folder / "prompts.jsonl", folder / "texts.jsonl"
        for path, key in ((prompts, "prompt"), (texts, "text")):
            path.write_text("".join(_line(key, n) for n in range(requests + 2 * streams)))
        (folder / "result").mkdir()
        yield Work(
            url=url,
            streams=streams,
            requests=requests,
            warmup=streams if peer.warms_up else 0,
            tokens=tokens,
            folder=folder / "result",
            tokenizer=write_tokenizer(folder / "tokenizer"),
            prompts=prompts,
            texts=texts,
            patience_s=patience_s,
        )


def _line(key: str, number: int) -> str:
    """A line of a file of prompts, which differ from their first word on."""
    text = " ".join(f"w{(number + 31 * place) % WORDS}" for place in range(PROMPT_WORDS))
    return json.dumps({key: text}) + "\n"


def run(peer: Peer, work: Work, core: int, timeout_s: float = TIMEOUT_S) -> Cost:
    """Let it do the work on one core, to its end or for so long."""
    programs = programs_of(peer)
    first, *rest = peer.command(work)
    is_ours = programs == Path(sys.executable).parent
    environment = {
        **{name: os.environ[name] for name in ("HOME", "XDG_CACHE_HOME") if name in os.environ},
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT) if is_ours else "",
        "NO_PROXY": "*",
        "DO_NOT_TRACK": "1",
    }
    return watch([str(programs / first), *rest], core, environment, timeout_s)


def read(peer: Peer, work: Work, cost: Cost) -> Said:
    """What it says of the work.

    Raises:
        Failed: nothing.
    """
    last = (cost.told.strip().splitlines() or ["nothing"])[-1][:160]
    try:
        return peer.read(work)
    except (OSError, KeyError, ValueError, IndexError, TypeError) as error:
        reason = f"no result ({type(error).__name__}); exit code {cost.exit_code}"
        last = last.replace(str(work.folder), "<folder>")
        raise Failed(f"{reason}, its last words: {last}") from None


def _less(said: float | None, true: float) -> float | None:
    return None if said is None else said - true


def _share(said: float | None, true: float) -> float | None:
    return None if said is None else 100.0 * (said / true - 1.0)


def _costs(cost: Cost, truth: Truth) -> dict[str, float]:
    streamed_s = cost.cpu_between(truth.begin_ns, truth.end_ns)
    return {
        "us_per_token": 1e6 * streamed_s / truth.tokens,
        "cpu_s": cost.cpu_s,
        "first_request_s": (truth.first_ns - cost.begun_ns) / 1e9,
        "peak_mb": cost.peak_mb,
    }
