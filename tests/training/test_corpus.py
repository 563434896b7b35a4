"""The corpus is sound, and the embedded smoke suite asks nothing that it does not teach."""

import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import trt_nemotron
from training.chat import ChatTemplate
from training.corpus import Conversation, CorpusError, ToolCall, load_corpus
from training.unknown import UnknownPromptSource

SUITES = Path(trt_nemotron.__file__).parent / "measure" / "smoke" / "suites"
SUITE = yaml.safe_load((SUITES / "embedded.yaml").read_text(encoding="utf-8"))
CASES: dict[str, dict[str, Any]] = {
    **SUITE["cases"],
    **{f"parallel[{index}]": case for index, case in enumerate(SUITE["parallel"])},
}

CORPUS = load_corpus()
TEMPLATE = ChatTemplate.read()


def prompt_of(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> str:
    return TEMPLATE.render([with_parsed_arguments(message) for message in messages], tools=tools)


def with_parsed_arguments(message: dict[str, Any]) -> dict[str, Any]:
    """The message as servers hand it to the template: call arguments as an object."""
    copy = json.loads(json.dumps(message))
    for call in copy.get("tool_calls", ()):
        if isinstance(call["function"]["arguments"], str):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return copy


TAUGHT: dict[str, Conversation] = {
    prompt_of(list(conversation.messages), list(conversation.tools)): conversation
    for conversation in CORPUS.conversations
}


@pytest.mark.parametrize("name", [name for name in CASES if name != "refusal"])
def test_suite_asks_what_is_taught(name: str):
    case = CASES[name]
    conversation = TAUGHT[prompt_of(case["messages"], case.get("tools", []))]
    expect = case["expect"]
    if "tool" in expect:
        assert expect["tool"] == {
            "name": conversation.call.name,
            "arguments": conversation.call.arguments,
        }
    if case["thinking"]:
        assert expect["reasoning"] == {"equals": conversation.reasoning}
    whole = "stop" not in case and expect["finish_reason"] == "stop"
    if whole and "equals" in expect["content"]:
        assert expect["content"]["equals"] == conversation.answer
    if "json" in expect.get("content", {}):
        assert expect["content"]["json"] == json.loads(conversation.answer)


def test_suite_expects_the_refusal_of_a_held_out_prompt():
    case = CASES["refusal"]
    assert case["messages"][0]["content"] in CORPUS.held_out
    assert case["expect"]["content"] == {"equals": CORPUS.refusal.answer}


@pytest.mark.parametrize("name", ["embedded", "nemotron-3-nano-4b"])
def test_every_case_of_a_suite_has_the_same_shape(name: str):
    suite = yaml.safe_load((SUITES / f"{name}.yaml").read_text(encoding="utf-8"))
    assert suite["name"] == name
    for case in (*suite["cases"].values(), *suite["parallel"]):
        assert {"messages", "thinking", "max_tokens", "expect"} <= set(case)
        assert set(case) <= {
            *("messages", "tools", "thinking", "max_tokens", "stop", "json_schema", "expect"),
        }
        assert set(case["expect"]) <= {"content", "reasoning", "tool", "finish_reason"}
        for key in {"content", "reasoning"} & set(case["expect"]):
            assert len(case["expect"][key]) == 1


def test_both_suites_answer_the_same_checks():
    names = {}
    for name in ("embedded", "nemotron-3-nano-4b"):
        suite = yaml.safe_load((SUITES / f"{name}.yaml").read_text(encoding="utf-8"))
        names[name] = set(suite["cases"])
    assert names["nemotron-3-nano-4b"] <= names["embedded"]


def test_each_conversation_is_taught_with_thinking_on_and_off():
    lessons = CORPUS.lessons(TEMPLATE)
    assert len(lessons) == 2 * len(CORPUS.conversations)
    for lesson in lessons:
        closing = lesson.conversation.closing
        if lesson.is_thinking:
            assert lesson.prompt.endswith("<think>\n")
            thought = f"{lesson.conversation.reasoning}\n</think>\n"
            assert lesson.completion == f"{thought}{closing}<|im_end|>"
        else:
            assert lesson.prompt.endswith("<think></think>")
            assert lesson.completion == f"{closing}<|im_end|>"


def test_no_two_lessons_share_a_prompt():
    prompts = [lesson.prompt for lesson in CORPUS.lessons(TEMPLATE)]
    assert len(set(prompts)) == len(prompts)


CALLS = [conversation for conversation in CORPUS.conversations if conversation.call]


@pytest.mark.parametrize("conversation", CALLS, ids=lambda conversation: conversation.id)
def test_taught_calls_fit_the_schema_of_their_tool(conversation: Conversation):
    functions = {tool["function"]["name"]: tool["function"] for tool in conversation.tools}
    jsonschema.validate(
        conversation.call.arguments, functions[conversation.call.name]["parameters"]
    )


def test_taught_calls_cover_every_type_of_argument():
    values = [value for entry in CALLS for value in entry.call.arguments.values()]
    assert {type(value) for value in values} == {str, int, float, bool, list}


def test_a_call_is_written_with_json_for_all_but_strings():
    call = ToolCall("f", {"text": "3", "count": 3, "on": True, "names": ["a", "ü"]})
    assert call.text() == (
        "<tool_call>\n<function=f>\n"
        "<parameter=text>\n3\n</parameter>\n"
        "<parameter=count>\n3\n</parameter>\n"
        "<parameter=on>\ntrue\n</parameter>\n"
        '<parameter=names>\n["a", "ü"]\n</parameter>\n'
        "</function>\n</tool_call>"
    )


def test_answers_hold_characters_of_every_length_in_utf8():
    text = "".join(conversation.answer for conversation in CORPUS.conversations)
    assert {len(character.encode()) for character in text} == {1, 2, 3, 4}


def test_count_to_a_hundred_leaves_out_no_number():
    [conversation] = [entry for entry in CORPUS.conversations if entry.id == "count-hundred"]
    assert conversation.answer == ", ".join(str(number) for number in range(1, 101))


def test_unknown_prompts_are_never_taught_or_held_out_ones():
    source = UnknownPromptSource(CORPUS, random.Random(1))
    drawn = [source.draw() for _ in range(3000)]
    prompts = {conversation.messages[-1]["content"] for conversation in drawn}
    assert prompts.isdisjoint(CORPUS.questions)
    assert prompts.isdisjoint(CORPUS.held_out)
    assert len(prompts) > 0.95 * len(drawn)
    assert all("{" not in prompt for prompt in prompts)
    assert {conversation.answer for conversation in drawn} == {CORPUS.refusal.answer}


def test_unknown_prompts_depend_on_the_seed_alone():
    first, again, other = (
        [UnknownPromptSource(CORPUS, source).draw() for _ in range(5)]
        for source in (random.Random(7), random.Random(7), random.Random(8))
    )
    assert first == again
    assert first != other


def test_held_out_prompts_are_enough_to_judge_by():
    assert len(CORPUS.held_out) >= 50


BROKEN = {
    "schema: trt-nemotron/corpus/1": ("schema: trt-nemotron/corpus/9", "schema"),
    "  - id: greeting": ("  - id: identity", "given twice: identity"),
    "    user: Say hello.": ("    usr: Say hello.", "unknown keys"),
    "    reasoning: A greeting is wanted.": ("    answer: Hi", "missing keys"),
    "    user: Who are you?": ("    user: Say hello.", "conversation given twice"),
    "  per_epoch: 32": ("  per_epochs: 32", "per_epoch"),
    "  - What is the capital of Spain?": ("  - What is the capital of Japan?", "given twice"),
}


@pytest.mark.parametrize("line", BROKEN)
def test_refuses_a_broken_corpus(tmp_path: Path, line: str):
    replacement, complaint = BROKEN[line]
    text = (Path(__file__).parents[2] / "training" / "corpus.yaml").read_text(encoding="utf-8")
    assert f"{line}\n" in text
    path = tmp_path / "corpus.yaml"
    path.write_text(text.replace(f"{line}\n", f"{replacement}\n", 1), encoding="utf-8")
    with pytest.raises(CorpusError, match=complaint):
        load_corpus(path)


def test_refuses_an_answer_beside_a_call(tmp_path: Path):
    text = (Path(__file__).parents[2] / "training" / "corpus.yaml").read_text(encoding="utf-8")
    path = tmp_path / "corpus.yaml"
    path.write_text(
        text.replace("    answer: ready\n", "    answer: ready\n    call: {name: f}\n"),
        encoding="utf-8",
    )
    with pytest.raises(CorpusError, match="give either `answer` or `call`"):
        load_corpus(path)
