"""Checks of refusals: what a server must not accept, and must survive."""

import json
import re
from collections.abc import Mapping

from trt_nemotron.measure.smoke.interview import Interview, Passed, Wrong, short_request
from trt_nemotron.openai.chunk import error_message, parse_usage
from trt_nemotron.openai.client import CHAT_PATH
from trt_nemotron.openai.refusal import reply_message
from trt_nemotron.openai.request import chat_body, encode_body
from trt_nemotron.openai.transport import Reply

_REFUSALS = frozenset({400, 413, 415, 422})
"""Statuses that blame the request; 401, 404 and 429 are 4xx too and say nothing of it."""

_UNKNOWN_CONTEXT_WORDS = 300_000
"""More than the 262,144 tokens of the model's context, where a server does not tell its own."""

_SAYS_TOO_LONG = re.compile(r"(?i)token|context|length|long|exceed|max")


def check_malformed_request(interview: Interview) -> Passed:
    """Bodies that are no chat request are refused with 4xx and a message; the server goes on."""
    interview.expect_alive()
    statuses: dict[str, object] = {}
    for name, body in _malformed_bodies(interview.client.model).items():
        reply = interview.client.post(CHAT_PATH, body)
        message = reply_message(reply)
        if reply.status not in _REFUSALS:
            raise Wrong(
                f"{name}: answered with status {reply.status}, not with 400 or 422",
                sent=body.decode()[:200],
                got=message,
            )
        if not message.strip():
            raise Wrong(f"{name}: refused without a message", sent=body.decode()[:200])
        statuses[name] = f"{reply.status}: {message[:120]}"
    interview.expect_alive("malformed requests")
    return Passed(f"{len(statuses)} malformed bodies refused", statuses)


def check_overlong_prompt(interview: Interview) -> Passed:
    """A prompt longer than the context is refused with a message that says so; the server goes on.

    A word is at least one token, so a prompt with more words than the context has tokens never
    fits. Where the server does not tell its context and has really read every word of the prompt,
    its context is simply longer.
    """
    interview.expect_alive()
    context = interview.context_tokens
    words = context + 64 if context else _UNKNOWN_CONTEXT_WORDS
    reply = interview.client.post(CHAT_PATH, _overlong_body(interview, words))
    message = reply_message(reply)
    seen = {"words": words, "context_tokens": context, "status": reply.status, "got": message}
    if reply.status == 200 and not context and _prompt_tokens(reply) >= words:
        interview.expect_alive("a long prompt")
        return Passed(f"the context is longer than {words} tokens; nothing to refuse", seen)
    if reply.status == 200:
        raise Wrong("a prompt longer than the context was accepted", **seen)
    if reply.status not in _REFUSALS:
        raise Wrong(f"answered with status {reply.status}, not with 400 or 422", **seen)
    if not _SAYS_TOO_LONG.search(message):
        raise Wrong("the refusal does not say that the prompt is too long", **seen)
    interview.expect_alive("an overlong prompt")
    return Passed(f"status {reply.status}: {message[:120]}", seen)


def _malformed_bodies(model: str) -> Mapping[str, bytes]:
    good = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 1}
    named = {"model": model} if model else {}
    trees: dict[str, object] = {
        "an array": [],
        "no messages": {**named, "max_tokens": 1},
        "messages as a string": {**named, **good, "messages": "Say hello."},
        "content as a number": {**named, **good, "messages": [{"role": "user", "content": 7}]},
        "max_tokens as a word": {**named, **good, "max_tokens": "many"},
        "temperature as a word": {**named, **good, "temperature": "hot"},
    }
    bodies = {name: json.dumps(tree).encode() for name, tree in trees.items()}
    return {"cut JSON": b'{"messages": [{"role": "user"', **bodies}


def _overlong_body(interview: Interview, words: int) -> bytes:
    request = short_request()
    body = chat_body(request, dialect=interview.client.dialect)
    body["messages"] = [{"role": "user", "content": "word " * words}]
    if interview.client.model:
        body["model"] = interview.client.model
    return encode_body(body)


def _prompt_tokens(reply: Reply) -> int:
    try:
        tree = json.loads(reply.body)
    except ValueError:
        return -1
    if not isinstance(tree, dict) or error_message(tree):
        return -1
    usage = parse_usage(tree.get("usage"))
    return usage.prompt_tokens if usage else -1
