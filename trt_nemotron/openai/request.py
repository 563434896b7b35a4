"""Request bodies of chat completions.

Thinking is always asked for or ruled out in so many words: servers decide how to parse an answer
from the request's `enable_thinking`, and template revisions disagree on its default.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trt_nemotron.openai.dialect import OPENAI, Dialect

Message = Mapping[str, Any]
Tool = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What is asked of the model, in no server's particular form.

    Attributes:
        model: the served name; empty leaves the choice to the server.
        is_length_fixed: ask for exactly `max_tokens` tokens, whatever the model would do.
        temperature: 0 is greedy.
        json_schema: the answer must be JSON that this schema accepts.
        extra: fields added as they are, for what only one server knows (`cache_prompt`).
    """

    messages: Sequence[Message]
    max_tokens: int
    is_thinking_enabled: bool
    model: str = ""
    is_length_fixed: bool = False
    temperature: float = 0.0
    top_p: float | None = None
    seed: int | None = None
    stop: Sequence[str] = ()
    tools: Sequence[Tool] = ()
    tool_choice: str | None = None
    json_schema: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def chat_body(
    request: ChatRequest, *, is_streamed: bool = False, dialect: Dialect = OPENAI
) -> dict[str, Any]:
    """The JSON body of `POST /v1/chat/completions` for a server that speaks `dialect`."""
    body: dict[str, Any] = {
        "messages": list(request.messages),
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "chat_template_kwargs": {"enable_thinking": request.is_thinking_enabled},
    }
    optional: dict[str, Any] = {
        "model": request.model or None,
        "top_p": request.top_p,
        "seed": request.seed,
        "stop": list(request.stop) or None,
        "tools": list(request.tools) or None,
        "tool_choice": request.tool_choice,
        "response_format": _response_format(request.json_schema),
    }
    body.update({name: value for name, value in optional.items() if value is not None})
    if request.is_length_fixed:
        body.update(_fixed_length(request, dialect))
    if is_streamed:
        body["stream"] = True
        if dialect.usage_place == "own_chunk":
            body["stream_options"] = {"include_usage": True}
    body.update(request.extra)
    return body


def encode_body(body: Mapping[str, Any]) -> bytes:
    """The body as UTF-8 JSON, characters not escaped."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _fixed_length(request: ChatRequest, dialect: Dialect) -> dict[str, Any]:
    """Fields that make the answer exactly `max_tokens` long.

    `transformers serve` refuses `ignore_eos` with 422 and takes a whole generation configuration as
    a JSON string instead. Edge-LLM's server has no field for it, and refuses every other with 400.
    """
    if dialect.fixed_length == "none":
        return {}
    if dialect.fixed_length == "ignore_eos":
        return {"ignore_eos": True}
    configuration = {
        "min_new_tokens": request.max_tokens,
        "max_new_tokens": request.max_tokens,
        "do_sample": request.temperature > 0,
    }
    return {"generation_config": json.dumps(configuration)}


def _response_format(schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if schema is None:
        return None
    wrapped = {"name": "answer", "schema": dict(schema), "strict": True}
    return {"type": "json_schema", "json_schema": wrapped}
