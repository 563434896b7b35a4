"""From a recorded exchange to a request record: events with their times, and how it ended.

A request is `ok` only when all of it is right: status 200, an event stream, no error in it, a
finish reason, the end marker where the server sends one, a whole HTTP response, and the length
asked for. Everything else has a name of its own, and nothing is sent twice.
"""

from dataclasses import dataclass

from trt_nemotron.measure.bench.clock import WallClockTrack
from trt_nemotron.measure.bench.events import Events, read_events
from trt_nemotron.measure.bench.values import RequestOutcome, RequestRecord
from trt_nemotron.measure.bench.wire.capture import PacketTimes
from trt_nemotron.measure.bench.wire.exchange import Exchange
from trt_nemotron.measure.bench.wire.framing import NotHttp
from trt_nemotron.measure.bench.wire.http_response import Response, read_response
from trt_nemotron.measure.bench.wire.stamps import Stamps, resolve_stamps

NOTHING_SAID = "no token in the whole stream"
_LONGEST_TEXT = 300
_TOKEN_KINDS = frozenset({"content", "reasoning", "tool_call"})


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a good answer must show.

    Attributes:
        output_tokens: length asked for; 0 when any length is right.
        sends_done: whether the server ends a stream with `data: [DONE]`.
    """

    output_tokens: int
    sends_done: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the run a request stands.

    Attributes:
        origin_ns: the run's zero.
        intended_ns: when a schedule meant to send it, by the same clock; -1 without one.
        rate_rps, leg_input_tokens, session, turn: see `RequestRecord`.
    """

    index: int
    concurrency: int
    is_warmup: bool
    origin_ns: int
    intended_ns: int = -1
    rate_rps: float = 0.0
    leg_input_tokens: int = 0
    session: int = -1
    turn: int = 0


def make_record(
    exchange: Exchange,
    place: Place,
    expectation: Expectation,
    track: WallClockTrack,
    *,
    are_kernel_stamps_asked: bool,
    packets: PacketTimes | None = None,
) -> tuple[RequestRecord, Stamps]:
    """The record of one exchange, and what its stamps were taken from."""
    if packets is not None:
        stamps = packets.resolve(exchange, track)
    else:
        stamps = resolve_stamps(exchange, track, are_kernel_stamps_asked=are_kernel_stamps_asked)
    response, fault = _read(exchange, stamps)
    events = read_events(response.pieces if response.status == 200 else (), place.origin_ns)
    outcome, error = _judge(exchange, response, events, expectation, fault)
    usage = events.usage
    record = RequestRecord(
        index=place.index,
        concurrency=place.concurrency,
        is_warmup=place.is_warmup,
        outcome=outcome,
        connect_ns=exchange.connect_ns,
        sent_ns=stamps.sent_ns - place.origin_ns,
        send_call_ns=exchange.send_call_ns,
        finished_ns=stamps.finished_ns - place.origin_ns,
        chunks=tuple(events.chunks),
        status_code=response.status,
        finish_reason=events.finish_reason,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=usage.cached_tokens,
        error=error,
        clock=stamps.source,
        void=stamps.void,
        rate_rps=place.rate_rps,
        leg_input_tokens=place.leg_input_tokens,
        intended_ns=place.intended_ns - place.origin_ns if place.intended_ns >= 0 else -1,
        session=place.session,
        turn=place.turn,
    )
    return record, stamps


def _read(exchange: Exchange, stamps: Stamps) -> tuple[Response, str]:
    try:
        return read_response(exchange.received, stamps.ends, stamps.times), ""
    except NotHttp as fault:
        return Response(None, ()), str(fault)


def _judge(
    exchange: Exchange,
    response: Response,
    events: Events,
    expectation: Expectation,
    fault: str,
) -> tuple[RequestOutcome, str]:
    """The outcome, and the evidence for it; the faults that say most come first."""
    if fault or exchange.ending == "not_http":
        return "http_error", f"not an HTTP response: {fault or exchange.fault}"
    if response.head is not None and response.status != 200:
        return "http_error", _describe_refusal(response)
    if events.error:
        return "stream_error", events.error[:_LONGEST_TEXT]
    if exchange.ending == "timeout":
        return "timeout", exchange.fault
    if exchange.ending in {"reset", "not_connected"} or response.head is None:
        return "disconnected", exchange.fault
    return _judge_stream(exchange, response, events, expectation)


def _judge_stream(
    exchange: Exchange,
    response: Response,
    events: Events,
    expectation: Expectation,
) -> tuple[RequestOutcome, str]:
    """The outcome of an answer that came to an end by itself, with status 200."""
    if not events.chunks and exchange.ending == "complete" and response.body.strip():
        return "stream_error", f"not an event stream: {_text(response.body)}"
    missing = _find_missing(exchange, events, expectation)
    if missing:
        return "truncated", missing
    counted = events.usage.completion_tokens
    if expectation.output_tokens and counted not in {-1, expectation.output_tokens}:
        return "wrong_length", f"{counted} tokens where {expectation.output_tokens} were asked for"
    return "ok", ""


def _find_missing(exchange: Exchange, events: Events, expectation: Expectation) -> str:
    if exchange.ending != "complete":
        return f"{exchange.fault} before the response was whole"
    kinds = {chunk.kind for chunk in events.chunks}
    if not events.finish_reason:
        return "no finish reason"
    if expectation.sends_done and "done" not in kinds:
        return "no [DONE]"
    if not kinds & _TOKEN_KINDS:
        return NOTHING_SAID
    return ""


def _describe_refusal(response: Response) -> str:
    retry_after = response.header("retry-after")
    advice = f" (Retry-After: {retry_after})" if retry_after else ""
    return f"status {response.status}{advice}: {_text(response.body)}".rstrip(": ")


def _text(body: bytes) -> str:
    return body[:_LONGEST_TEXT].decode("utf-8", "replace").strip()
