"""The eighteen shapes and faults of docs/wire-faults.md, as answers that a server can give.

An answer is what is sent, in order: bytes, each in a `send` of its own; seconds to wait; or one of
the endings below. The sound shapes have all tokens, the first with text after `TTFT_S`; whoever
takes a role, an empty delta or a comment for a token, or passes over reasoning, is off by 100 ms
and more.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain, repeat
from typing import Any

TOKENS, TTFT_S, INTERVAL_S = 64, 0.2, 0.004
DIES_AFTER = 16
"""Tokens that were sent when a stream dies."""
ENDLESS_S = 90.0
"""How long a stream without end is kept up; every client is ended before."""
_BETWEEN_S = 0.0003
"""Between the segments of one event."""


class Ending(Enum):
    """How an answer can stop other than by its last chunk."""

    FIN = "fin"
    RESET = "reset"
    SILENCE = "silence"


Part = bytes | float | Ending
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_LAST = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Fault:
    """One of them.

    Attributes:
        parts: of one answer.
        is_sound: whether a client has to take it for good.
        tpot_ms: of a sound one: from its first to its last token, by the tokens between.
    """

    parts: Callable[[], Iterator[Part]]
    is_sound: bool = False
    tpot_ms: float = 1e3 * INTERVAL_S


def event(tree: Any, end: str = "\n") -> bytes:
    """One server-sent event."""
    text = tree if isinstance(tree, str) else json.dumps(tree, ensure_ascii=False)
    return f"data: {text}{end}{end}".encode()


def chunk(data: bytes) -> bytes:
    """In HTTP's chunked coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def delta(finish: str | None = None, usage: dict[str, int] | None = None, **said: str) -> bytes:
    """An event as vLLM words it."""
    choice = {"index": 0, "delta": said, "finish_reason": finish}
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "truth"}
    return event({**base, "choices": [choice], **({"usage": usage} if usage else {})})


USAGE = {"prompt_tokens": 16, "completion_tokens": TOKENS, "total_tokens": 16 + TOKENS}
ROLE = delta(role="assistant", content="")
WORD = delta(content=" word")
END = delta(finish="length")
COUNTED = event(
    {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "truth",
        "choices": [], "usage": USAGE,
    }
)  # fmt: skip
DONE = event("[DONE]")
CLOSING = (END, COUNTED, DONE)
_ERROR = event({"error": {"message": "CUDA out of memory", "type": "server_error", "code": 500}})


def plain(
    words: Sequence[bytes] = (WORD,) * TOKENS,
    *,
    closing: Sequence[bytes] = CLOSING,
    interval_s: float = INTERVAL_S,
) -> Iterator[Part]:
    """A whole answer: a role at once, then `words` on time, then `closing`."""
    yield _HEAD
    yield chunk(ROLE)
    yield TTFT_S - interval_s
    for word in words:
        yield interval_s
        yield chunk(word)
    yield from map(chunk, closing)
    yield _LAST


def dying(*ending: Part) -> Iterator[Part]:
    """Some tokens, then that."""
    yield from list(plain((WORD,) * DIES_AFTER, closing=()))[:-1]
    yield INTERVAL_S
    yield from ending


def _blanks() -> Iterator[Part]:
    """Empty deltas long before the first token."""
    head, role, pause, *rest = plain()
    yield from (head, role, 0.05, chunk(delta(content="")), chunk(delta(reasoning_content="")))
    yield from (float(pause) - 0.05, *rest)  # type: ignore[arg-type]


def _split(places: Sequence[bytes]) -> Iterator[Part]:
    """Every token of one event cut before each of `places`, a segment each."""
    word = chunk(delta(content=" n\u00e9\U0001f600"))
    cuts = [word.index(place) + (2 if place == "\U0001f600".encode() else 0) for place in places]
    pieces = [word[a:b] for a, b in zip([0, *cuts], [*cuts, len(word)], strict=True)]
    for part in plain():
        if part != chunk(WORD):
            yield part
            continue
        for number, piece in enumerate(pieces):
            yield from (_BETWEEN_S, piece) if number else (piece,)


def _pairs() -> Iterator[Part]:
    """Two chunks, each with an event, in one segment."""
    head, role, pause, *rest = plain()
    yield from (head, role, pause)
    for _ in range(TOKENS // 2):
        yield from (2 * INTERVAL_S, chunk(WORD) * 2)
    yield from rest[2 * TOKENS :]


def _both_ends() -> Iterator[Part]:
    words = (WORD, WORD.replace(b"\n", b"\r\n")) * (TOKENS // 2)
    return plain(words, closing=[one.replace(b"\n", b"\r\n") for one in CLOSING])


def _refusal(status: str, more: str = "") -> Iterator[Part]:
    error = {"message": status, "code": int(status.partition(" ")[0])}
    body = json.dumps({"error": error}).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{more}"
    yield f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _endless() -> Iterator[Part]:
    yield from list(plain())[: -len(CLOSING) - 1]
    count = int(ENDLESS_S / INTERVAL_S)
    yield from chain.from_iterable(repeat((INTERVAL_S, chunk(WORD)), count))
    yield Ending.FIN


_HALF = TOKENS // 2
_TWICE = 2e3 * INTERVAL_S * (_HALF - 1) / (TOKENS - 1)
"""TPOT where two tokens come together."""
_LAST_WORD = delta(content=" word", finish="length", usage=USAGE)
_REASON = delta(reasoning_content=" word")
_EMOJI = "\U0001f600".encode()

FAULTS: dict[str, Fault] = {
    "role-only first chunk": Fault(plain, is_sound=True),
    "empty chunks": Fault(_blanks, is_sound=True),
    "reasoning first": Fault(lambda: plain((_REASON,) * _HALF + (WORD,) * _HALF), is_sound=True),
    "several tokens per chunk": Fault(
        lambda: plain((delta(content=" word word"),) * _HALF, interval_s=2 * INTERVAL_S),
        is_sound=True, tpot_ms=_TWICE,
    ),
    "several events per segment": Fault(_pairs, is_sound=True, tpot_ms=_TWICE),
    "one event over many segments": Fault(
        lambda: _split((b"choices", b"content", b"finish_reason")),
        is_sound=True, tpot_ms=1e3 * (INTERVAL_S + 3 * _BETWEEN_S),
    ),
    "bytes split inside UTF-8": Fault(
        lambda: _split((_EMOJI,)), is_sound=True, tpot_ms=1e3 * (INTERVAL_S + _BETWEEN_S)
    ),
    "keep-alive comments": Fault(
        lambda: plain((b": keep-alive\n\n" + WORD,) * TOKENS), is_sound=True
    ),
    "CRLF and LF": Fault(_both_ends, is_sound=True),
    "usage in the last content chunk": Fault(
        lambda: plain((*(WORD,) * (TOKENS - 1), _LAST_WORD), closing=(DONE,)), is_sound=True
    ),
    "missing `[DONE]`": Fault(lambda: plain(closing=(END, COUNTED))),
    "in-band error mid-stream": Fault(lambda: dying(chunk(_ERROR), chunk(DONE), _LAST)),
    "FIN mid-stream": Fault(lambda: dying(Ending.FIN)),
    "reset": Fault(lambda: dying(Ending.RESET)),
    "429 with Retry-After": Fault(
        lambda: _refusal("429 Too Many Requests", "Retry-After: 1\r\n")
    ),
    "503": Fault(lambda: _refusal("503 Service Unavailable")),
    "never-ending stream": Fault(_endless),
    "header-only hang": Fault(lambda: iter((_HEAD, Ending.SILENCE))),
}  # fmt: skip
"""By their names on docs/wire-faults.md."""
