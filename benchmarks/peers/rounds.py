"""One peer, one piece of work, one fresh server; and the figures that come out of it."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers.environments import programs_of
from benchmarks.peers.faulty_server import faulty_server
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
FAULTY_REQUESTS, FAULTY_STREAMS, FAULTY_TOKENS = 24, 4, 64
ROOT = Path(__file__).resolve().parents[2]


class Failed(Exception):
    """A peer gave no figures; the message says what it said last."""


def measure(peer: Peer, streams: int) -> dict[str, float | None]:
    """Errors (peer minus truth) in ms and %, and costs, of one run.

    Raises:
        Failed: the peer ended with an error, gave no result, or did not send what it should.
        Unavailable: it cannot be installed.
    """
    client_core, server_core = _cores()
    with (
        truth_server(
            tokens=TOKENS, ttft_ms=TTFT_MS, interval_ms=INTERVAL_MS, core=server_core
        ) as server,
        _work(peer, server.url, streams, REQUESTS[streams], TOKENS) as work,
    ):
        cost = _run(peer, work, client_core)
        said = _read(peer, work, cost)
        try:
            truth = truth_of(server.read_log(), work.requests)
        except TooFew as error:
            raise Failed(f"{error}; it says {said.good} good, {said.failed} failed") from None
    return {
        "ttft_p50_ms": _less(said.ttft_p50, truth.ttft_p50),
        "ttft_p99_ms": _less(said.ttft_p99, truth.ttft_p99),
        "itl_p99_ms": _less(said.itl_p99, truth.itl_p99),
        "tpot_p50_percent": _share(said.tpot_p50, truth.tpot_p50),
        "failed": float(said.failed),
        **_costs(cost, truth),
    }


def ask_for_faults(peer: Peer) -> dict[str, int]:
    """What the peer takes for good and for failed of 24 requests of which many die.

    Raises:
        Failed, Unavailable: as for `measure`.
    """
    client_core, _ = _cores()
    with (
        faulty_server() as server,
        _work(peer, server.url, FAULTY_STREAMS, FAULTY_REQUESTS, FAULTY_TOKENS) as work,
    ):
        cost = _run(peer, work, client_core)
        said = _read(peer, work, cost, is_faulty=True)
        sent = server.kinds[-FAULTY_REQUESTS:]
    return {
        "asked": FAULTY_REQUESTS,
        "good": said.good,
        "failed": said.failed,
        "really failed": sent.count("failed"),
    }


def _cores() -> tuple[int, int]:
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]


@contextmanager
def _work(peer: Peer, url: str, streams: int, requests: int, tokens: int) -> Iterator[Work]:
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
        )


def _line(key: str, number: int) -> str:
    """A line of a file of prompts, which differ from their first word on."""
    text = " ".join(f"w{(number + 31 * place) % WORDS}" for place in range(PROMPT_WORDS))
    return json.dumps({key: text}) + "\n"


def _run(peer: Peer, work: Work, core: int) -> Cost:
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
    return watch([str(programs / first), *rest], core, environment, TIMEOUT_S)


def _read(peer: Peer, work: Work, cost: Cost, *, is_faulty: bool = False) -> Said:
    last = (cost.told.strip().splitlines() or ["nothing"])[-1][:160]
    try:
        said = peer.read(work)
    except (OSError, KeyError, ValueError, IndexError, TypeError) as error:
        reason = f"no result ({type(error).__name__}); exit code {cost.exit_code}"
        last = last.replace(str(work.folder), "<folder>")
        raise Failed(f"{reason}, its last words: {last}") from None
    if said.failed and not is_faulty and said.good == 0:
        raise Failed(f"all {said.failed} requests failed for it")
    return said


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
