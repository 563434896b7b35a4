"""Requests as the server takes them: unknown fields are refused, others turned for llama.cpp.

Field names, types and refusals: tensorrt_llm/serve/openai_protocol.py of 1.2 (`OpenAIBaseModel`
forbids extra fields); the answer to a bad request as reported in
https://github.com/NVIDIA/TensorRT-LLM/issues/9709.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

_STRICT = ConfigDict(extra="forbid", populate_by_name=True)


class BadRequest(Exception):
    """The request is refused with 400; the message is what the body says."""


class StreamOptions(BaseModel):
    """With `include_usage`, every chunk tells the counts so far unless that is switched off."""

    model_config = _STRICT
    include_usage: bool | None = True
    continuous_usage_stats: bool | None = True


class ResponseFormat(BaseModel):
    """What an answer is held to."""

    model_config = _STRICT
    type: Literal["text", "json", "json_schema", "json_object", "regex", "ebnf", "structural_tag"]
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    json_schema: dict[str, Any] | None = None
    regex: str | None = None
    ebnf: str | None = None
    format: Any = None


class _Function(BaseModel):
    model_config = _STRICT
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class _Tool(BaseModel):
    model_config = _STRICT
    type: Literal["function"] = "function"
    function: _Function


class _NamedFunction(BaseModel):
    model_config = _STRICT
    name: str


class _NamedChoice(BaseModel):
    model_config = _STRICT
    type: Literal["function"] = "function"
    function: _NamedFunction


class _Sampled(BaseModel):
    """Fields that chat and plain completions share."""

    model_config = _STRICT
    model: str
    frequency_penalty: float | None = 0.0
    logit_bias: dict[str, float] | None = None
    n: int = 1
    presence_penalty: float | None = 0.0
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None
    user: str | None = None
    response_format: ResponseFormat | None = None
    best_of: int | None = None
    use_beam_search: bool = False
    top_k: int = 0
    top_p_min: float = 0.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    length_penalty: float = 1.0
    early_stopping: bool = False
    stop_token_ids: list[int] | None = None
    include_stop_str_in_output: bool = False
    ignore_eos: bool = False
    min_tokens: int = 0
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True
    truncate_prompt_tokens: Annotated[int, Field(ge=1)] | None = None
    add_special_tokens: bool = False
    lora_request: dict[str, Any] | None = None
    disaggregated_params: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _stream_options_need_a_stream(cls, data: Any) -> Any:
        if data.get("stream_options") is not None and not data.get("stream"):
            raise ValueError("stream_options can only be set if stream is true")
        return data


class ChatRequest(_Sampled):
    """Body of /v1/chat/completions."""

    messages: list[dict[str, Any]]
    prompt_token_ids: list[int] | None = None
    logprobs: bool | None = False
    top_logprobs: int | None = 0
    max_completion_tokens: int | None = Field(None, validation_alias="max_tokens")
    tools: list[_Tool] | None = None
    tool_choice: Literal["none", "auto"] | _NamedChoice | None = "none"
    reasoning_effort: Literal["low", "medium", "high"] | None = None
    echo: bool = False
    add_generation_prompt: bool = True
    documents: list[dict[str, str]] | None = None
    chat_template: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    cache_salt: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _choice_needs_tools(cls, data: Any) -> Any:
        if data.get("tool_choice", "none") != "none" and data.get("tools") is None:
            raise ValueError("When using `tool_choice`, `tools` must be set.")
        return data


class TextRequest(_Sampled):
    """Body of /v1/completions."""

    prompt: list[int] | list[list[int]] | str | list[str]
    echo: bool | None = False
    logprobs: int | None = None
    max_tokens: int | None = None
    suffix: str | None = None
    return_context_logits: bool = False
    detokenize: bool = True


def read_request(body: Any, kind: type[_Sampled]) -> _Sampled:
    """The request in `body`.

    Raises:
        BadRequest: it is none that the server takes.
    """
    if not isinstance(body, dict):
        raise BadRequest("[{'type': 'dict_type', 'loc': ('body',), 'msg': 'Input should be a valid "
                         "dictionary'}]")  # fmt: skip
    try:
        return kind.model_validate(body)
    except ValidationError as fault:
        faults = [
            {
                "type": it["type"],
                "loc": ("body", *it["loc"]),
                "msg": it["msg"],
                "input": it["input"],
            }
            for it in fault.errors()
        ]
        raise BadRequest(str(faults)) from fault


def for_engine(request: _Sampled, *, has_guide: bool, has_tool_parser: bool) -> dict[str, Any]:
    """The body that llama.cpp's server is asked with.

    Answers are held to a format only with a guided-decoding backend, and `json_schema` then to
    JSON of any shape: https://github.com/NVIDIA/TensorRT/issues/4855.
    """
    kept = {
        "model", "messages", "prompt", "frequency_penalty", "presence_penalty", "seed", "stop",
        "stream", "tools", "chat_template_kwargs", "ignore_eos", "top_k", "min_p",
    }  # fmt: skip
    body = {name: it for name, it in _plain(request).items() if name in kept and it is not None}
    limit = getattr(request, "max_completion_tokens", None) or getattr(request, "max_tokens", None)
    if limit is not None:
        body["max_tokens"] = limit
    body["temperature"] = 1.0 if request.temperature is None else request.temperature
    body["top_p"] = 1.0 if request.top_p is None else request.top_p
    body["repeat_penalty"] = request.repetition_penalty
    body["timings_per_token"] = True  # counts for the usage in every chunk
    if isinstance(request, ChatRequest):
        if request.tools and request.tool_choice == "none" and _says_choice(request):
            body.pop("tools", None)
        body["parse_tool_calls"] = has_tool_parser
    if has_guide and (shape := _shape(request.response_format)):
        body["response_format"] = shape
    return body


def _says_choice(request: ChatRequest) -> bool:
    return "tool_choice" in request.model_fields_set


def _plain(request: _Sampled) -> dict[str, Any]:
    return request.model_dump(exclude_none=True, by_alias=True)


def _shape(asked: ResponseFormat | None) -> dict[str, Any] | None:
    if asked is None or asked.type == "text":
        return None
    if asked.type == "json" and asked.schema_ is not None:
        return {"type": "json_object", "schema": asked.schema_}
    return {"type": "json_object"} if asked.type in {"json_schema", "json_object"} else None
