"""Conversations: a request carries everything said so far, the server's own answers included.

The next request of a conversation is built when its answer has ended, before its pause and before
its clock; what that takes away from other streams no figure with kernel stamps depends on.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from trt_nemotron.measure.bench.wire.exchange import Exchange
from trt_nemotron.measure.bench.wire.sources.protocol import NEVER, Order

Message = dict[str, Any]
Say = Callable[[int, int], str]
"""What the user says in turn t of conversation c, counted from 0."""
Write = Callable[[Sequence[Message]], bytes]
"""A request for these messages."""
Hear = Callable[[bytes], Message | None]
"""The assistant's message in a response; `None` where there is none to go on with."""


@dataclass(slots=True)
class _Conversation:
    number: int
    turns: int
    turn: int = 0
    messages: list[Message] = field(default_factory=list)


class SessionSource:
    """Streams that each hold one conversation after the other.

    An answer that cannot be gone on with (an error, nothing said) ends its conversation; another
    one takes its place, so that the number of requests stays.

    Args:
        count: requests in all; `None` for a soak. The last conversation may be cut by it.
        streams: conversations held at a time.
        think_ns: pause between an answer and the next question.
        spread_ns: over which the first wave is spread.
        soak_ns: for how long requests are sent; 0 to send `count`.

    Attributes:
        places: of every request taken, by its index: conversation and turn, both from 0.
        broken: conversations that ended before their last turn.
    """

    is_scheduled = False

    def __init__(
        self,
        say: Say,
        write: Write,
        hear: Hear,
        *,
        turns: int,
        streams: int,
        count: int | None,
        think_ns: int = 0,
        spread_ns: int = 0,
        soak_ns: int = 0,
    ) -> None:
        self.places: list[tuple[int, int]] = []
        self.broken = 0
        self._say, self._write, self._hear = say, write, hear
        self._turns = turns
        self._streams = streams
        self._count = count
        self._think_ns = think_ns
        self._spread_ns = spread_ns
        self._soak_ns = soak_ns
        self._end_ns = NEVER
        self._promised = 0
        self._started = 0
        self._due: list[tuple[int, int, bytes, _Conversation]] = []
        self._under_way: dict[int, _Conversation] = {}

    @property
    def total(self) -> int | None:
        """How many requests there will be; `None` for a soak."""
        return self._count

    def begin(self, now: int) -> None:
        """The first question of each stream is due from `now` on."""
        if self._soak_ns:
            self._end_ns = now + self._soak_ns
        for place in range(self._streams):
            self._start(now + place * self._spread_ns // self._streams)

    def next_due_ns(self, now: int) -> int:
        """When the next question is asked."""
        if not self._due or now >= self._end_ns:
            return NEVER
        return self._due[0][0]

    def take(self, now: int) -> Order:
        """The question that is due first."""
        _, _, request, conversation = heapq.heappop(self._due)
        index = len(self.places)
        self.places.append((conversation.number, conversation.turn))
        self._under_way[index] = conversation
        return Order(index, request, -1)

    def on_end(self, exchange: Exchange, now: int) -> None:
        """Go on with the conversation, or begin another."""
        conversation = self._under_way.pop(exchange.index)
        conversation.turn += 1
        missing = conversation.turns - conversation.turn
        answer = None
        if missing and exchange.ending == "complete":
            answer = self._hear(exchange.received)
        if answer is not None:
            conversation.messages.append(answer)
            self._ask(conversation, now + self._think_ns)
            return
        self.broken += bool(missing)
        self._promised -= missing
        self._start(now)

    def _start(self, due_ns: int) -> None:
        left = self._turns if self._count is None else self._count - self._promised
        if left <= 0:
            return
        turns = min(self._turns, left)
        self._promised += turns
        conversation = _Conversation(self._started, turns)
        self._started += 1
        self._ask(conversation, due_ns)

    def _ask(self, conversation: _Conversation, due_ns: int) -> None:
        conversation.messages += self._next_messages(conversation)
        request = self._write(conversation.messages)
        heapq.heappush(self._due, (due_ns, conversation.number, request, conversation))

    def _next_messages(self, conversation: _Conversation) -> list[Message]:
        """The user's words; the results of tools where the answer called some."""
        text = self._say(conversation.number, conversation.turn)
        last = conversation.messages[-1] if conversation.messages else {}
        calls = last.get("tool_calls")
        if not calls:
            return [{"role": "user", "content": text}]
        return [{"role": "tool", "tool_call_id": call["id"], "content": text} for call in calls]
