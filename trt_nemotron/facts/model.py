"""A model: what is known of it beside its weights: revisions, advice, limits."""

from typing import ClassVar, Literal

from trt_nemotron.document import Document, Value
from trt_nemotron.facts.figure import Figure, Status


class ModelVariant(Value, frozen=True, kw_only=True):
    """One published form of the weights.

    Attributes:
        revision: the hub's commit, where one is known.
        size_bytes: of the weights in the repository or file.
    """

    name: str
    repository: str
    format: Literal["safetensors", "gguf", "package"]
    revision: str = ""
    size_bytes: Figure | None = None
    source: str
    date: str


class SamplingAdvice(Value, frozen=True, kw_only=True):
    """Sampling that the model's maker recommends for one use."""

    use: Literal["reasoning", "tool-calling", "deterministic"]
    temperature: float
    top_p: float
    source: str


class KnownLimit(Value, frozen=True, kw_only=True):
    """Something the model does not do or does badly."""

    summary: str
    status: Status
    source: str


class ModelFacts(Document, frozen=True, kw_only=True):
    """Facts of a model.

    Attributes:
        reasoning_parser, tool_parser: names by which servers call the parsers of its output.
        is_thinking_default: whether it thinks when the request does not say.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/model/1"

    name: str
    title: str
    about: str
    licence: str
    parameters: Figure
    context_tokens: Figure
    reasoning_parser: str
    tool_parser: str
    is_thinking_default: bool
    variants: tuple[ModelVariant, ...]
    sampling: tuple[SamplingAdvice, ...] = ()
    limits: tuple[KnownLimit, ...] = ()
