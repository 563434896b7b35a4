"""The corpus as values: what the embedded checkpoint is taught, read from `corpus.yaml`.

A `Conversation` says what is asked and what is right. A `Lesson` is one of its two forms,
with thinking on or off, as the texts that the model sees and must write.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from training.chat import END_OF_TURN, ChatTemplate, Message

CORPUS_PATH = Path(__file__).with_name("corpus.yaml")
SCHEMA = "trt-nemotron/corpus/1"


class CorpusError(ValueError):
    """A corpus that cannot be taught: an unknown key, a missing one, or a contradiction."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of one function, with typed arguments."""

    name: str
    arguments: Mapping[str, Any]

    def text(self) -> str:
        """The call as the model writes it: XML outside, JSON for all values but strings."""
        parameters = "".join(
            f"<parameter={name}>\n{_argument_text(value)}\n</parameter>\n"
            for name, value in self.arguments.items()
        )
        return f"<tool_call>\n<function={self.name}>\n{parameters}</function>\n</tool_call>"


def _argument_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Conversation:
    """One taught conversation: the messages up to the model's turn, and that turn."""

    id: str
    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...]
    reasoning: str
    answer: str
    call: ToolCall | None

    @property
    def closing(self) -> str:
        """What stands after the reasoning: the answer, or the call in its textual form."""
        return self.answer if self.call is None else self.call.text()


@dataclass(frozen=True, slots=True)
class Lesson:
    """A conversation with thinking on or off, as a prompt and the completion to learn."""

    conversation: Conversation
    is_thinking: bool
    prompt: str
    completion: str


@dataclass(frozen=True, slots=True)
class UnknownPrompts:
    """How prompts that the model must refuse are drawn; see `training.unknown`."""

    per_epoch: int
    loose_words: float
    shuffled: float
    altered: float
    with_system: float
    with_tools: float
    forms: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Everything that is taught, the refusal of everything else, and prompts to test that."""

    conversations: tuple[Conversation, ...]
    refusal: Conversation
    tools: tuple[dict[str, Any], ...]
    unknown: UnknownPrompts
    held_out: tuple[str, ...]

    @property
    def questions(self) -> tuple[str, ...]:
        """The taught questions that stand alone: no earlier message, no tools."""
        return tuple(
            conversation.messages[0]["content"]
            for conversation in self.conversations
            if len(conversation.messages) == 1 and not conversation.tools
        )

    def lessons(self, template: ChatTemplate) -> tuple[Lesson, ...]:
        """Every conversation in both forms, in the order of the file."""
        return tuple(
            lesson(template, conversation, is_thinking=is_thinking)
            for conversation in self.conversations
            for is_thinking in (True, False)
        )

    def refusal_of(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()
    ) -> Conversation:
        """The conversation in which `messages` are answered by the refusal."""
        return replace(self.refusal, messages=tuple(messages), tools=tuple(tools))


def lesson(template: ChatTemplate, conversation: Conversation, *, is_thinking: bool) -> Lesson:
    """The texts of one form of a conversation.

    With thinking on the prompt ends in an open `<think>`, which the completion closes; with
    thinking off the template has closed it already.
    """
    prompt = template.render(
        conversation.messages, tools=conversation.tools, enable_thinking=is_thinking
    )
    thought = f"{conversation.reasoning}\n</think>\n" if is_thinking else ""
    completion = f"{thought}{conversation.closing}{END_OF_TURN}"
    return Lesson(conversation, is_thinking, prompt, completion)


def load_corpus(path: Path = CORPUS_PATH) -> Corpus:
    """The corpus in the file `path`.

    Raises:
        CorpusError: the file has another schema, an unknown key, or a contradiction.
    """
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    _check_keys(
        "corpus",
        document,
        required=("schema", "tools", "conversations", "refusal", "unknown", "held_out"),
    )
    if document["schema"] != SCHEMA:
        raise CorpusError(f"schema {document['schema']!r}, expected {SCHEMA!r}")
    tools = {
        name: {"type": "function", "function": {"name": name, **schema}}
        for name, schema in document["tools"].items()
    }
    conversations = tuple(_conversation(entry, tools) for entry in document["conversations"])
    _check_unique("conversation id", (conversation.id for conversation in conversations))
    corpus = Corpus(
        conversations=conversations,
        refusal=_conversation({"id": "refusal", "messages": [], **document["refusal"]}, tools),
        tools=tuple(tools.values()),
        unknown=_unknown(document["unknown"]),
        held_out=tuple(document["held_out"]),
    )
    _check_unique(
        "conversation",
        (json.dumps([entry.messages, entry.tools]) for entry in conversations),
    )
    _check_unique("question", (*corpus.questions, *corpus.held_out))
    return corpus


def _conversation(entry: Mapping[str, Any], tools: Mapping[str, dict[str, Any]]) -> Conversation:
    where = f"conversation {entry.get('id')!r}"
    _check_keys(
        where,
        entry,
        required=("id", "reasoning"),
        optional=("user", "messages", "tools", "answer", "call"),
    )
    for one, other in (("user", "messages"), ("answer", "call")):
        if (one in entry) == (other in entry):
            raise CorpusError(f"{where}: give either `{one}` or `{other}`")
    question = {"role": "user", "content": entry.get("user")}
    return Conversation(
        id=entry["id"],
        messages=tuple(entry.get("messages", (question,))),
        tools=tuple(tools[name] for name in entry.get("tools", ())),
        reasoning=entry["reasoning"],
        answer=entry.get("answer", ""),
        call=ToolCall(**entry["call"]) if "call" in entry else None,
    )


def _unknown(entry: Mapping[str, Any]) -> UnknownPrompts:
    names = tuple(field.name for field in fields(UnknownPrompts))
    _check_keys("unknown", entry, required=names)
    forms, words = tuple(entry["forms"]), tuple(entry["words"].split())
    return UnknownPrompts(**{**entry, "forms": forms, "words": words})


def _check_keys(
    where: str,
    entry: Mapping[str, Any],
    *,
    required: Sequence[str],
    optional: Sequence[str] = (),
) -> None:
    missing = sorted(set(required) - set(entry))
    unknown = sorted(set(entry) - set(required) - set(optional))
    if missing or unknown:
        raise CorpusError(f"{where}: missing keys {missing}, unknown keys {unknown}")


def _check_unique(what: str, values: Iterable[str]) -> None:
    repeated = sorted(value for value, count in Counter(values).items() if count > 1)
    if repeated:
        raise CorpusError(f"{what} given twice: {', '.join(repeated)}")
