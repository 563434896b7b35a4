"""A few requests before the measurement: does the server take them, how long are prompts, how fast.

A server may refuse fields that it does not know (TensorRT-LLM does), so what helps a fair
measurement is offered first and left out where it is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trt_nemotron.errors import NoValidMeasurement
from trt_nemotron.measure.bench.clock import Clock, WallClockTrack
from trt_nemotron.measure.bench.clock_choice import BY_READS, ClockChoice
from trt_nemotron.measure.bench.interlocutor import Interlocutor
from trt_nemotron.measure.bench.prompts import GUESS, LengthModel, fit_length_model
from trt_nemotron.measure.bench.record import NOTHING_SAID, Expectation, Place, make_record
from trt_nemotron.measure.bench.unfit import REFUSED_FIELD, unfit
from trt_nemotron.measure.bench.values import RequestRecord
from trt_nemotron.measure.bench.wire.load import Load
from trt_nemotron.measure.bench.wire.loop import run_closed_loop

_REFUSED_LENGTH = frozenset({400, 413, 422})
_PROBE_TOKENS = 4
_LINGER_NS = 50_000_000
_GRACE_NS = 60_000_000_000
"""The request's own time-out ends a rehearsal; this is only there lest nothing does."""


class LengthRefused(NoValidMeasurement):
    """The server refuses a prompt of the wished length."""


@dataclass(frozen=True, slots=True)
class FittedLength:
    """A prompt length as it was found.

    Attributes:
        words: of a prompt of the wished length.
        duration_ns: of one request of this length, alone.
        requests: the next index to use.
        keeps_connections: whether a connection stayed open after an answer, as HTTP/1.1 promises.
        record: of the request that was sent in full.
    """

    words: int
    duration_ns: int
    requests: int
    keeps_connections: bool
    record: RequestRecord
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What the rehearsal found out.

    Attributes:
        extra: the fields that this server takes.
        model: what a word and the template cost.
        first: the first length of the workload.
    """

    extra: Mapping[str, Any]
    model: LengthModel
    first: FittedLength
    notes: tuple[str, ...]


def rehearse(interlocutor: Interlocutor, clock: Clock, choice: ClockChoice = BY_READS) -> Rehearsal:
    """Find the fields the server takes and the prompt length, then send one request in full.

    `choice` is the clock of the run: with packets a request costs less, for it is read lazily.

    Raises:
        EndpointUnfit: it cannot be reached, or does not answer as an OpenAI endpoint.
        NoValidMeasurement: it answers, and not what can be measured.
    """
    workload = interlocutor.workload
    length = (*workload.input_ladder, workload.input_tokens)[0]
    extra, probes = _probe(interlocutor, length, clock)
    model = fit_length_model([words for words, _ in probes], [r.prompt_tokens for _, r in probes])
    first = fit_length(interlocutor, length, extra, model, len(probes), clock, choice)
    notes = _notes(first.record, extra, interlocutor, keeps=first.keeps_connections)
    return Rehearsal(extra=extra, model=model, first=first, notes=notes)


def fit_length(  # noqa: PLR0917 - each is another thing
    interlocutor: Interlocutor,
    length: int,
    extra: Mapping[str, Any],
    model: LengthModel,
    index: int,
    clock: Clock,
    choice: ClockChoice = BY_READS,
) -> FittedLength:
    """Send one request in full with a prompt of `length` tokens; where the server counts another
    number, correct it once and let it count again. `index` is that of the first request to send.

    Raises:
        LengthRefused: the server takes no prompt of this length.
        NoValidMeasurement, EndpointUnfit: as `rehearse`.
    """
    words = model.words_for(length)
    tokens = interlocutor.workload.output_tokens
    request = interlocutor.request(index, words, tokens, extra)
    record, keeps = send_once(
        interlocutor, request, interlocutor.expected_tokens, clock, choice, linger_ns=_LINGER_NS
    )
    index += 1
    if record.status_code in _REFUSED_LENGTH:
        raise LengthRefused(
            f"the server refuses a prompt of about {length:,} tokens",
            evidence=record.error,
            next_step="Ask for fewer --input-tokens, or give the server a longer context.",
        )
    if record.outcome != "ok":
        raise unfit(record, interlocutor.address.root, tokens)
    counted = record.prompt_tokens
    corrected = max(1, words + round((length - counted) / model.per_word))
    if counted > 0 and corrected != words:
        again = _send_probe(interlocutor, index, corrected, extra, clock)
        index += 1
        if again.prompt_tokens > 0 and abs(again.prompt_tokens - length) < abs(counted - length):
            words, counted = corrected, again.prompt_tokens
    return FittedLength(
        words=words,
        duration_ns=record.finished_ns - record.sent_ns,
        requests=index,
        keeps_connections=keeps,
        record=record,
        notes=_length_notes(counted, length, model),
    )


def _length_notes(counted: int, length: int, model: LengthModel) -> tuple[str, ...]:
    if counted < 0:
        return ("the server does not count prompt tokens: the input length is a guess",)
    if counted == length:
        return ()
    found = f"a prompt has {counted} tokens where {length} were wished"
    return (
        f"{found} (the template takes about {model.overhead:.0f}, a word {model.per_word:.2g})",
    )


def send_once(
    interlocutor: Interlocutor,
    request: bytes,
    tokens: int,
    clock: Clock,
    choice: ClockChoice = BY_READS,
    *,
    linger_ns: int = 0,
) -> tuple[RequestRecord, bool]:
    """Send one request and wait for its end; `tokens` is the length it must have.

    Returns:
        The record, and whether the server still held the connection open `linger_ns` later.
    """
    track = WallClockTrack(clock)
    timeout_ns = int(interlocutor.workload.timeout_s * 1e9)
    deadline_ns = clock.monotonic_ns() + timeout_ns + _GRACE_NS
    load = Load([request], 1, 0, timeout_ns, deadline_ns, linger_ns=linger_ns)
    address = interlocutor.address
    with choice.capture(address, streams=1) as capture:
        result = run_closed_loop(address, load, clock, track, capture=capture)
    record, _ = make_record(
        result.exchanges[0],
        Place(index=0, concurrency=1, is_warmup=True, origin_ns=0),
        Expectation(tokens, interlocutor.dialect.sends_done),
        track,
        are_kernel_stamps_asked=result.are_kernel_stamps_asked,
        packets=result.packets,
    )
    return record, not result.was_found_closed


def _probe(
    interlocutor: Interlocutor, length: int, clock: Clock
) -> tuple[Mapping[str, Any], list[tuple[int, RequestRecord]]]:
    """Two short prompts of different length, with the richest set of fields that is not refused."""
    guessed = GUESS.words_for(length)
    shorter = max(2, guessed // 8)
    extra, first = _offer(interlocutor, shorter, clock)
    longer = max(shorter + 8, guessed // 3)
    second = _send_probe(interlocutor, 1, longer, extra, clock)
    if not _is_answer(second):
        raise unfit(second, interlocutor.address.root, _probe_tokens(interlocutor))
    return extra, [(shorter, first), (longer, second)]


def _offer(
    interlocutor: Interlocutor, words: int, clock: Clock
) -> tuple[Mapping[str, Any], RequestRecord]:
    """Offer set after set of fields until one is taken.

    `cache_prompt` is llama.cpp's, `min_tokens` TensorRT-LLM's and vLLM's.
    """
    tokens = interlocutor.workload.output_tokens
    offers: list[Mapping[str, Any]] = [{}]
    if interlocutor.dialect.fixed_length == "ignore_eos" and interlocutor.is_length_fixed:
        offers = [{"cache_prompt": False, "min_tokens": tokens}, {"min_tokens": tokens}, {}]
    elif interlocutor.dialect.fixed_length == "ignore_eos":
        offers = [{"cache_prompt": False}, {}]
    if interlocutor.workload.turns > 1 or interlocutor.workload.shared_prefix:
        # Whoever repeats a beginning wants to see what the server's cache makes of it.
        offers = [{k: v for k, v in offer.items() if k != "cache_prompt"} for offer in offers]
    for extra in offers:
        record = _send_probe(interlocutor, 0, words, extra, clock)
        if record.status_code not in REFUSED_FIELD:
            break
    if not _is_answer(record):
        raise unfit(record, interlocutor.address.root, _probe_tokens(interlocutor))
    return extra, record


def _send_probe(
    interlocutor: Interlocutor, index: int, words: int, extra: Mapping[str, Any], clock: Clock
) -> RequestRecord:
    tokens = _probe_tokens(interlocutor)
    fields = {**extra, "min_tokens": tokens} if "min_tokens" in extra else extra
    request = interlocutor.request(index, words, tokens, fields)
    return send_once(interlocutor, request, 0, clock)[0]


def _probe_tokens(interlocutor: Interlocutor) -> int:
    return min(interlocutor.workload.output_tokens, _PROBE_TOKENS)


def _is_answer(record: RequestRecord) -> bool:
    """A probe is too short to insist on: all its tokens may be invisible ones."""
    return record.outcome == "ok" or record.error == NOTHING_SAID


def _notes(
    record: RequestRecord, extra: Mapping[str, Any], interlocutor: Interlocutor, *, keeps: bool
) -> tuple[str, ...]:
    notes = []
    workload = interlocutor.workload
    if record.completion_tokens < 0:
        notes.append("the server gives no usage: output lengths are not verified, there is no TPOT")
    if workload.has_tools and not any(chunk.kind == "tool_call" for chunk in record.chunks):
        notes.append("a tool call was required and the server answered without one")
    elif not interlocutor.is_length_fixed:
        notes.append("answers end where the model ends them: their length is not fixed")
    is_repeating = workload.turns > 1 or workload.shared_prefix > 0
    if "cache_prompt" not in extra and not is_repeating:
        notes.append(
            "prompt caching cannot be turned off by request here; prompts are unique instead"
        )
    if not keeps:
        notes.append(
            "the server closes connections that it says it keeps: every request got a new one, "
            "opened before its clock started"
        )
    return tuple(notes)
