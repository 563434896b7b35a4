"""Whom we talk to: how a request is put to it as bytes, and what its answer says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trt_nemotron.measure.bench.prompts import make_prompt
from trt_nemotron.measure.bench.values import Workload
from trt_nemotron.measure.bench.wire.address import Address
from trt_nemotron.measure.bench.wire.framing import NotHttp
from trt_nemotron.measure.bench.wire.http_request import CHAT_PATH, build_request
from trt_nemotron.measure.bench.wire.http_response import read_response
from trt_nemotron.openai.answer import StreamEnd, assemble
from trt_nemotron.openai.chunk import parse_chunk
from trt_nemotron.openai.dialect import Dialect
from trt_nemotron.openai.request import ChatRequest, Message, chat_body, encode_body
from trt_nemotron.openai.sse import EventStream

TOOL: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look up what is known about some words.",
        "parameters": {
            "type": "object",
            "properties": {"words": {"type": "string", "description": "What to look up."}},
            "required": ["words"],
        },
    },
}
_LATER_TURNS = 8
"""A later question has so many times fewer words than the first one."""
_FEWEST_WORDS = 8


@dataclass(frozen=True, slots=True)
class Interlocutor:
    """Whom we talk to and how.

    Attributes:
        run: what tells this run's prompts from every other run's.
    """

    address: Address
    model: str
    dialect: Dialect
    workload: Workload
    run: str
    api_key: str = ""

    @property
    def is_length_fixed(self) -> bool:
        """Whether answers of exactly the wished length can be asked for: a tool call ends where it
        ends.
        """
        return self.dialect.fixed_length != "none" and not self.workload.has_tools

    @property
    def expected_tokens(self) -> int:
        """Length that an answer must have; 0 for any."""
        return self.workload.output_tokens if self.is_length_fixed else 0

    def request(self, index: int, words: int, tokens: int, extra: Mapping[str, Any]) -> bytes:
        """The bytes of request number `index`, with a prompt of `words` words."""
        text = self.say(index, 0, words)
        return self.write([{"role": "user", "content": text}], tokens, extra)

    def say(self, index: int, turn: int, words: int) -> str:
        """What the user says in turn `turn` of what began with request or conversation `index`."""
        workload = self.workload
        if not turn:
            return make_prompt(workload.seed, self.run, index, words, workload.shared_prefix)
        later = max(_FEWEST_WORDS, words // _LATER_TURNS)
        return make_prompt(workload.seed, f"{self.run} turn {turn}", index, later)

    def write(self, messages: Sequence[Message], tokens: int, extra: Mapping[str, Any]) -> bytes:
        """The bytes of a request for an answer of `tokens` tokens, or at most so many."""
        chat = ChatRequest(
            messages=messages,
            max_tokens=tokens,
            is_thinking_enabled=self.workload.is_thinking_enabled,
            model=self.model,
            is_length_fixed=self.is_length_fixed,
            tools=[TOOL] if self.workload.has_tools else (),
            tool_choice="required" if self.workload.has_tools else None,
            extra=extra,
        )
        body = encode_body(chat_body(chat, is_streamed=True, dialect=self.dialect))
        return build_request(self.address, "POST", CHAT_PATH, body, self.api_key)


def hear(received: bytes) -> dict[str, Any] | None:
    """The assistant's message in a streamed response, as the next request repeats it.

    Reasoning is left out, as the chat templates of reasoning models expect of earlier turns.
    `None` when it is no answer: another status, an error in the stream, nothing said.
    """
    try:
        response = read_response(received, (len(received),), (0,))
    except NotHttp:
        return None
    stream = EventStream()
    chunks = [parse_chunk(data) for _, piece in response.pieces for data in stream.feed(piece)]
    if response.status != 200 or any(chunk.kind == "error" for chunk in chunks):
        return None
    answer = assemble(chunks, StreamEnd(), "")
    calls = [
        {
            "id": call.id or f"call_{place}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for place, call in enumerate(answer.tool_calls)
    ]
    if not answer.content and not calls and not answer.reasoning:
        return None
    message: dict[str, Any] = {"role": "assistant", "content": answer.content}
    return {**message, "tool_calls": calls} if calls else message
