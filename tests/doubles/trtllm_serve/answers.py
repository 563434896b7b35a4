"""Answers of llama.cpp's server turned into those of `trtllm-serve`.

Fields: tensorrt_llm/serve/openai_protocol.py of 1.2; chunks leave out what is null
(`model_dump_json(exclude_none=True)` in serve/postprocess_handlers.py), and with
`continuous_usage_stats`, which is on by default, each tells the counts so far.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.doubles.trtllm_serve.requests import StreamOptions

_CHOICE = ("index", "message", "delta", "text", "logprobs", "finish_reason")
_MESSAGE = ("role", "content", "reasoning_content", "tool_calls")


def error_body(message: str, code: int = 400, kind: str = "BadRequestError") -> dict[str, Any]:
    """The body of a refusal."""
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code}


def whole_answer(tree: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The answer that is not streamed."""
    return {
        "id": tree["id"],
        "object": tree["object"],
        "created": tree["created"],
        "model": model,
        "choices": [_choice(it) for it in tree["choices"]],
        "usage": _usage(tree["usage"]),
        "prompt_token_ids": None,
    }


def chunks(lines: Iterable[bytes], model: str, options: StreamOptions | None) -> Iterator[bytes]:
    """The events of a stream, one by one."""
    counts = options is not None and bool(options.include_usage)
    always = counts and bool(options and options.continuous_usage_stats)
    last: dict[str, Any] = {}
    for line in lines:
        if not line.startswith(b"data:"):
            continue
        text = line[5:].strip()
        if text == b"[DONE]":
            break
        tree = json.loads(text)
        if "error" in tree:
            yield _event(error_body(str(tree["error"].get("message", "")), 500, "InternalError"))
            return
        if not tree.get("choices"):
            continue
        last = _told(tree, last)
        event = {name: tree[name] for name in ("id", "object", "created")}
        event |= {"model": model, "choices": [_without_none(_choice(it)) for it in tree["choices"]]}
        if always:
            event["usage"] = last
        yield _event(event)
        closing = {**event, "choices": [], "usage": last}
    if last and counts:
        yield _event(closing)
    yield b"data: [DONE]\n\n"


def _told(tree: Mapping[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """The counts so far."""
    timings = tree.get("timings")
    if not timings:
        return before or {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    prompt = int(timings.get("prompt_n", 0)) + int(timings.get("cache_n", 0))
    completion = int(timings.get("predicted_n", 0))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _choice(tree: Mapping[str, Any]) -> dict[str, Any]:
    choice = {name: tree.get(name) for name in _CHOICE if name in tree}
    for part in ("message", "delta"):
        if part in choice:
            choice[part] = {name: choice[part].get(name) for name in _MESSAGE}
    if "message" in choice and choice["message"]["tool_calls"] is None:
        choice["message"]["tool_calls"] = []
    choice["stop_reason"] = None
    return choice


def _usage(tree: Mapping[str, Any]) -> dict[str, Any]:
    names = ("prompt_tokens", "total_tokens", "completion_tokens")
    return {**{name: tree[name] for name in names}, "prompt_tokens_details": {"cached_tokens": 0}}


def _without_none(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _without_none(it) for name, it in tree.items() if it is not None}
    return [_without_none(it) for it in tree] if isinstance(tree, list) else tree


def _event(tree: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(tree, separators=(",", ":")).encode() + b"\n\n"
