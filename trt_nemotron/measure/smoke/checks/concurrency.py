"""Checks of several requests at once: they do not mix, and a cancelled one makes room."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from trt_nemotron.measure.smoke.interview import (
    Clock,
    Interview,
    Passed,
    Skipped,
    Wrong,
    short_request,
)
from trt_nemotron.measure.smoke.judge import differences, faults_of, shown
from trt_nemotron.measure.smoke.suite import Case
from trt_nemotron.openai.answer import Answer
from trt_nemotron.openai.chunk import Chunk
from trt_nemotron.openai.request import ChatRequest

_ASSUMED_SLOTS = 16
"""Streams to cancel where the server does not tell how many it serves at the same time."""

_PACE_CHUNKS = 16


def check_parallel(interview: Interview) -> Passed:
    """Questions asked at the same time get the answers they get one at a time.

    Whole and streamed. Where a case does not fix the words, the answer must be right but may be
    worded otherwise: on a GPU the numbers depend a little on the size of the batch.
    """
    cases = interview.suite.parallel
    if len(cases) < 2:
        raise Skipped(f"the suite {interview.suite.name} has no cases to ask at the same time")
    alone = [interview.ask(case, is_streamed=False) for case in cases]
    for is_streamed in (False, True):
        with ThreadPoolExecutor(len(cases)) as pool:
            waiting = [pool.submit(interview.ask, case, is_streamed=is_streamed) for case in cases]
            together = [future.result() for future in waiting]
        _expect_same(interview, alone, together)
    evidence = {f"question {place}": shown(answer) for place, answer in enumerate(alone)}
    return Passed(f"{len(cases)} at once, each its own answer", dict(evidence))


def check_cancelled_stream(interview: Interview) -> Passed:
    """Once as many streams as there are slots were cancelled, a new request is served at once.

    The streams ask for a long answer of fixed length and are closed near its beginning. A server
    that goes on computing for nobody makes the new request wait for the rest of it, which is
    known from the pace of the streams; a third of that time is allowed.
    """
    told = interview.client.slots()
    slots = told or _ASSUMED_SLOTS
    request = _long_request(interview)
    streams = [_Stream(interview.clock) for _ in range(slots)]
    _run_and_cancel(interview, request, streams, holds=told is not None)
    started = interview.clock()
    interview.client.chat(short_request())
    waited_s = interview.clock() - started
    rest_s = min(stream.rest_s(request.max_tokens) for stream in streams)
    seen = {
        "streams": slots,
        "tokens_asked": request.max_tokens,
        "rest_s": round(rest_s, 3),
        "waited_s": round(waited_s, 3),
    }
    if not all(stream.is_cancelled for stream in streams):
        raise Wrong("a stream ended before it could be cancelled", **seen)
    if waited_s > rest_s / 3:
        raise Wrong(
            f"after {slots} streams were cancelled, the next request took {waited_s:.2f} s; "
            f"the cancelled answers had {rest_s:.2f} s to go",
            **seen,
        )
    return Passed(
        f"{slots} cancelled with {rest_s:.1f} s to go, the next answer came in {waited_s:.2f} s",
        dict(seen),
    )


@dataclass
class _Stream:
    """One stream that is going to be cancelled: when its first chunks came, and whether it was."""

    clock: Clock
    begun: float = 0.0
    times: list[float] = field(default_factory=list)
    tokens: int = 0
    is_cancelled: bool = False

    @property
    def has_pace(self) -> bool:
        return len(self.times) >= _PACE_CHUNKS

    def take(self, chunk: Chunk) -> None:
        self.tokens += chunk.is_token
        if chunk.is_token and not self.has_pace:
            self.times.append(self.clock())

    def rest_s(self, tokens: int) -> float:
        """Seconds that the tokens not yet seen would take at the pace of those seen.

        The pace counts from the request on: between chunks it would be that of our own reading,
        which on a busy machine takes up many at once.
        """
        if not self.times:
            return 0.0
        pace = (self.times[-1] - self.begun) / len(self.times)
        return pace * (tokens - len(self.times))


def _run_and_cancel(
    interview: Interview, request: ChatRequest, streams: Sequence[_Stream], *, holds: bool
) -> None:
    """Start all, and close each once it has shown its pace.

    With `holds` they are kept open until all have, so that every slot is taken at the same time;
    at the latest until one has a quarter of its answer, for a server that cannot run them all.
    """
    closing = threading.Event()
    if not holds:
        closing.set()

    def run(stream: _Stream) -> None:
        def wants_more(chunk: Chunk) -> bool:
            stream.take(chunk)
            if stream.tokens > request.max_tokens // 4 or all(one.has_pace for one in streams):
                closing.set()
            return not (closing.is_set() and stream.has_pace)

        stream.begun = interview.clock()
        stream.is_cancelled = interview.client.stream(request, wants_more).is_cancelled

    with ThreadPoolExecutor(len(streams)) as pool:
        waiting = [pool.submit(run, stream) for stream in streams]
        for future in waiting:
            future.result()


def _long_request(interview: Interview) -> ChatRequest:
    tokens = interview.cancelled_tokens
    if interview.context_tokens:
        tokens = min(tokens, interview.context_tokens // 2)
    return ChatRequest(
        messages=({"role": "user", "content": "Count from 1 to 100."},),
        max_tokens=tokens,
        is_thinking_enabled=False,
        is_length_fixed=True,
        temperature=interview.suite.sampling.temperature,
    )


def _expect_same(interview: Interview, alone: list[Answer], together: list[Answer]) -> None:
    strict = interview.client.dialect.strips_stream_whitespace
    for place, (case, one, other) in enumerate(
        zip(interview.suite.parallel, alone, together, strict=True)
    ):
        faults = faults_of(one, case.expect)
        if faults:
            raise Wrong(f"question {place}, alone: {'; '.join(faults)}", got=shown(one))
        faults = faults_of(other, case.expect)
        if _has_fixed_words(case):
            faults += differences(one, other, is_white_space_strict=strict)
        if faults:
            raise Wrong(
                f"question {place}, asked with {len(alone) - 1} others: {'; '.join(faults)}",
                alone=shown(one),
                together=shown(other),
            )


def _has_fixed_words(case: Case) -> bool:
    return case.expect.content is not None and case.expect.content.equals is not None
