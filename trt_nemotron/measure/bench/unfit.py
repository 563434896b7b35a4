"""Why a server cannot be measured, by how its first answer ended."""

from trt_nemotron.errors import EndpointUnfit, NoValidMeasurement, TrtNemotronError
from trt_nemotron.measure.bench.values import RequestRecord
from trt_nemotron.measure.bench.wire.http_request import CHAT_PATH

REFUSED_FIELD = frozenset({400, 422})
_TOKEN_KINDS = frozenset({"content", "reasoning", "tool_call"})


def unfit(record: RequestRecord, root: str, asked: int) -> TrtNemotronError:
    """The error to raise for a first answer that is not what was asked for.

    Args:
        record: of the answer.
        root: the server's URL.
        asked: tokens that the answer was to have.
    """
    if record.outcome == "timeout" and record.status_code:
        return _unended(record, root, asked)
    if record.outcome in {"disconnected", "timeout"}:
        return EndpointUnfit(
            f"{root} does not answer",
            evidence=f"{record.outcome}: {record.error}",
            next_step="Check that the server runs and that the URL is its root.",
        )
    if record.status_code in {401, 403}:
        return EndpointUnfit(
            f"{root} wants an API key",
            evidence=record.error,
            next_step="Name the variable that holds it with --api-key-env.",
        )
    if record.status_code in REFUSED_FIELD:
        return NoValidMeasurement(
            "the server refuses a request of this workload",
            evidence=record.error,
            next_step="Ask for fewer --input-tokens or --output-tokens, or another --dialect.",
        )
    if record.outcome == "http_error" or "not an event stream" in record.error:
        return EndpointUnfit(
            f"{root} does not answer as an OpenAI endpoint",
            evidence=record.error,
            next_step=f"Check the URL: {CHAT_PATH} is asked under it.",
        )
    return NoValidMeasurement(
        f"the first answer cannot be measured: {record.outcome.replace('_', ' ')}",
        evidence=record.error,
        next_step="See docs/measuring.md, outcomes; a server that differs from the common form "
        "needs its --dialect.",
    )


def _unended(record: RequestRecord, root: str, asked: int) -> TrtNemotronError:
    """It answers, and had not ended when its time was over: at all, or only not yet."""
    pieces = sum(chunk.kind in _TOKEN_KINDS for chunk in record.chunks)
    found = f"{pieces:,} pieces of text where {asked:,} tokens were asked for; {record.error}"
    if any(chunk.kind == "done" for chunk in record.chunks):
        return NoValidMeasurement(
            f"{root} answers, but never ends its response",
            evidence=f"[DONE] came and the response stayed open; {record.error}",
            next_step="Look at what stands before the server: a proxy that loses the last chunk of "
            "a chunked response looks like this.",
        )
    if not pieces:
        return EndpointUnfit(
            f"{root} begins to answer, and then sends no token",
            evidence=f"status {record.status_code}, no text; {record.error}",
            next_step="Look at the server's log; where it is only slow, give a longer --timeout.",
        )
    if pieces > asked:
        return NoValidMeasurement(
            f"{root} answers without end",
            evidence=found,
            next_step="The server passes over max_tokens: look at its log and its settings, or "
            "try another --dialect.",
        )
    return NoValidMeasurement(
        f"{root} answers too slowly for the time that a request may take",
        evidence=found,
        next_step="Give a longer --timeout, or ask for fewer --output-tokens.",
    )
