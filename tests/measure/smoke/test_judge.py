from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.measure.smoke.judge import differences, faults_of, is_same_json, shown
from trt_nemotron.measure.smoke.suite import Expectation, TextExpectation, ToolExpectation
from trt_nemotron.openai.answer import Answer, ToolCall
from trt_nemotron.openai.chunk import Chunk

ANSWER = Answer(
    content="Paris.",
    reasoning="",
    tool_calls=(),
    finish_reason="stop",
    usage=None,
    role="assistant",
)
CALL = ToolCall("call_1", "set_light", '{"room": "kitchen", "on": true}')
CALLED = replace(ANSWER, content="", tool_calls=(CALL,), finish_reason="tool_calls")
LIGHT = Expectation(
    tool=ToolExpectation(name="set_light", arguments={"room": "kitchen", "on": True})
)


def text(**rule: Any) -> Expectation:
    return Expectation(content=TextExpectation(**rule))


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("Paris.", {"equals": "Paris."}),
        (" Paris.\n", {"equals": "Paris."}),
        ("It is Paris, France", {"contains": ("Paris", "France")}),
        ("12 apples", {"regex": r"^\d+"}),
        (" \n", {"empty": True}),
        ("x", {"non_empty": True}),
        (' {"a": [1, "b"]} ', {"json": {"a": [1, "b"]}}),
        ("null", {"json": None}),
    ],
)
def test_a_right_text_has_no_fault(content: str, rule: dict[str, Any]) -> None:
    assert faults_of(replace(ANSWER, content=content), text(**rule)) == []


@pytest.mark.parametrize(
    ("content", "rule", "fault"),
    [
        ("Paris", {"equals": "Paris."}, "content is not the expected text"),
        ("paris.", {"equals": "Paris."}, "content is not the expected text"),
        ("Paris", {"contains": ("Paris", "France")}, "content does not contain 'France'"),
        ("apples", {"regex": r"^\d+"}, "content does not match the expected pattern"),
        ("x", {"empty": True}, "content should be empty"),
        (" ", {"non_empty": True}, "content is empty"),
        ('{"a": 1.0}', {"json": {"a": 1}}, "content is not the expected JSON value"),
        ('{"a": "1"}', {"json": {"a": 1}}, "content is not the expected JSON value"),
    ],
)
def test_a_wrong_text_is_told(content: str, rule: dict[str, Any], fault: str) -> None:
    assert faults_of(replace(ANSWER, content=content), text(**rule)) == [fault]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ('{"on": "true", "room": "kitchen"}', "argument 'on' is 'true' and should be True"),
        ('{"on": 1, "room": "kitchen"}', "argument 'on' is 1 and should be True"),
        ('{"room": "kitchen"}', "argument 'on' is missing"),
        (
            '{"on": true, "room": "kitchen", "b": 1, "a": 1}',
            "arguments that nobody asked for: a, b",
        ),
        ("[]", "arguments are not an object"),
    ],
)
def test_wrong_arguments_are_told(arguments: str, fault: str) -> None:
    answer = replace(CALLED, tool_calls=(replace(CALL, arguments=arguments),))
    assert faults_of(answer, LIGHT) == [fault]


def test_the_order_of_arguments_does_not_matter() -> None:
    swapped = replace(CALL, arguments='{"on":true,"room":"kitchen"}')
    assert faults_of(replace(CALLED, tool_calls=(swapped,)), LIGHT) == []


def test_a_call_left_in_the_text_is_told() -> None:
    answer = replace(ANSWER, content="<tool_call>\n<function=set_light>")
    (fault,) = faults_of(answer, LIGHT)
    assert "no tool calls where one should be (the call stands in the content as text)" in fault


def test_a_call_that_nobody_wanted_is_told() -> None:
    assert faults_of(replace(CALLED, content="Paris."), text(equals="Paris.")) == [
        "a tool was called and none should be: set_light"
    ]


@pytest.mark.parametrize(
    ("role", "chunks", "is_right"),
    [
        ("assistant", (), True),
        ("assistant", (Chunk("content"),), True),
        ("", (Chunk("content"),), True),
        ("", (), False),
        ("user", (), False),
        ("user", (Chunk("content"),), False),
    ],
)
def test_only_a_stream_may_leave_the_role_out(
    role: str, chunks: tuple[Chunk, ...], is_right: bool
) -> None:
    answer = replace(ANSWER, role=role, chunks=chunks)
    assert (faults_of(answer, text(equals="Paris.")) == []) is is_right


def test_white_space_counts_between_two_answers_only_where_the_dialect_keeps_it() -> None:
    other = replace(ANSWER, content="\nParis.")
    assert differences(ANSWER, other, is_white_space_strict=True) == ["content differs"]
    assert differences(ANSWER, other, is_white_space_strict=False) == []


def test_ids_of_calls_and_spacing_of_their_json_may_differ() -> None:
    spaced = replace(CALL, id="call_2", arguments='{"room":"kitchen","on":true}')
    other = replace(CALLED, tool_calls=(spaced,))
    assert differences(CALLED, other, is_white_space_strict=True) == []


def test_types_count_between_two_calls() -> None:
    other = replace(CALLED, tool_calls=(replace(CALL, arguments='{"room":"kitchen","on":1}'),))
    assert differences(CALLED, other, is_white_space_strict=True) == ["tool calls differs"]


def test_evidence_is_cut_to_a_readable_length() -> None:
    content = shown(replace(ANSWER, content="x" * 10_000))["content"]
    assert len(content) < 400
    assert "10000 characters" in content


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(json_values)
def test_a_value_is_the_same_as_itself(value: object) -> None:
    assert is_same_json(value, value)


@pytest.mark.parametrize(
    ("left", "right"),
    [(1, 1.0), (1, True), (0, False), ("1", 1), (None, False), ([], {}), ([1], [1.0]),
     ({"a": 1}, {"a": 1, "b": 2}), ([1, 2], [2, 1]), ([1], [1, 1])],
)  # fmt: skip
def test_values_of_other_types_or_sizes_are_not(left: object, right: object) -> None:
    assert not is_same_json(left, right)
    assert not is_same_json(right, left)
