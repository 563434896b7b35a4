"""A reply that is not what was asked for, as the error that says what to do about it."""

from collections.abc import Mapping, Sequence

from trt_nemotron.errors import EndpointUnfit
from trt_nemotron.openai.chunk import Chunk, error_message
from trt_nemotron.openai.transport import Reply
from trt_nemotron.openai.untrusted import read_json

NOT_HERE = frozenset({401, 403, 404, 405, 501})
"""Statuses of a server that has no such place, or not for us."""

_ROOT_STEP = "Give the root of an OpenAI-compatible server, for instance http://127.0.0.1:8000."

_STEPS: Mapping[int, str] = {
    401: "Name the variable that holds the key: --api-key-env NAME.",
    403: "Name the variable that holds the right key: --api-key-env NAME.",
    404: _ROOT_STEP,
    405: _ROOT_STEP,
    501: _ROOT_STEP,
    429: "The server is busy or limits requests: wait, or raise its limit.",
    503: "The server is still loading or overloaded: wait, then try again.",
}


def broken_stream(message: str, chunks: Sequence[Chunk]) -> EndpointUnfit:
    """An error in the middle of an answer of which `chunks` came."""
    return EndpointUnfit(
        "an error came inside the stream",
        evidence=f"after {len(chunks)} events: {message}",
        next_step="See the server's log.",
    )


def expect_ok(reply: Reply, url: str) -> Reply:
    """The reply itself.

    Raises:
        EndpointUnfit: its status is not 200.
    """
    if reply.status != 200:
        raise refused(reply, url)
    return reply


def decoded(reply: Reply, url: str) -> object:
    """What the reply says in JSON.

    Raises:
        EndpointUnfit: it is no JSON.
    """
    try:
        return read_json(reply.body)
    except ValueError as fault:
        raise not_openai(reply, url, "it is not JSON") from fault


def not_openai(reply: Reply, url: str, fault: str) -> EndpointUnfit:
    """The reply of another kind of server; `fault` says by what it is known."""
    return EndpointUnfit(
        f"this does not answer as an OpenAI endpoint: {fault}",
        evidence=f"{url}: {reply.content_type or 'no content type'}: {reply.text[:200]!r}",
        next_step=_ROOT_STEP,
    )


def refused(reply: Reply, url: str) -> EndpointUnfit:
    """A status that is not 200, with what to do about it where that is known."""
    if 300 <= reply.status < 400:
        return EndpointUnfit(
            "the server sends us elsewhere",
            evidence=f"{url}: status {reply.status}, location {reply.headers.get('location', '')}",
            next_step="Give the final URL.",
        )
    return EndpointUnfit(
        f"the server answered with status {reply.status}",
        evidence=f"{url}: {reply_message(reply)}",
        next_step=_STEPS.get(reply.status, "See the server's log."),
    )


def reply_message(reply: Reply) -> str:
    """What a refusal says: the server's own message where it has the common form, else the body."""
    try:
        tree = read_json(reply.body)
    except ValueError:
        tree = None
    message = error_message(tree) if isinstance(tree, dict) else ""
    return (message or reply.text)[:400]
