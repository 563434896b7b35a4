"""A double of a model: it knows the questions of a suite file and their right answers."""

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

Request = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """An answer as the model would give it."""

    content: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    finish_reason: str = "stop"
    extra_tokens: int = 1
    call_id: str = "call_1"
    role: str = "assistant"

    @property
    def tokens(self) -> int:
        calls = sum(len(fragments_of(arguments)) + 2 for _, arguments in self.calls)
        spoken = len(tokens_of(self.reasoning)) + len(tokens_of(self.content))
        return spoken + calls + self.extra_tokens


def tokens_of(text: str) -> list[str]:
    """Pieces of a text: words and signs in ASCII, single characters beyond."""
    return re.findall(r"\s*[!-~]+?(?=\W|$)|\s*[^\s]|\s+", text)


def fragments_of(arguments: str) -> list[str]:
    third = max(1, len(arguments) // 3)
    return [arguments[start : start + third] for start in range(0, len(arguments), third)]


class Knowledge:
    """What the double knows: the questions of a suite file, read without the package's reader."""

    def __init__(self, suite: Path) -> None:
        tree = yaml.safe_load(suite.read_text())
        self._said: dict[str, Said] = {}
        for case in [*tree["cases"].values(), *tree["parallel"]]:
            said = self._from(case)
            if said is not None:
                self._said[self._key(case["messages"], case.get("tools"), case["thinking"])] = said

    def say(self, request: Request) -> Said:
        thinks = request.get("chat_template_kwargs", {}).get("enable_thinking", True)
        key = self._key(request["messages"], request.get("tools"), thinks)
        said = self._said.get(key, Said("I do not know that.", "I think." if thinks else ""))
        return _fixed(said, request) if request.get("ignore_eos") else _limited(said, request)

    @staticmethod
    def _key(messages: object, tools: object, thinks: bool) -> str:
        return json.dumps([messages, tools or [], thinks], sort_keys=True)

    @staticmethod
    def _from(case: dict[str, Any]) -> Said | None:
        expect = case["expect"]
        content = expect.get("content", {"equals": ""})
        reasoning = expect.get("reasoning", {}).get(
            "equals", "I think." if case["thinking"] else ""
        )
        if "tool" in expect:
            arguments = json.dumps(expect["tool"]["arguments"])
            return Said("", reasoning, ((expect["tool"]["name"], arguments),), "tool_calls")
        if "json" in content:
            return Said(json.dumps(content["json"]), reasoning)
        is_cut = case.get("stop") or expect.get("finish_reason") == "length"
        return None if is_cut else Said(content["equals"], reasoning)


def _limited(said: Said, request: Request) -> Said:
    """Cut at the stop text and at `max_tokens`."""
    for text in request.get("stop", ()):
        if text in said.content:
            said = replace(said, content=said.content[: said.content.index(text)])
    reasoning, content = tokens_of(said.reasoning), tokens_of(said.content)
    room = request["max_tokens"]
    if len(reasoning) + len(content) + 1 <= room or said.calls:
        return said
    kept = max(0, room - len(reasoning))
    return replace(
        said,
        reasoning="".join(reasoning[:room]),
        content="".join(content[:kept]),
        finish_reason="length",
        extra_tokens=0,
    )


def _fixed(said: Said, request: Request) -> Said:
    """Go on until `max_tokens`, as `ignore_eos` asks."""
    words = " on" * request["max_tokens"]
    return replace(said, content=words, reasoning="", finish_reason="length", extra_tokens=0)
