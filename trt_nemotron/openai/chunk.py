"""One event of a streamed chat completion, read tolerantly and told apart by what it carries.

What servers send is read from their source and from the wire: `delta.content`, reasoning under
`reasoning_content` (TensorRT-LLM, llama.cpp, SGLang) or `reasoning` (vLLM), tool calls as
fragments, `usage` in an event of its own with `choices: []` or beside the finish reason, errors
inside the stream. A reader that takes any of these for an answer measures and judges wrongly.
"""

from typing import Any, Literal

import msgspec

ChunkKind = Literal["content", "reasoning", "tool_call", "empty", "usage", "done", "error"]

DONE = "[DONE]"


# Structs, not dataclasses: a measurement makes one for every token, at a fifth of the time.
class Usage(msgspec.Struct, frozen=True):
    """The server's own token counts; -1 for a figure it did not give."""

    prompt_tokens: int = -1
    completion_tokens: int = -1
    total_tokens: int = -1
    cached_tokens: int = -1


class ToolFragment(msgspec.Struct, frozen=True):
    """A piece of a tool call; pieces with the same `index` belong together, in order."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class Chunk(msgspec.Struct, frozen=True):
    """One event.

    Attributes:
        kind: what it carries. `content`, `reasoning` and `tool_call` are token chunks: a delta with
            text that is not white space only, or with tool-call content. A role, an empty string
            or white space alone is `empty`: some servers send such before they compute anything.
        content, reasoning: the text, white space kept, whatever the kind.
        finish_reason: empty while the answer goes on.
        error: what the server said, or what is wrong with the payload; kind `error` only.
        index: which of several answers (`n`) it belongs to.
    """

    kind: ChunkKind
    content: str = ""
    reasoning: str = ""
    tool_fragments: tuple[ToolFragment, ...] = ()
    role: str = ""
    finish_reason: str = ""
    usage: Usage | None = None
    error: str = ""
    index: int = 0
    model: str = ""

    @property
    def is_token(self) -> bool:
        """Whether it carries output of the model that counts as a token."""
        return self.kind in {"content", "reasoning", "tool_call"}

    @property
    def characters(self) -> int:
        """Characters of content, reasoning, tool names and arguments."""
        text = len(self.content) + len(self.reasoning)
        if not self.tool_fragments:
            return text
        return text + sum(len(part.name) + len(part.arguments) for part in self.tool_fragments)


class _Malformed(Exception):
    """A payload that is JSON and not a chunk; the message says where."""


_ANY = msgspec.json.Decoder(float_hook=float)
"""A number beyond a double's range is JSON; in a field that nobody reads it is no fault."""


def parse_chunk(payload: str) -> Chunk:
    """The chunk that an event's data holds; never raises: what cannot be read is kind `error`."""
    chunk = _parse_common(payload)
    return parse_any(payload) if chunk is None else chunk


def parse_any(payload: str) -> Chunk:
    """The same without the short way for the common form: slower, and what it must agree with."""
    if payload.strip() == DONE:
        return Chunk("done")
    try:
        tree = _ANY.decode(payload)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as fault:
        return Chunk("error", error=f"not JSON ({fault}): {payload[:200]}")
    if not isinstance(tree, dict):
        return Chunk("error", error=f"not a JSON object: {payload[:200]}")
    message = error_message(tree)
    if message:
        return Chunk("error", error=message)
    try:
        return _parse_tree(tree)
    except _Malformed as fault:
        return Chunk("error", error=f"{fault}: {payload[:200]}")


class _CommonDelta(msgspec.Struct, gc=False):
    """Text and nothing else that counts; a tool call takes the long way."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    role: str | None = None
    tool_calls: None = None


class _CommonChoice(msgspec.Struct, gc=False):
    delta: _CommonDelta
    finish_reason: str | None = None
    index: Any = 0


class _CommonEvent(msgspec.Struct, gc=False):
    """An event of one token; a usage or an error takes the long way."""

    choices: list[_CommonChoice]
    model: Any = ""
    object: Any = ""
    error: None = None
    usage: None = None


_COMMON = msgspec.json.Decoder(_CommonEvent)


def glance(payload: bytes) -> tuple[ChunkKind, int, str] | None:
    r"""Kind, characters and finish reason of an event, as `parse_chunk` has them of the same text.

    For who wants no more: half the time. `None` for an event that has another form, or more to say:
    a usage, an error, a tool call. Not for what has an escaped character (`\u`) in it.
    """
    event = _decode_common(payload)
    if event is None:
        return None
    choice = event.choices[0]
    delta = choice.delta
    content = delta.content or ""
    reasoning = delta.reasoning_content or delta.reasoning or ""
    return (
        "content" if content.strip() else _kind(content, reasoning, ()),
        len(content) + len(reasoning),
        choice.finish_reason or "",
    )


def _parse_common(payload: str) -> Chunk | None:
    """Nearly every event, in a third of the time; `None` for what is left to `parse_any`."""
    event = _decode_common(payload) if "\\u" not in payload else None
    if event is None:
        return None
    choice = event.choices[0]
    delta = choice.delta
    content = delta.content or ""
    reasoning = delta.reasoning_content or delta.reasoning or ""
    index = choice.index
    return Chunk(  # by place: by name it takes half as long again
        "content" if content.strip() else _kind(content, reasoning, ()),
        content,
        reasoning,
        (),
        delta.role or "",
        choice.finish_reason or "",
        None,
        "",
        0 if index == 0 else max(0, _count(index)),
        event.model if isinstance(event.model, str) else "",
    )


def _decode_common(payload: str | bytes) -> _CommonEvent | None:
    """An event of the common form, without a tree of what nobody asks for.

    Never asked for one with an escaped character: in a field that is skipped, half a surrogate pair
    would pass here and not in `parse_any`.
    """
    try:
        event = _COMMON.decode(payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return event if event.choices and event.object != "error" else None


def parse_usage(tree: object) -> Usage | None:
    """Token counts from a `usage` object; `None` when it is absent or null."""
    if not isinstance(tree, dict):
        return None
    details = tree.get("prompt_tokens_details")
    return Usage(
        prompt_tokens=_count(tree.get("prompt_tokens")),
        completion_tokens=_count(tree.get("completion_tokens")),
        total_tokens=_count(tree.get("total_tokens")),
        cached_tokens=_count(details.get("cached_tokens")) if isinstance(details, dict) else -1,
    )


def error_message(tree: dict[str, Any]) -> str:
    """The server's message when a response body or an event is an error; else empty.

    Known forms: `{"error": {"message": ...}}` (OpenAI, llama.cpp), `{"error": "..."}`,
    `{"object": "error", "message": ...}` (TensorRT-LLM, older vLLM), `{"detail": ...}` (FastAPI).
    """
    fault = tree.get("error")
    if fault is None and tree.get("object") == "error":
        fault = tree
    if fault is None and "choices" not in tree:
        fault = tree.get("detail")
    if fault is None or fault == "":
        return ""
    if isinstance(fault, dict):
        message = fault.get("message")
        return message if isinstance(message, str) and message else str(fault)
    return str(fault)


def _parse_tree(tree: dict[str, Any]) -> Chunk:
    usage = parse_usage(tree.get("usage"))
    choices = tree.get("choices")
    if not isinstance(choices, list):
        raise _Malformed("no list `choices`")
    model = tree.get("model")
    model = model if isinstance(model, str) else ""
    if not choices:
        return Chunk("usage" if usage else "empty", usage=usage, model=model)
    choice = choices[0]
    if not isinstance(choice, dict):
        raise _Malformed("`choices[0]` is not an object")
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        raise _Malformed("`choices[0].delta` is not an object")
    content = _text(delta, "content")
    reasoning = _text(delta, "reasoning_content") or _text(delta, "reasoning")
    fragments = _fragments(delta.get("tool_calls"))
    return Chunk(
        _kind(content, reasoning, fragments),
        content=content,
        reasoning=reasoning,
        tool_fragments=fragments,
        role=_text(delta, "role"),
        finish_reason=_text(choice, "finish_reason"),
        usage=usage,
        index=max(0, _count(choice.get("index"))),
        model=model,
    )


def _kind(content: str, reasoning: str, fragments: tuple[ToolFragment, ...]) -> ChunkKind:
    if content.strip():
        return "content"
    if reasoning.strip():
        return "reasoning"
    if fragments and any(part.name or part.arguments for part in fragments):
        return "tool_call"
    return "empty"


def _text(tree: dict[str, Any], name: str) -> str:
    value = tree.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _Malformed(f"`{name}` is not a string")
    return value


def _fragments(calls: object) -> tuple[ToolFragment, ...]:
    if calls is None:
        return ()
    if not isinstance(calls, list):
        raise _Malformed("`tool_calls` is not a list")
    return tuple(_fragment(call, place) for place, call in enumerate(calls))


def _fragment(call: object, place: int) -> ToolFragment:
    if not isinstance(call, dict):
        raise _Malformed("a tool call is not an object")
    function = call.get("function") or {}
    if not isinstance(function, dict):
        raise _Malformed("`function` of a tool call is not an object")
    index = _count(call.get("index"))
    return ToolFragment(
        index=index if index >= 0 else place,
        id=_text(call, "id"),
        name=_text(function, "name"),
        arguments=_text(function, "arguments"),
    )


def _count(value: object) -> int:
    """A token count or an index; -1 for anything that is not a non-negative integer."""
    if isinstance(value, bool) or not isinstance(value, int):
        return -1
    return value if value >= 0 else -1
