import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trt_nemotron.openai.chunk import Chunk, ToolFragment, Usage, glance, parse_any, parse_chunk


def chunk_of(delta: dict[str, Any], **fields: Any) -> Chunk:
    choice = {"index": 0, "delta": delta, "finish_reason": None} | fields
    return parse_chunk(json.dumps({"choices": [choice]}))


@pytest.mark.parametrize(
    ("delta", "kind"),
    [
        ({"content": "Hi"}, "content"),
        ({"content": " Hi\n"}, "content"),
        ({"reasoning_content": "Hm"}, "reasoning"),
        ({"reasoning": "Hm"}, "reasoning"),
        ({"content": "", "reasoning_content": "Hm"}, "reasoning"),
        ({"content": "Hi", "reasoning_content": "Hm"}, "content"),
        ({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]}, "tool_call"),
        ({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}, "tool_call"),
        ({"tool_calls": [{"index": 0, "id": "call_1"}]}, "empty"),
        ({"role": "assistant"}, "empty"),
        ({"role": "assistant", "content": None}, "empty"),
        ({"role": "assistant", "content": ""}, "empty"),
        ({"reasoning_content": "\n"}, "empty"),
        ({"content": " \n\t"}, "empty"),
        ({}, "empty"),
    ],
)
def test_a_delta_is_told_by_what_it_carries(delta: dict[str, Any], kind: str) -> None:
    chunk = chunk_of(delta)
    assert chunk.kind == kind
    assert chunk.is_token == (kind != "empty")


def test_white_space_is_kept_although_it_is_no_token() -> None:
    chunk = chunk_of({"content": " \n"})
    assert (chunk.kind, chunk.content, chunk.characters) == ("empty", " \n", 2)


def test_done_is_done_whatever_space_is_around_it() -> None:
    assert parse_chunk("[DONE]").kind == "done"
    assert parse_chunk(" [DONE] ").kind == "done"


def test_usage_of_its_own_event() -> None:
    usage = {
        "prompt_tokens": 11,
        "completion_tokens": 4,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 7},
    }
    chunk = parse_chunk(json.dumps({"choices": [], "usage": usage}))
    assert chunk.kind == "usage"
    assert chunk.usage == Usage(11, 4, 15, 7)


def test_usage_beside_the_finish_reason() -> None:
    payload = {
        "choices": [{"index": 0, "delta": {}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15},
    }
    chunk = parse_chunk(json.dumps(payload))
    assert (chunk.kind, chunk.finish_reason, chunk.usage) == (
        "empty",
        "length",
        Usage(11, 4, 15, -1),
    )


def test_null_usage_is_no_usage() -> None:
    payload = {"choices": [{"index": 0, "delta": {"content": "a"}}], "usage": None}
    assert parse_chunk(json.dumps(payload)).usage is None


@pytest.mark.parametrize("value", ["4", 4.0, True, -1, None, [4]])
def test_a_count_that_is_no_count_is_not_known(value: object) -> None:
    payload = {"choices": [], "usage": {"prompt_tokens": value}}
    assert parse_chunk(json.dumps(payload)).usage == Usage()


def test_tool_fragments_keep_their_places() -> None:
    calls = [{"index": 1, "id": "b", "function": {"name": "f", "arguments": '{"'}}, {"id": "c"}]
    assert chunk_of({"tool_calls": calls}).tool_fragments == (
        ToolFragment(1, "b", "f", '{"'),
        ToolFragment(1, "c"),
    )


def test_the_index_of_one_of_several_answers() -> None:
    assert chunk_of({"content": "a"}, index=3).index == 3


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ('{"error": {"message": "out of memory", "code": 500}}', "out of memory"),
        ('{"error": "out of memory"}', "out of memory"),
        ('{"error": {"code": 500}}', "{'code': 500}"),
        ('{"object": "error", "message": "out of memory"}', "out of memory"),
        ('{"detail": "out of memory"}', "out of memory"),
    ],
)
def test_an_error_in_the_stream_is_an_error_with_its_message(payload: str, message: str) -> None:
    chunk = parse_chunk(payload)
    assert (chunk.kind, chunk.error) == ("error", message)


@pytest.mark.parametrize(
    "payload",
    [
        "", "{", "null", "3", "[]", '"text"', "NaN", "{}", '{"choices": null}', '{"choices": {}}',
        '{"choices": [null]}', '{"choices": [{}]}', '{"choices": [{"delta": []}]}',
        '{"choices": [{"delta": {"content": 3}}]}', '{"choices": [{"delta": {"content": ["a"]}}]}',
        '{"choices": [{"delta": {"tool_calls": {}}}]}',
        '{"choices": [{"delta": {"tool_calls": [3]}}]}',
        '{"choices": [{"delta": {"tool_calls": [{"function": 3}]}}]}',
        '{"choices": [{"delta": {"tool_calls": [{"function": {"arguments": {}}}]}}]}',
        '{"choices": [{"delta": {}, "finish_reason": 3}]}',
        '{"choices": [], "x": "\ud800"}', "[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_chunk_is_an_error_and_never_an_exception(payload: str) -> None:
    chunk = parse_chunk(payload)
    assert chunk.kind == "error"
    assert chunk.error


KEYS = [
    "choices", "delta", "content", "reasoning_content", "tool_calls", "function", "name", "index",
    "arguments", "usage", "prompt_tokens", "prompt_tokens_details", "cached_tokens", "error",
    "message", "object", "role", "finish_reason", "detail", "model", "id",
]  # fmt: skip

trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(trees)
def test_no_json_makes_the_parser_raise(tree: object) -> None:
    assert parse_chunk(json.dumps(tree)).kind


@given(st.text(max_size=100))
def test_no_text_makes_the_parser_raise(payload: str) -> None:
    assert parse_chunk(payload).kind


commons = st.fixed_dictionaries(
    {
        "choices": st.lists(
            st.fixed_dictionaries(
                {"delta": st.dictionaries(st.sampled_from(KEYS), trees, max_size=3)},
                optional={
                    "finish_reason": st.none() | st.text(max_size=3) | trees,
                    "index": trees | st.floats(),
                },
            )
            | trees,
            max_size=2,
        )
    },
    optional={key: st.none() | st.text(max_size=4) | trees for key in ("usage", "error", "object",
              "model", "detail", "id", "x")},
)  # fmt: skip


PIECES = [
    '"', "\\", "\\u", "\\ud800", "\x01", "\ud800", "{", "]", ",", "1", "e999", "-", "\t", " ",
]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A payload with a piece cut out, doubled or overwritten, as a broken server sends it."""
    payload = json.dumps(draw(commons), ensure_ascii=draw(st.booleans()))
    start = draw(st.integers(0, len(payload)))
    end = draw(st.integers(start, min(len(payload), start + 5)))
    piece = draw(st.sampled_from(PIECES) | st.text(max_size=3))
    return payload[:start] + piece + payload[end:]


@settings(max_examples=400)
@given(commons.map(json.dumps) | damaged() | st.text(max_size=60))
def test_the_short_way_says_what_the_long_one_says(payload: str) -> None:
    assert parse_chunk(payload) == parse_any(payload)


@settings(max_examples=400)
@given(commons.map(lambda tree: json.dumps(tree, ensure_ascii=False)) | damaged())
def test_a_glance_sees_what_is_there_or_nothing(payload: str) -> None:
    if "\\u" in payload or "\ud800" in payload:
        return
    seen, chunk = glance(payload.encode()), parse_any(payload)
    assert seen is None or seen == (chunk.kind, chunk.characters, chunk.finish_reason)
    assert seen is None or (chunk.usage, chunk.tool_fragments, chunk.error) == (None, (), "")


@pytest.mark.parametrize(
    "payload",
    [
        '{"choices":[{"delta":{"content":"a"}}],"x":"\\ud800"}',
        '{"choices":[{"delta":{"content":"a"}}],"x":"\x01"}',
        '{"choices":[{"delta":{"content":"a"}}],"x":"\\q"}',
        '{"choices":[{"delta":{"content":"a"}}],"x":1e999}',
        '{"choices":[{"delta":{"content":"a"}}],"x":-}',
        '{"choices":[{"delta":{"content":"a"}}],"x":01}',
        '{"choices":[{"delta":{"content":"a"}}],"choices":[]}',
        '{"choices":[{"delta":{"content":"a"},"delta":{}}]}',
        '{"choices":[{"delta":{"content":"a"},"index":1.0}]}',
        '{"choices":[{"delta":{"content":"a"},"index":false}]}',
        '{"choices":[{"delta":{"content":"a"}}],"detail":"x","object":"error"}',
        '{"choices":[{"delta":{"content":"a"}}],"error":""}',
        '{"choices":[{"delta":{"content":"a"}}, 3]}',
        '{"choices":[{"delta":{"content":"a"}}]} x',
        '{"choices":[{"delta":{"content":"a"}}],"x":' + "[" * 2000 + "]" * 2000 + "}",
        '{"choices":[{"delta":{"content":"a","tool_calls":null}}]}',
        '{"choices":[{"delta":{"content":"a","tool_calls":[]}}]}',
    ],
)
def test_where_the_two_ways_might_part_they_do_not(payload: str) -> None:
    assert parse_chunk(payload) == parse_any(payload)
