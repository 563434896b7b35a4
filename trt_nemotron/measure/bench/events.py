"""The events of one answer: when each of them was whole, and what they said together."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from trt_nemotron.measure.bench.values import ChunkKind, ChunkRecord
from trt_nemotron.openai.chunk import Usage, glance, parse_chunk
from trt_nemotron.openai.sse import BESIDES, EventStream, split_plain

Pieces = Sequence[tuple[int, bytes]]
"""Times and bytes of a body, as `http_response.Response` has them."""
_BLANK: ChunkKind = "blank"
_ESCAPE = b"\\u"


@dataclass(slots=True)
class Events:
    """What an answer said.

    Attributes:
        chunks: one for each event, in order.
        finish_reason: the first that was given.
        usage: the last that was given: with running counts, earlier ones are not the whole.
        error: what the first event that is an error said.
    """

    chunks: list[ChunkRecord] = field(default_factory=list)
    finish_reason: str = ""
    usage: Usage = field(default_factory=Usage)
    error: str = ""


def read_events(pieces: Pieces, origin_ns: int = 0) -> Events:
    """The events that a body completes; their times count from `origin_ns`."""
    body = b"".join([piece for _, piece in pieces])
    payloads = None if _ESCAPE in body else split_plain(body)
    events = Events()
    if payloads is None:
        stream = EventStream()
        for time_ns, piece in pieces:
            for text in stream.feed(piece):
                _keep(text, time_ns - origin_ns, events)
        return events
    keep = events.chunks.append
    for received_ns, payload in zip(_times(pieces, payloads, origin_ns), payloads, strict=True):
        seen = glance(payload)
        if seen is None:
            _keep(payload.decode("utf-8", "replace"), received_ns, events)
            continue
        kind, characters, finish_reason = seen
        keep(
            ChunkRecord(
                received_ns=received_ns,
                kind=_BLANK if characters and kind == "empty" else kind,
                characters=characters,
            )
        )
        if finish_reason and not events.finish_reason:
            events.finish_reason = finish_reason
    return events


def _times(pieces: Pieces, payloads: Sequence[bytes], origin_ns: int) -> list[int]:
    """When the last byte of each event was there."""
    times = [time_ns - origin_ns for time_ns, _ in pieces]
    brought = [len(piece) for _, piece in pieces]
    sizes = [len(payload) + BESIDES for payload in payloads]
    last = len(pieces) - 1
    if sizes[:last] == brought[:last] and len(sizes) > last:  # one in each, the rest together
        return times[:last] + times[last:] * (len(sizes) - last)
    bounds = list(accumulate(brought))
    return [times[bisect_left(bounds, end)] for end in accumulate(sizes)]


def _keep(text: str, received_ns: int, events: Events) -> None:
    """Any event, and what it says of the whole answer."""
    chunk = parse_chunk(text)
    events.finish_reason = events.finish_reason or chunk.finish_reason
    events.usage = chunk.usage or events.usage
    events.error = events.error or chunk.error
    is_blank = chunk.kind == "empty" and chunk.characters
    record = ChunkRecord(
        received_ns=received_ns,
        kind=_BLANK if is_blank else chunk.kind,
        characters=chunk.characters,
        tokens_so_far=chunk.usage.completion_tokens if chunk.usage else -1,
    )
    events.chunks.append(record)
