"""The chat template, rendered by Jinja alone, against kept texts and against its own rules."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from training.chat import ChatTemplate

GOLDEN = Path(__file__).with_name("golden")
DOCUMENT = yaml.safe_load((GOLDEN / "cases.yaml").read_text(encoding="utf-8"))
CASES: dict[str, dict[str, Any]] = DOCUMENT["cases"]

HELLO = [{"role": "user", "content": "Hello"}]


def render_case(case: Mapping[str, Any]) -> str:
    return ChatTemplate.read().render(
        case["messages"],
        tools=[DOCUMENT["tools"][name] for name in case.get("tools", ())],
        is_prompt=case.get("is_prompt", True),
        **case.get("variables", {}),
    )


@pytest.mark.parametrize("name", CASES)
def test_renders_the_kept_text(name: str):
    assert render_case(CASES[name]) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_every_kept_text_has_a_case():
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(CASES)


@pytest.fixture
def template():
    return ChatTemplate.read()


def test_thinking_is_on_unless_switched_off(template: ChatTemplate):
    by_default = template.render(HELLO)
    assert by_default == template.render(HELLO, enable_thinking=True)
    assert by_default.endswith("<|im_start|>assistant\n<think>\n")
    switched_off = template.render(HELLO, enable_thinking=False)
    assert switched_off.endswith("<|im_start|>assistant\n<think></think>")


def test_system_turn_stands_even_when_empty(template: ChatTemplate):
    assert template.render(HELLO).startswith("<|im_start|>system\n<|im_end|>\n<|im_start|>user\n")


def test_prompt_extends_the_conversation(template: ChatTemplate):
    conversation = template.render(HELLO, is_prompt=False)
    assert template.render(HELLO) == conversation + "<|im_start|>assistant\n<think>\n"


@pytest.mark.parametrize("is_thinking", [True, False])
def test_an_answer_is_rendered_as_the_model_wrote_it(template: ChatTemplate, is_thinking: bool):
    answer = {"role": "assistant", "content": "Hi!"}
    written = "Hi!"
    if is_thinking:
        answer["reasoning_content"] = "A greeting."
        written = "A greeting.\n</think>\nHi!"
    prompt = template.render(HELLO, enable_thinking=is_thinking)
    assert template.render([*HELLO, answer], is_prompt=False) == f"{prompt}{written}<|im_end|>\n"


def test_no_tools_means_no_word_of_tools(template: ChatTemplate):
    assert "tool" not in template.render(HELLO).lower()


def test_tool_prompt_names_every_part(template: ChatTemplate):
    tool = DOCUMENT["tools"]["lamp"]
    text = template.render(HELLO, tools=[tool])
    function = tool["function"]
    assert f"<name>{function['name']}</name>" in text
    for name in function["parameters"]["properties"]:
        assert f"<parameter>\n<name>{name}</name>" in text
    assert '<required>["room", "on"]</required>' in text


def test_tools_may_stand_bare_or_wrapped(template: ChatTemplate):
    function = DOCUMENT["tools"]["lamp"]["function"]
    wrapped = template.render(HELLO, tools=[{"type": "function", "function": function}])
    assert template.render(HELLO, tools=[function]) == wrapped


def test_each_run_of_tool_results_is_one_user_turn(template: ChatTemplate):
    call = {"role": "assistant", "content": "", "tool_calls": [{"name": "f", "arguments": {}}]}
    result = {"role": "tool", "content": "r"}
    once = template.render([*HELLO, call, result, result, call, result])
    assert once.count("<|im_start|>user\n<tool_response>") == 2
    assert once.count("<tool_response>\nr\n</tool_response>\n") == 3


def test_llama_cpp_recognises_the_tool_format(template: ChatTemplate):
    """Its server picks the parser by these strings (common/chat.cpp, b11434)."""
    assert all(text in template.source for text in ("<tool_call>", "<function=", "<parameter="))
    assert "'<tool_call><function=' ~ tool_call.name ~ '>'" not in template.source
    assert "<think>" in template.source


if __name__ == "__main__":
    for case_name, case_input in CASES.items():
        (GOLDEN / f"{case_name}.txt").write_text(render_case(case_input), encoding="utf-8")
