"""Checks of streams: their frame, and that they say what the whole answer says."""

from trt_nemotron.measure.smoke.interview import Interview, Passed, Wrong
from trt_nemotron.measure.smoke.judge import shown
from trt_nemotron.openai.answer import Answer
from trt_nemotron.openai.dialect import Dialect


def check_stream_equals(interview: Interview) -> Passed:
    """The text of a stream is the text of the whole answer, and comes in more than one chunk."""
    chunks: dict[str, object] = {}
    names = [*interview.cases("stream_equals"), *interview.suite.cases_of("completion")]
    for name in names:
        _, streamed = interview.expect_both_right(name)
        chunks[name] = f"{streamed.token_chunks} chunks"
    for name in interview.cases("stream_equals"):
        streamed = interview.answer(name, is_streamed=True)
        if streamed.token_chunks < 2:
            raise Wrong(
                f"case {name}: the whole answer came in one chunk, nothing was streamed",
                got=shown(streamed),
            )
    return Passed(f"{len(names)} answers the same both ways", chunks)


def check_stream_framing(interview: Interview) -> Passed:
    """Content type, one finish reason, no text after it, then usage, and `[DONE]` at the end."""
    dialect = interview.client.dialect
    frames: dict[str, object] = {}
    for name in interview.cases("stream_equals"):
        streamed = interview.answer(name, is_streamed=True)
        faults = [*_end_faults(streamed, dialect), *_order_faults(streamed, dialect)]
        if faults:
            raise Wrong(
                f"case {name}: {'; '.join(faults)}",
                events=[chunk.kind for chunk in streamed.chunks[-8:]],
                after_done=list(streamed.after_done)[:4],
            )
        frames[name] = {"events": len(streamed.chunks), "content_type": streamed.content_type}
    left_out = dialect.missing.get("done_marker", "")
    reason = f"all but [DONE]: {left_out}" if left_out else "whole, in order, [DONE] last"
    return Passed(reason, frames)


def _end_faults(streamed: Answer, dialect: Dialect) -> list[str]:
    faults = []
    if not streamed.content_type.startswith("text/event-stream"):
        faults.append(f"content type is {streamed.content_type!r}, not text/event-stream")
    if dialect.sends_done and not streamed.saw_done:
        faults.append("the stream ends without [DONE]")
    if streamed.after_done:
        faults.append(f"{len(streamed.after_done)} events come after [DONE]")
    if streamed.unfinished:
        faults.append("the last event is cut off")
    return faults


def _order_faults(streamed: Answer, dialect: Dialect) -> list[str]:
    finishes = [place for place, chunk in enumerate(streamed.chunks) if chunk.finish_reason]
    if len(finishes) != 1:
        return [f"finish_reason is given {len(finishes)} times"]
    faults = []
    if any(chunk.is_token for chunk in streamed.chunks[finishes[0] + 1 :]):
        faults.append("text comes after the finish reason")
    if dialect.usage_place == "own_chunk" and not any(
        chunk.kind == "usage" for chunk in streamed.chunks[finishes[0] + 1 :]
    ):
        faults.append("no usage event comes after the finish reason although it was asked for")
    return faults
