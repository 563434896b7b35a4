"""The ways to be wrong, by name: most of them change what a right server was about to send."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.measure.smoke.model_double import Request, Said

MODEL = "double"


@dataclass
class Stream:
    """A streamed answer, to be spoiled: events, and how they are framed."""

    events: list[Any]
    content_type: str = "text/event-stream"
    has_done: bool = True
    after_done: list[Any] = field(default_factory=list)


# --- what is said wrongly: answer -> another answer


def _stringly(said: Said) -> Said:
    calls = [
        (name, json.dumps({key: str(value) for key, value in json.loads(arguments).items()}))
        for name, arguments in said.calls
    ]
    return replace(said, calls=tuple(calls))


def _as_text(said: Said) -> Said:
    text = "".join(f"<tool_call>\n<function={name}>\n</function>" for name, _ in said.calls)
    return replace(said, calls=(), content=said.content + text, finish_reason="stop")


def _called(said: Said, change: Callable[[str, str], tuple[str, str]]) -> Said:
    return replace(said, calls=tuple(change(*call) for call in said.calls))


SAID_FAULTS: dict[str, Callable[[Said, Request], Said]] = {
    "wrong_text": lambda said, _: said if said.calls else replace(said, content="Bananas."),
    "empty_text": lambda said, _: replace(said, content=""),
    "always_stops": lambda said, _: replace(said, finish_reason="stop"),
    "always_length": lambda said, _: replace(said, finish_reason="length"),
    "no_finish_reason": lambda said, _: replace(said, finish_reason=""),
    "wrong_role": lambda said, _: replace(said, role="user"),
    "thinking_in_content": lambda said, _: (
        replace(said, reasoning="", content=f"<think>\n{said.reasoning}</think>{said.content}")
        if said.reasoning
        else said
    ),
    "orphan_think_end": lambda said, _: replace(said, content=f"</think>{said.content}"),
    "thinking_stays_on": lambda said, _: replace(said, reasoning=said.reasoning or "Hm."),
    "thinking_never_on": lambda said, _: replace(said, reasoning=""),
    "all_in_reasoning": lambda said, request: (
        said
        if request["chat_template_kwargs"]["enable_thinking"]
        else replace(said, reasoning=said.content, content="")
    ),
    "tool_arguments_are_strings": lambda said, _: _stringly(said),
    "tool_name_wrong": lambda said, _: _called(said, lambda _, given: ("launch_rocket", given)),
    "tool_arguments_cut": lambda said, _: _called(said, lambda name, given: (name, given[:-1])),
    "tool_call_as_text": lambda said, _: _as_text(said) if said.calls else said,
    "tool_called_twice": lambda said, _: replace(said, calls=said.calls * 2),
    "tool_without_id": lambda said, _: replace(said, call_id=""),
    "tool_always_called": lambda said, request: (
        replace(said, calls=(("set_light", "{}"),), finish_reason="tool_calls")
        if request.get("tools") and not said.calls
        else said
    ),
    "mojibake": lambda said, _: replace(
        said, content=said.content.encode().decode("latin-1") if said.content else ""
    ),
    "json_not_json": lambda said, request: (
        replace(said, content=f"Sure! {said.content}") if "response_format" in request else said
    ),
    "json_against_schema": lambda said, request: (
        replace(said, content='{"name": "Ada", "age": "36"}')
        if "response_format" in request
        else said
    ),
}

# --- what is streamed wrongly: stream -> another stream


def _texts(stream: Stream) -> list[dict[str, Any]]:
    """The deltas that carry content."""
    choices = [event["choices"][0] for event in stream.events if event.get("choices")]
    return [choice["delta"] for choice in choices if choice["delta"].get("content")]


def _drop_first(stream: Stream) -> None:
    for delta in _texts(stream)[:1]:
        delta["content"] = ""


def _split_characters(stream: Stream) -> None:
    for delta in _texts(stream):
        if not delta["content"].isascii():
            delta["content"] = delta["content"].encode().decode("ascii", "replace")


def _in_one_chunk(stream: Stream) -> None:
    deltas = _texts(stream)
    for delta in deltas[1:]:
        deltas[0]["content"] += delta["content"]
        delta["content"] = ""


def _without_usage(stream: Stream) -> None:
    stream.events = [event for event in stream.events if event.get("choices")]


def _finish_twice(stream: Stream) -> None:
    finish = next(e for e in stream.events if e["choices"] and e["choices"][0]["finish_reason"])
    stream.events.insert(stream.events.index(finish), finish)


def _text_after_finish(stream: Stream) -> None:
    usage = stream.events.pop()
    stream.events += [event_of({"content": " more"}), usage]


STREAM_FAULTS: dict[str, Callable[[Stream], None]] = {
    "stream_differs": _drop_first,
    "split_characters": _split_characters,
    "one_chunk": _in_one_chunk,
    "stream_without_usage": _without_usage,
    "finish_twice": _finish_twice,
    "text_after_finish": _text_after_finish,
    "missing_done": lambda stream: setattr(stream, "has_done", False),
    "data_after_done": lambda stream: stream.after_done.append(event_of({"content": "!"})),
    "wrong_content_type": lambda stream: setattr(stream, "content_type", "text/plain"),
}

USAGE_FAULTS: dict[str, Callable[[dict[str, int]], dict[str, int] | None]] = {
    "usage_missing": lambda _: None,
    "usage_prompt_zero": lambda usage: (
        usage | {"prompt_tokens": 0, "total_tokens": usage["completion_tokens"]}
    ),
    "usage_wrong_sum": lambda usage: usage | {"total_tokens": usage["total_tokens"] + 1},
    "usage_counts_one": lambda usage: (
        usage | {"completion_tokens": 1, "total_tokens": usage["prompt_tokens"] + 1}
    ),
}

OTHER_FAULTS = (
    "ignores_stream",
    "parallel_mixed",
    "parallel_garbled",
    "overlong_accepted",
    "overlong_is_500",
    "overlong_is_unclear",
    "overlong_kills",
    "overlong_refused_then_dies",
    "malformed_is_500",
    "malformed_is_200",
    "malformed_kills",
    "cancelled_keeps_slot",
    "slow",
    "hang_before_headers",
    "hang_after_headers",
    "hang_mid_stream",
    "never_ends",
    "drips_for_ever",
    "drips_headers",
    "in_band_error",
    "broken_event",
    "fin_mid_stream",
    "fin_unframed",
    "reset_mid_stream",
    "dies_after_five",
    "status_400",
    "status_429",
    "status_503",
    "status_500",
    "error_with_200",
    "redirects",
    "web_page",
    "model_list_empty",
    "model_list_wrong",
    "model_list_malformed",
    "health_500",
)

FAULTS = (*SAID_FAULTS, *STREAM_FAULTS, *USAGE_FAULTS, *OTHER_FAULTS)


def speak_as_transformers(stream: Stream, usage: dict[str, int] | None) -> None:
    """White-space reasoning before all else, white space kept, usage at the finish, no [DONE]."""
    stream.events.insert(1, event_of({"reasoning_content": "\n"}))
    if texts := _texts(stream):
        texts[0]["content"] = f"\n{texts[0]['content']}"
    stream.events = [event for event in stream.events if event["choices"]]
    stream.events[-1]["usage"] = usage
    stream.has_done = False


def event_of(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"object": "chat.completion.chunk", "model": MODEL, "choices": [choice]}
