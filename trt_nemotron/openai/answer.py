"""An answer: what the model said, put together from a stream or read from one body."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from trt_nemotron.errors import EndpointUnfit
from trt_nemotron.openai.chunk import Chunk, ToolFragment, Usage, parse_usage


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model asks for; `arguments` is the JSON text as it came, not yet parsed."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer.

    Attributes:
        usage: the server's token counts; nothing where it gave none.
        chunks: every event in order, for a streamed answer.
        saw_done: whether `[DONE]` came.
        after_done: data of the events that came after `[DONE]`; there should be none.
        unfinished: data of an event that the end of the stream cut off.
        is_cancelled: the caller closed the stream before its end.
    """

    content: str
    reasoning: str
    tool_calls: tuple[ToolCall, ...]
    finish_reason: str
    usage: Usage | None
    role: str = ""
    model: str = ""
    content_type: str = ""
    chunks: tuple[Chunk, ...] = ()
    saw_done: bool = False
    after_done: tuple[str, ...] = ()
    unfinished: str = ""
    is_cancelled: bool = False

    @property
    def token_chunks(self) -> int:
        """How many events carried output of the model."""
        return sum(chunk.is_token for chunk in self.chunks)


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """How a stream came to its end."""

    saw_done: bool = False
    after_done: tuple[str, ...] = ()
    unfinished: str = ""
    is_cancelled: bool = False


def assemble(chunks: Sequence[Chunk], end: StreamEnd, content_type: str) -> Answer:
    """The answer that a stream's chunks make; of several (`n`) the first."""
    first = [chunk for chunk in chunks if chunk.index == 0]
    fragments = [part for chunk in first for part in chunk.tool_fragments]
    return Answer(
        content="".join(chunk.content for chunk in first),
        reasoning="".join(chunk.reasoning for chunk in first),
        tool_calls=_join_fragments(fragments),
        finish_reason=_last(chunk.finish_reason for chunk in first),
        usage=_last_usage(chunks),
        role=_last(chunk.role for chunk in first),
        model=_last(chunk.model for chunk in chunks),
        content_type=content_type,
        chunks=tuple(chunks),
        saw_done=end.saw_done,
        after_done=end.after_done,
        unfinished=end.unfinished,
        is_cancelled=end.is_cancelled,
    )


def parse_completion(tree: object, content_type: str) -> Answer:
    """The answer in the body of a chat completion that was not streamed.

    Raises:
        EndpointUnfit: the body has not the form of a chat completion; evidence names the place.
    """
    completion = _mapping(tree, "the body")
    choices = completion.get("choices")
    if not isinstance(choices, list) or not choices:
        raise _malformed("`choices` is not a list with an answer in it", tree)
    choice = _mapping(choices[0], "`choices[0]`")
    message = _mapping(choice.get("message"), "`choices[0].message`")
    return Answer(
        content=_text(message, "content"),
        reasoning=_text(message, "reasoning_content") or _text(message, "reasoning"),
        tool_calls=_tool_calls(message.get("tool_calls")),
        finish_reason=_text(choice, "finish_reason"),
        usage=parse_usage(completion.get("usage")),
        role=_text(message, "role"),
        model=_text(completion, "model"),
        content_type=content_type,
    )


def _join_fragments(fragments: Sequence[ToolFragment]) -> tuple[ToolCall, ...]:
    calls: dict[int, list[ToolFragment]] = {}
    for part in fragments:
        calls.setdefault(part.index, []).append(part)
    return tuple(
        ToolCall(
            id=_last(part.id for part in parts),
            name="".join(part.name for part in parts),
            arguments="".join(part.arguments for part in parts),
        )
        for _, parts in sorted(calls.items())
    )


def _tool_calls(calls: object) -> tuple[ToolCall, ...]:
    if calls is None:
        return ()
    if not isinstance(calls, list):
        raise _malformed("`tool_calls` is not a list", calls)
    return tuple(_tool_call(_mapping(call, "a tool call")) for call in calls)


def _tool_call(call: dict[str, Any]) -> ToolCall:
    function = _mapping(call.get("function"), "`function` of a tool call")
    return ToolCall(
        id=_text(call, "id"), name=_text(function, "name"), arguments=_text(function, "arguments")
    )


def _mapping(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _malformed(f"{place} is not an object", value)
    return value


def _text(tree: dict[str, Any], name: str) -> str:
    value = tree.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _malformed(f"`{name}` is not a string", value)
    return value


def _malformed(fault: str, value: object) -> EndpointUnfit:
    return EndpointUnfit(
        f"the answer is not a chat completion: {fault}",
        evidence=repr(value)[:400],
        next_step="Check that the URL is the root of an OpenAI-compatible server.",
    )


def _last(texts: Iterable[str]) -> str:
    """The last text that is not empty; some servers repeat a field, some send it once."""
    found = ""
    for text in texts:
        found = text or found
    return found


def _last_usage(chunks: Sequence[Chunk]) -> Usage | None:
    """The last counts: with `continuous_usage_stats` every chunk has some, the last is whole."""
    for chunk in reversed(chunks):
        if chunk.usage is not None:
            return chunk.usage
    return None
