"""Dialects: how a server differs from the common form of the OpenAI protocol.

The common form is what `trtllm-serve` and llama.cpp's server speak; a client written for it runs
unchanged against both. What another server lacks stands here as data, with the reason, so that
nothing else in the package asks which server it talks to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from trt_nemotron.errors import InvalidInput

Feature = Literal[
    "done_marker",
    "model_list",
    "json_schema",
    "stop_text_removed",
    "streamed_tool_arguments",
    "overlong_refusal",
    "malformed_refusal",
]
UsagePlace = Literal["own_chunk", "finish_chunk", "none"]
FixedLength = Literal["ignore_eos", "generation_config", "none"]

_NOTHING: Mapping[Feature, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one server speaks.

    Attributes:
        usage_place: where a stream tells its token counts: in a last event with `choices: []`, or
            beside the finish reason.
        fixed_length: how an answer of exactly `max_tokens` tokens is asked for; with `none` it
            cannot be, and an answer may end before.
        strips_stream_whitespace: whether streamed text is, byte for byte, the text of the answer
            that is not streamed; where not, the two are compared without outer white space.
        slots: requests it serves at the same time; nothing where that is configured or asked for.
        missing: feature -> why it is not there, one sentence with the version that was looked at.
    """

    name: str
    about: str
    usage_place: UsagePlace = "own_chunk"
    fixed_length: FixedLength = "ignore_eos"
    strips_stream_whitespace: bool = True
    slots: int | None = None
    missing: Mapping[Feature, str] = field(default_factory=lambda: _NOTHING)

    @property
    def sends_done(self) -> bool:
        """Whether a stream ends in `data: [DONE]`."""
        return "done_marker" not in self.missing


OPENAI = Dialect(
    name="openai",
    about="the common form: trtllm-serve, llama.cpp's server, vLLM",
)

TRANSFORMERS_SERVE = Dialect(
    name="transformers-serve",
    about="`transformers serve`, as of Transformers 5.23.0",
    usage_place="finish_chunk",
    fixed_length="generation_config",
    strips_stream_whitespace=False,
    slots=1,
    missing=MappingProxyType(
        {
            "done_marker": "transformers serve 5.23.0 closes a stream without `data: [DONE]`",
            "model_list": "transformers serve 5.23.0 lists cached Hub models only, "
            "never the local folder it serves",
            "json_schema": "transformers serve 5.23.0 ignores `response_format`",
            "stop_text_removed": "transformers serve 5.23.0 leaves the stop text in the answer",
            "streamed_tool_arguments": "transformers serve 5.23.0 sends a tool call whole",
            "overlong_refusal": "transformers serve 5.23.0 has no context limit: it computes "
            "a prompt of any length",
            "malformed_refusal": "transformers serve 5.23.0 answers 500 where `messages` is "
            "missing or a parameter has the wrong type",
        }
    ),
)

EDGE_LLM = Dialect(
    name="edgellm",
    about="TensorRT Edge-LLM's server, as of 0.11.0: an unknown field is answered with 400, "
    "`enable_thinking` is off unless a request says otherwise, and there is no /metrics",
    fixed_length="none",
)
"""`min_tokens` and `ignore_eos` are unknown to it, and its `api/protocol.py` forbids extra fields.
Usage comes in an event of its own and `[DONE]` ends a stream, as in the common form."""

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {dialect.name: dialect for dialect in (OPENAI, TRANSFORMERS_SERVE, EDGE_LLM)}
)

_EDGE_LLM_ROUTES = frozenset({"/health/ready", "/v1/messages", "/v1/voices"})
_TRANSFORMERS_ROUTES = frozenset({"/load_model", "/reset", "/v1/chat/completions"})


def find_dialect(name: str) -> Dialect:
    """The dialect called `name`.

    Raises:
        InvalidInput: there is none of that name.
    """
    dialect = DIALECTS.get(name)
    if dialect is None:
        raise InvalidInput(
            f"there is no dialect {name!r}",
            next_step=f"Choose one of: auto, {', '.join(DIALECTS)}.",
        )
    return dialect


def recognize_dialect(description: object) -> Dialect:
    """The dialect of the server that describes itself so at `GET /openapi.json`.

    `transformers serve` is a FastAPI application whose description lists `/load_model` and
    `/reset`, two routes of its own (transformers 5.23.0, `cli/serving/server.py`). So is Edge-LLM's
    server, with `/v1/voices` and Anthropic's `/v1/messages` (0.11.0, `api/routes.py`). Anything
    else, llama.cpp's 404 for that path included, is the common form.
    """
    paths = description.get("paths") if isinstance(description, dict) else None
    if isinstance(paths, dict) and paths.keys() >= _TRANSFORMERS_ROUTES:
        return TRANSFORMERS_SERVE
    if isinstance(paths, dict) and paths.keys() >= _EDGE_LLM_ROUTES:
        return EDGE_LLM
    return OPENAI
