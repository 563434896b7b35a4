"""What one good request shows: first token, first answer, gaps, time per output token, end to end.

A token chunk carries text of the answer, of the reasoning, or a piece of a tool call. Role-only and
empty events, comments, `usage` and `[DONE]` are none. White space alone is a token inside an answer
but never its first: some servers send it before they have computed anything.
"""

from dataclasses import dataclass
from itertools import pairwise

from trt_nemotron.measure.bench.values import ChunkRecord, RequestRecord

_FIRST_KINDS = frozenset({"content", "reasoning", "tool_call"})
_LATER_KINDS = _FIRST_KINDS | {"blank"}
_ANSWER_KINDS = frozenset({"content", "tool_call"})
_NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True)
class RequestFigures:
    """Figures of one request in milliseconds.

    "Start" is its sending in a closed loop. In an open one it is when the schedule meant to send
    it: a server that keeps requests waiting is not spared their waiting.

    Attributes:
        ttft_ms: start to the first token chunk, reasoning included.
        ttfa_ms: start to the first chunk of the answer itself; `None` when only reasoning came.
        gaps_ms: between neighbouring token chunks.
        tpot_ms: (last - first) / (completion tokens - tokens of the first read); `None` without
            usage, or when nothing came after the first read. The stamp of a read is the time of the
            last chunk in it, so what came together counts as one.
        tpot_at_worst_ms: (last - sending) / (completion tokens - 1): what TPOT cannot exceed,
            however late the first token was read; `None` without usage.
        e2e_ms: start to the last token chunk.
        first_doubt: by what part of `ttft_ms` the first token may have been there earlier: chunks
            read together carry the stamp of the last one, and the gaps after them say how far apart
            they may have been. Infinite when everything came together.
        queue_ms: meant to be sent to sending; `None` in a closed loop.
        service_ttft_ms, service_e2e_ms: as without `service_`, from sending in every kind of loop.
        first_ns: when the first token chunk came, from the start of the run.
    """

    ttft_ms: float
    ttfa_ms: float | None
    gaps_ms: tuple[float, ...]
    tpot_ms: float | None
    tpot_at_worst_ms: float | None
    e2e_ms: float
    first_doubt: float
    queue_ms: float | None = None
    service_ttft_ms: float = 0.0
    service_e2e_ms: float = 0.0
    first_ns: int = 0


def token_chunks(record: RequestRecord) -> tuple[ChunkRecord, ...]:
    """The chunks that carry tokens, from the first real one on."""
    chunks = record.chunks
    for place, chunk in enumerate(chunks):
        if chunk.kind in _FIRST_KINDS:
            return tuple([later for later in chunks[place:] if later.kind in _LATER_KINDS])
    return ()


def measure_request(record: RequestRecord) -> RequestFigures:
    """Figures of a request that ended `ok`, which has at least one token chunk."""
    chunks = token_chunks(record)
    stamps = [chunk.received_ns for chunk in chunks]
    together = stamps.count(stamps[0])
    answer = next((chunk.received_ns for chunk in chunks if chunk.kind in _ANSWER_KINDS), None)
    begin = start_ns(record)
    return RequestFigures(
        ttft_ms=(stamps[0] - begin) / _NS_PER_MS,
        ttfa_ms=None if answer is None else (answer - begin) / _NS_PER_MS,
        gaps_ms=tuple([(later - earlier) / _NS_PER_MS for earlier, later in pairwise(stamps)]),
        tpot_ms=_tpot_ms(record, chunks, together),
        tpot_at_worst_ms=_tpot_at_worst_ms(record, stamps[-1]),
        e2e_ms=(stamps[-1] - begin) / _NS_PER_MS,
        first_doubt=_first_doubt(stamps, together, begin),
        queue_ms=_queue_ms(record),
        service_ttft_ms=(stamps[0] - record.sent_ns) / _NS_PER_MS,
        service_e2e_ms=(stamps[-1] - record.sent_ns) / _NS_PER_MS,
        first_ns=stamps[0],
    )


def start_ns(record: RequestRecord) -> int:
    """From when the latency of a request counts: see `RequestFigures`."""
    return record.sent_ns if record.intended_ns < 0 else record.intended_ns


def _queue_ms(record: RequestRecord) -> float | None:
    if record.intended_ns < 0:
        return None
    # A stamp of the packet that left may lie some microseconds before the schedule's own clock.
    return max(0, record.sent_ns - record.intended_ns) / _NS_PER_MS


def _first_doubt(stamps: list[int], together: int, begin_ns: int) -> float:
    apart = len(stamps) - together
    if together == 1:
        return 0.0
    if apart == 0:
        return float("inf")
    late_ns = (together - 1) * (stamps[-1] - stamps[0]) / apart
    return late_ns / max(1, stamps[0] - begin_ns)


def _tpot_at_worst_ms(record: RequestRecord, last_ns: int) -> float | None:
    if record.completion_tokens < 2:
        return None
    return (last_ns - record.sent_ns) / _NS_PER_MS / (record.completion_tokens - 1)


def _tpot_ms(record: RequestRecord, chunks: tuple[ChunkRecord, ...], together: int) -> float | None:
    """`together` is how many chunks have the first one's stamp; stamps never fall."""
    first_ns, last_ns = chunks[0].received_ns, chunks[-1].received_ns
    tokens_after = record.completion_tokens - max(chunks[together - 1].tokens_so_far, together)
    if tokens_after <= 0 or last_ns == first_ns:
        return None
    return (last_ns - first_ns) / _NS_PER_MS / tokens_after
