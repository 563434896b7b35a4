"""A model: what is known of it beside its weights: revisions, advice, limits."""

from typing import ClassVar, Literal

import msgspec

from trt_nemotron.document import Document, Value
from trt_nemotron.facts.figure import Figure, Status


class StoredWeights(Value, frozen=True, kw_only=True):
    """How a variant stores its linear layers; everything else is BF16.

    Attributes:
        linear: storage of the linear layers' weights.
        kept_layers: layers whose linear weights are BF16 all the same.
        kv_cache: the type of KV cache that the checkpoint brings scales for; empty for none.
    """

    linear: Literal["BF16", "F8_E4M3", "NVFP4"]
    kept_layers: tuple[int, ...] = ()
    kv_cache: Literal["", "fp8"] = ""
    status: Status
    source: str


class ModelVariant(Value, frozen=True, kw_only=True):
    """One published form of the weights.

    Attributes:
        revision: the hub's commit, where one is known.
        size_bytes: of the weights in the repository or file.
        stored: how the weights are stored, where it is known well enough to plan without them.
    """

    name: str
    repository: str
    format: Literal["safetensors", "gguf", "package"]
    revision: str = ""
    size_bytes: Figure | None = None
    stored: StoredWeights | None = None
    source: str
    date: str


class PublishedMeasurement(Value, frozen=True, kw_only=True):
    """A speed of decoding that somebody published, to hold a roofline against.

    Attributes:
        target: the board, where it is one of our targets.
        bandwidth_gb_s: of a board that is none.
        weights: form of the weights: `BF16`, `FP8`, `NVFP4`, `Q4_K_M`.
        read_bytes: weights that a step reads, where no variant says how they are stored.
        context_tokens: the least that each sequence attended to.
        tokens_s: aggregate rate; or
        step_ms: time of a step.
    """

    device: str
    engine: str
    weights: str
    target: str = ""
    bandwidth_gb_s: Figure | None = None
    read_bytes: int = 0
    concurrency: int
    context_tokens: int
    tokens_s: float | None = None
    step_ms: float | None = None
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
        shape: dimensions of the network, by the names that planning has for them.
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
    measurements: tuple[PublishedMeasurement, ...] = ()
    shape: dict[str, int | str | bool] = msgspec.field(default_factory=dict)
