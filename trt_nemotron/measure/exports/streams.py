"""The requests of one leg as other tools describe them: from sending, in seconds, good or failed.

Other tools' result files hold one load each, so one leg is chosen. Formulas over these streams are
the other tool's own; where a stream begins and which events are tokens is ours (docs/exporting.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.figures.request_figures import token_chunks
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import ChunkRecord, Measurement, RequestRecord

_NS_PER_S = 1e9
_ANSWER_KINDS = frozenset({"content", "tool_call"})


@dataclass(frozen=True, slots=True)
class Stream:
    """One measured request.

    Attributes:
        fault: why it gives no latency; empty for a good one.
        sent_s: since the start of the run.
        queue_s: from when it was meant to be sent until it was; 0.0 in a closed loop.
        ttft_s: from sending to the first token chunk.
        answer_s: from sending to the first chunk that is not reasoning; nothing when none came.
        gaps_s: between neighbouring token chunks.
        latency_s: from sending to the last token chunk.
        first_tokens: tokens of the first chunk, by the server's running count; else 1.
    """

    record: RequestRecord
    fault: str
    sent_s: float
    queue_s: float
    ttft_s: float = 0.0
    answer_s: float | None = None
    gaps_s: tuple[float, ...] = ()
    latency_s: float = 0.0
    first_tokens: int = 1

    @property
    def is_good(self) -> bool:
        """Whether it gives latencies."""
        return not self.fault

    @property
    def input_tokens(self) -> int:
        """By the server's count; 0 when it gave none."""
        return max(self.record.prompt_tokens, 0)

    @property
    def output_tokens(self) -> int:
        """By the server's count; its token chunks when it gave none; 0 when it failed."""
        if self.fault:
            return 0
        counted = self.record.completion_tokens
        return counted if counted >= 0 else len(self.gaps_s) + 1


def choose_leg(measurement: Measurement, title: str) -> Leg:
    """The leg called `title`, or the only one when nothing is asked for.

    Raises:
        InvalidInput: no leg is called so, or there are several to choose from, or none at all.
    """
    legs = {leg.title: leg for leg in legs_of(measurement)}
    if title in legs:
        return legs[title]
    if title or len(legs) != 1:
        raise InvalidInput(
            f"no leg is called {title!r}" if title else f"the measurement has {len(legs)} legs",
            evidence="legs: " + ("; ".join(legs) or "none"),
            next_step="This format holds one load: name it with --leg, or use csv or parquet, "
            "which hold them all.",
        )
    return next(iter(legs.values()))


def legs_of(measurement: Measurement) -> tuple[Leg, ...]:
    """Legs that were measured, in the order of measuring."""
    return tuple(
        dict.fromkeys(record.leg for record in measurement.records if not record.is_warmup)
    )


def streams_of(measurement: Measurement, leg: Leg) -> tuple[Stream, ...]:
    """Every measured request of the leg, in order of sending."""
    records = (r for r in measurement.records if not r.is_warmup and r.leg == leg)
    return tuple(_stream(record) for record in sorted(records, key=lambda r: r.sent_ns))


def duration_s(streams: Sequence[Stream]) -> float:
    """From the first sending to the end of the last response; 0.0 for none."""
    if not streams:
        return 0.0
    end = max(stream.record.finished_ns for stream in streams)
    return (end - min(stream.record.sent_ns for stream in streams)) / _NS_PER_S


def _stream(record: RequestRecord) -> Stream:
    sent_s = record.sent_ns / _NS_PER_S
    is_timed = record.intended_ns >= 0
    queue_s = max(0.0, (record.sent_ns - record.intended_ns) / _NS_PER_S) if is_timed else 0.0
    chunks = token_chunks(record)
    fault = _fault(record, chunks)
    if fault:
        return Stream(record, fault, sent_s, queue_s)
    stamps = [chunk.received_ns for chunk in chunks]
    answer = next((chunk.received_ns for chunk in chunks if chunk.kind in _ANSWER_KINDS), None)
    return Stream(
        record,
        "",
        sent_s,
        queue_s,
        ttft_s=(stamps[0] - record.sent_ns) / _NS_PER_S,
        answer_s=None if answer is None else (answer - record.sent_ns) / _NS_PER_S,
        gaps_s=tuple((later - earlier) / _NS_PER_S for earlier, later in pairwise(stamps)),
        latency_s=(stamps[-1] - record.sent_ns) / _NS_PER_S,
        first_tokens=max(chunks[0].tokens_so_far, 1),
    )


def _fault(record: RequestRecord, chunks: Sequence[ChunkRecord]) -> str:
    if record.outcome != "ok":
        return f"{record.outcome}: {record.error}" if record.error else record.outcome
    if record.void:
        return f"void: {record.void}"
    return "" if chunks else "no token"
