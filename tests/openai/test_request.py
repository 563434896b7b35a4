import json
from dataclasses import replace
from typing import Any

from trt_nemotron.openai.dialect import OPENAI, TRANSFORMERS_SERVE, find_dialect
from trt_nemotron.openai.request import ChatRequest, chat_body, encode_body

REQUEST = ChatRequest(
    messages=({"role": "user", "content": "Grüß dich 🚀"},), max_tokens=7, is_thinking_enabled=False
)


def body(**changes: Any) -> dict[str, Any]:
    return chat_body(replace(REQUEST, **changes))


def test_thinking_is_always_said() -> None:
    assert body()["chat_template_kwargs"] == {"enable_thinking": False}
    assert body(is_thinking_enabled=True)["chat_template_kwargs"] == {"enable_thinking": True}


def test_what_was_not_asked_for_is_not_sent() -> None:
    assert body().keys() == {"messages", "max_tokens", "temperature", "chat_template_kwargs"}


def test_what_was_asked_for_is_sent() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    sent = body(
        model="m", top_p=0.9, seed=3, stop=("x",), tools=(tool,), tool_choice="required",
        json_schema={"type": "object"}, extra={"cache_prompt": False},
    )  # fmt: skip
    assert sent["model"] == "m"
    assert (sent["top_p"], sent["seed"], sent["stop"]) == (0.9, 3, ["x"])
    assert (sent["tools"], sent["tool_choice"]) == ([tool], "required")
    assert sent["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert sent["cache_prompt"] is False


def test_a_stream_asks_for_usage_where_it_has_an_event_of_its_own() -> None:
    assert chat_body(REQUEST, is_streamed=True)["stream_options"] == {"include_usage": True}
    other = chat_body(REQUEST, is_streamed=True, dialect=TRANSFORMERS_SERVE)
    assert other["stream"] is True
    assert "stream_options" not in other


def test_stream_options_are_never_sent_without_a_stream() -> None:
    assert "stream_options" not in chat_body(REQUEST)


def test_fixed_length_in_each_dialect() -> None:
    fixed = replace(REQUEST, is_length_fixed=True)
    assert chat_body(fixed, dialect=OPENAI)["ignore_eos"] is True
    other = chat_body(fixed, dialect=TRANSFORMERS_SERVE)
    assert "ignore_eos" not in other
    configuration = json.loads(other["generation_config"])
    assert (configuration["min_new_tokens"], configuration["max_new_tokens"]) == (7, 7)
    assert configuration["do_sample"] is False


def test_the_body_is_utf_8_without_escapes() -> None:
    encoded = encode_body(chat_body(REQUEST))
    assert "Grüß dich 🚀".encode() in encoded
    assert json.loads(encoded)["messages"][0]["content"] == "Grüß dich 🚀"


def test_a_server_without_a_field_for_it_is_asked_for_no_fixed_length():
    request = ChatRequest(
        messages=[], max_tokens=8, is_thinking_enabled=False, is_length_fixed=True
    )
    body = chat_body(request, dialect=find_dialect("edgellm"))
    assert body.keys() == {"messages", "max_tokens", "temperature", "chat_template_kwargs"}
