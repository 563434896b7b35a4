"""What the build writes down: the checked graph, and how far the way to an engine has been gone."""

from typing import ClassVar, Literal

from trt_nemotron.document import Document, Value

CHECKPOINT_FOLDER = "checkpoint"
ENGINE_FOLDER = "engine"
GRAPH_NAME = "graph.json"
EXPECTED_NAME = "expected-config.json"
STATE_NAME = "state.json"

StepState = Literal["device step pending", "built"]


class Tensor(Value, frozen=True, kw_only=True):
    """An input or output of a graph; a dimension that is free has a name."""

    name: str
    type: str
    shape: tuple[int | str, ...]


class GraphReport(Value, frozen=True, kw_only=True):
    """What is in an exported graph, as `inside/inspect_graph.py` reads it.

    Attributes:
        fault: what ONNX's checker says against it; empty for nothing.
        operators: how many of each; those of Edge-LLM's plugins with their domain before them.
        linear_types: matrix multiplications by the stored type of their weights.
        weight_bytes: of all initializers, by type.
        weights_beyond_file, weights_not_finite: names of initializers that are cut off, or hold
            numbers that FP16 cannot.
    """

    fault: str
    opsets: dict[str, int]
    operators: dict[str, int]
    linear_types: dict[str, int]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    weight_bytes: dict[str, int]
    weights_beyond_file: tuple[str, ...]
    weights_not_finite: tuple[str, ...]
    embedding_bytes: int


class Difference(Value, frozen=True, kw_only=True):
    """How far the graph's logits lie from those of Transformers, in one way of executing it.

    Attributes:
        name: `prefill`, `batch` (all prompts as one ragged batch), `decode` (the last tokens one by
            one), all in FP32; `as_exported` in 16 bits.
        tokens: compared.
        other_argmax: tokens on which another one is the most likely.
    """

    name: Literal["prefill", "batch", "decode", "as_exported"]
    tokens: int
    max_abs_difference: float
    largest_logit: float
    other_argmax: int
    is_finite: bool


class ExportRecord(Document, frozen=True, kw_only=True):
    """An export that was checked; kept with the graph in the cache.

    Attributes:
        files: name to size in bytes of what was exported.
        peak_bytes: of memory, that the exporter was seen to take; 0 when that was not seen.
        seconds: that it took, likewise.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/edgellm-export/1"

    release: str
    report: GraphReport
    differences: tuple[Difference, ...]
    files: dict[str, int]
    peak_bytes: int
    seconds: float


class CheckedGraph(Document, frozen=True, kw_only=True):
    """What a bundle keeps of the export: what any machine would find.

    Attributes:
        environment: versions of the packages that exported and checked it.
        tolerance: the largest difference of a logit that was allowed in FP32.
        tokens: on which the graph was compared with Transformers.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/edgellm-graph/1"

    release: str
    environment: dict[str, str]
    report: GraphReport
    tolerance: float
    tokens: int


class BuildState(Document, frozen=True, kw_only=True):
    """How far a bundle is.

    Attributes:
        next_step: what is to be done where it is not complete.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/edgellm-state/1"

    state: StepState
    next_step: str = ""
