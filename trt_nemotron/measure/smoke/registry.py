"""The checks by name, in the order in which they are asked.

A check is a function of an interview that returns `Passed`, raises `Wrong` or raises `Skipped`.
Errors of the wire (`EndpointUnfit`) are failures of the check that met them. What may end a server
is asked last.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.smoke.checks import (
    concurrency,
    refusal,
    server,
    stream,
    structure,
    text,
    thinking,
    tools,
)
from trt_nemotron.measure.smoke.interview import Interview, Passed
from trt_nemotron.openai.dialect import Feature


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        about: what is true of a server that passes.
        feature: what a server must be able to do for it; a dialect may say that it cannot.
    """

    name: str
    about: str
    run: Callable[[Interview], Passed]
    feature: Feature | None = None


_ALL = (
    Check("health", "GET /health answers 200", server.check_health),
    Check(
        "model_list",
        "GET /v1/models names the model",
        server.check_model_list,
        feature="model_list",
    ),
    Check("completion", "whole answers are right", text.check_completion),
    Check(
        "stream_framing",
        "a stream is framed as it should be, from its content type to [DONE]",
        stream.check_stream_framing,
    ),
    Check("stream_equals", "streamed and whole text are the same", stream.check_stream_equals),
    Check("usage", "token counts are there and add up", text.check_usage),
    Check("stop_reasons", "finish_reason says why an answer ended", text.check_stop_reasons),
    Check("thinking_on", "reasoning is apart from the answer", thinking.check_thinking_on),
    Check("thinking_off", "thinking can be switched off", thinking.check_thinking_off),
    Check("tool_call", "tools are called with typed arguments", tools.check_tool_call),
    Check("tool_result", "a tool's result is used in the answer", tools.check_tool_result),
    Check(
        "no_orphan_think",
        "no <think> or </think> in the answer",
        thinking.check_no_orphan_think,
    ),
    Check(
        "unicode_split", "characters of several bytes arrive whole", structure.check_unicode_split
    ),
    Check(
        "json_schema",
        "output follows a JSON schema",
        structure.check_json_schema,
        feature="json_schema",
    ),
    Check("parallel", "four at once are answered as one at a time", concurrency.check_parallel),
    Check(
        "cancelled_stream",
        "a cancelled stream frees its slot",
        concurrency.check_cancelled_stream,
    ),
    Check(
        "malformed_request",
        "malformed requests are refused with 4xx",
        refusal.check_malformed_request,
        feature="malformed_refusal",
    ),
    Check(
        "overlong_prompt",
        "a prompt longer than the context is refused with a clear message",
        refusal.check_overlong_prompt,
        feature="overlong_refusal",
    ),
)

CHECKS: Mapping[str, Check] = MappingProxyType({check.name: check for check in _ALL})


def select_checks(names: Iterable[str]) -> tuple[Check, ...]:
    """The checks of these names, in the order of the registry; all when none is named.

    Raises:
        InvalidInput: a name that no check has, with the nearest one.
    """
    wanted = set(names)
    for name in sorted(wanted - CHECKS.keys()):
        nearest = difflib.get_close_matches(name, CHECKS, n=1)
        hint = f"Did you mean `{nearest[0]}`?" if nearest else "List them with: smoke --list"
        raise InvalidInput(f"there is no check {name!r}", next_step=hint)
    return tuple(check for check in CHECKS.values() if not wanted or check.name in wanted)
