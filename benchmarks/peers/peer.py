"""What a peer is: a measuring client, pinned, with its own command line and its own result file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TOKENS, TTFT_MS, INTERVAL_MS, PROMPT_WORDS = 256, 50.0, 5.0, 16
REQUESTS = {1: 6, 8: 24, 32: 160, 64: 256, 128: 384, 256: 768}


@dataclass(frozen=True, slots=True)
class Work:
    """What every peer is asked to do, alike.

    Attributes:
        url: of the server's root.
        streams: requests that are under way at any time.
        requests: that are measured.
        warmup: requests before them, where a peer can leave such out of its figures.
        tokens: of each answer.
        folder: for the peer's own result.
        tokenizer: a folder with one in which each word is a token, for peers that insist on one.
        prompts: a file of one JSON object a line, with the words under `prompt`.
        texts: the same with the words under `text`, since aiperf refuses any other name.
        patience_s: after which a request is to be given up, where a peer can be told so; with it,
            a peer is also asked for what it can say of failures.
    """

    url: str
    streams: int
    requests: int
    warmup: int
    tokens: int
    folder: Path
    tokenizer: Path
    prompts: Path
    texts: Path
    patience_s: float | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """A peer's own figures, in milliseconds; `None` for what it does not have.

    Attributes:
        good: requests that it took for good.
        failed: requests that it took for failed.
        names: what it called these, with their number, where it says so.
    """

    ttft_p50: float | None
    ttft_p99: float | None
    itl_p99: float | None
    tpot_p50: float | None
    good: int
    failed: int
    names: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peer:
    """A measuring client.

    Attributes:
        name: as it stands in the table.
        requirements: what its environment is made of, each with its version; empty when it runs in
            ours.
        bare: what is installed besides without what it asks for itself; `note` says why.
        command: its argument list for a piece of work; the first word is `python` or a program of
            its environment.
        read: its own figures from the folder that the work names.
        warms_up: whether it can send requests first that are not in its figures.
        note: what a reader of the table should know.
    """

    name: str
    requirements: tuple[str, ...]
    command: Callable[[Work], list[str]]
    read: Callable[[Work], Said]
    bare: tuple[str, ...] = ()
    warms_up: bool = True
    note: str = ""


def percentile(values: Sequence[float], quantile: float) -> float | None:
    """Between neighbouring ranks, as numpy does by default and most peers do; `None` of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    position = quantile * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])
