"""Judgement of an answer against what a suite expects: pure, each fault one sentence."""

import json
import re
from typing import Any

import msgspec

from trt_nemotron.measure.smoke.suite import Expectation, TextExpectation, ToolExpectation
from trt_nemotron.openai.answer import Answer

_SHOWN_CHARACTERS = 300
_TOOL_MARKERS = ("<tool_call>", "</tool_call>", "<function=", "<parameter=")


def faults_of(answer: Answer, expected: Expectation) -> list[str]:
    """Everything that is wrong with an answer; empty when it is right."""
    faults: list[str] = []
    for name, text, wanted in (
        ("content", answer.content, expected.content),
        ("reasoning", answer.reasoning, expected.reasoning),
    ):
        fault = _text_fault(text, wanted) if wanted is not None else ""
        if fault:
            faults.append(f"{name} {fault}")
    if expected.tool is not None:
        faults += _tool_faults(answer, expected.tool)
    elif answer.tool_calls:
        names = ", ".join(call.name for call in answer.tool_calls)
        faults.append(f"a tool was called and none should be: {names}")
    if expected.finish_reason and answer.finish_reason != expected.finish_reason:
        faults.append(
            f"finish_reason is {answer.finish_reason!r} and should be {expected.finish_reason!r}"
        )
    # A stream may leave the role out: llama.cpp's does when the first token is part of a character.
    if answer.role != "assistant" and (answer.role or not answer.chunks):
        faults.append(f"role is {answer.role!r} and should be 'assistant'")
    return faults


def differences(one: Answer, other: Answer, *, is_white_space_strict: bool) -> list[str]:
    """In what two answers to the same question differ; ids of tool calls may."""

    def seen(text: str) -> str:
        return text if is_white_space_strict else text.strip()

    pairs = (
        ("content", seen(one.content), seen(other.content)),
        ("reasoning", seen(one.reasoning), seen(other.reasoning)),
        ("tool calls", _calls(one), _calls(other)),
        ("finish_reason", one.finish_reason, other.finish_reason),
    )
    return [f"{name} differs" for name, left, right in pairs if left != right]


def is_same_json(left: Any, right: Any) -> bool:
    """Equality with JSON types: `1`, `1.0`, `true` and `"1"` are four different values."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(
            is_same_json(value, right[key]) for key, value in left.items()
        )
    if isinstance(left, list):
        return len(left) == len(right) and all(map(is_same_json, left, right))
    return bool(left == right)


def shown(answer: Answer) -> dict[str, Any]:
    """An answer as evidence: what matters of it, cut to a readable length."""
    facts: dict[str, Any] = {
        "content": _cut(answer.content),
        "reasoning": _cut(answer.reasoning),
        "tool_calls": [f"{call.name}({_cut(call.arguments)})" for call in answer.tool_calls],
        "finish_reason": answer.finish_reason,
    }
    if answer.usage is not None:
        facts["usage"] = {
            "prompt_tokens": answer.usage.prompt_tokens,
            "completion_tokens": answer.usage.completion_tokens,
            "total_tokens": answer.usage.total_tokens,
        }
    return {name: value for name, value in facts.items() if value not in ("", [])}


def expected_shown(expected: Expectation) -> dict[str, Any]:
    """An expectation as evidence: only what it says."""
    tree: dict[str, Any] = msgspec.to_builtins(expected)
    for name in ("content", "reasoning"):
        rule = tree.get(name)
        if rule is not None:
            tree[name] = {key: value for key, value in rule.items() if value is not None}
    return {name: value for name, value in tree.items() if value is not None}


def _text_fault(text: str, expected: TextExpectation) -> str:
    stripped = text.strip()
    if expected.equals is not None:
        return "" if stripped == expected.equals.strip() else "is not the expected text"
    if expected.contains is not None:
        missing = [part for part in expected.contains if part not in text]
        return f"does not contain {', '.join(map(repr, missing))}" if missing else ""
    if expected.regex is not None:
        return "" if re.search(expected.regex, stripped) else "does not match the expected pattern"
    if expected.empty:
        return "should be empty" if stripped else ""
    if expected.non_empty:
        return "" if stripped else "is empty"
    return _json_fault(stripped, expected.json)


def _json_fault(text: str, expected: Any) -> str:
    try:
        value = json.loads(text)
    except ValueError as fault:
        return f"is not JSON ({fault})"
    return "" if is_same_json(value, expected) else "is not the expected JSON value"


def _tool_faults(answer: Answer, expected: ToolExpectation) -> list[str]:
    if len(answer.tool_calls) != 1:
        count = len(answer.tool_calls) or "no"
        hint = " (the call stands in the content as text)" if has_tool_markup(answer) else ""
        return [f"{count} tool calls where one should be{hint}"]
    call = answer.tool_calls[0]
    faults = []
    if has_tool_markup(answer):
        faults.append("markup of a tool call is left in the content")
    if not call.id:
        faults.append("the tool call has no id")
    if call.name != expected.name:
        faults.append(f"tool {call.name!r} was called and {expected.name!r} should be")
    try:
        arguments = json.loads(call.arguments)
    except ValueError as fault:
        return [*faults, f"arguments are not JSON ({fault})"]
    if not is_same_json(arguments, expected.arguments):
        faults.append(_argument_fault(arguments, expected.arguments))
    return faults


def _argument_fault(arguments: Any, expected: dict[str, Any]) -> str:
    if not isinstance(arguments, dict):
        return "arguments are not an object"
    for name, value in expected.items():
        if name not in arguments:
            return f"argument {name!r} is missing"
        if not is_same_json(arguments[name], value):
            return f"argument {name!r} is {arguments[name]!r} and should be {value!r}"
    return f"arguments that nobody asked for: {', '.join(sorted(arguments.keys() - expected))}"


def has_tool_markup(answer: Answer) -> bool:
    """Whether the model's own notation of a tool call is left in the content."""
    return any(marker in answer.content for marker in _TOOL_MARKERS)


def _calls(answer: Answer) -> list[tuple[str, Any]]:
    return [(call.name, _loaded(call.arguments)) for call in answer.tool_calls]


def _loaded(arguments: str) -> Any:
    """Arguments as a comparable text: JSON without its spacing, or the text itself."""
    try:
        return json.dumps(json.loads(arguments))
    except ValueError:
        return arguments


def _cut(text: str) -> str:
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    return f"{text[:_SHOWN_CHARACTERS]}... ({len(text)} characters)"
