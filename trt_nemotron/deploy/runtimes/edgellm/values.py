"""What the build writes down: the checked graph, and how far the way to an engine has been gone."""

from typing import ClassVar, Literal

from trt_nemotron.document import Document, Value

CHECKPOINT_FOLDER = "checkpoint"
ENGINE_FOLDER = "engine"
GRAPH_NAME = "graph.json"
EXPECTED_NAME = "expected-config.json"
STATE_NAME = "state.json"
QUANTIZATION_RECORD = "quantization.json"

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


class WeightReport(Value, frozen=True, kw_only=True):
    """Whether a graph holds the numbers of its checkpoint, as `inside/compare_weights.py` reads it.

    Attributes:
        compared: tensors that were compared, every number of each.
        other: names of those that have other numbers in the graph.
        missing: names of those that the graph does not hold.
    """

    compared: int
    other: tuple[str, ...]
    missing: tuple[str, ...]


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


class Calibration(Value, frozen=True, kw_only=True):
    """The data that a checkpoint was quantized with.

    Attributes:
        name: of the file.
        sha256: of its content.
        samples: documents of it that were read.
        max_tokens: of a document; what is longer is cut.
    """

    name: str
    sha256: str
    samples: int
    max_tokens: int


class Quantization(Document, frozen=True, kw_only=True):
    """How a checkpoint was quantized; lies in its folder as `quantization.json`.

    Attributes:
        precision: `fp8` or `nvfp4`.
        source: name of the checkpoint that it was made of.
        source_sha256: of all its files.
        program: what quantized it.
        packages: versions of what decides the numbers.
        device: that calibrated: `cuda` or `cpu`.
        layers: linear layers that are quantized.
        files: name to SHA-256 of every file beside this one.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/quantization/1"

    precision: Literal["fp8", "nvfp4"]
    source: str
    source_sha256: str
    program: str
    packages: dict[str, str]
    device: Literal["cuda", "cpu"]
    calibration: Calibration
    layers: int
    files: dict[str, str]


class ExportRecord(Document, frozen=True, kw_only=True):
    """An export that was checked; kept with the graph in the cache.

    Attributes:
        files: name to size in bytes of what was exported.
        peak_bytes: of memory, that the exporter was seen to take; 0 when that was not seen.
        seconds: that it took, likewise.
        layers: of the graph, from the first on, that were executed for `differences`.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/edgellm-export/1"

    release: str
    report: GraphReport
    weights: WeightReport
    differences: tuple[Difference, ...]
    files: dict[str, int]
    peak_bytes: int
    seconds: float
    layers: int = 0


class CheckedGraph(Document, frozen=True, kw_only=True):
    """What a bundle keeps of the export: what any machine would find.

    Attributes:
        environment: versions of the packages that exported and checked it.
        tensors: of the checkpoint, whose numbers the graph holds one by one.
        tolerance: the largest difference of a logit that was allowed in FP32.
        tokens: on which the graph was compared with Transformers; 0 for none.
        layers: that were executed for it, from the first on, before the output layer.
        calibration: of a checkpoint that this tool had quantized.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/edgellm-graph/1"

    release: str
    environment: dict[str, str]
    report: GraphReport
    tolerance: float
    tokens: int
    layers: int = 0
    tensors: int = 0
    calibration: Calibration | None = None


class BuildState(Document, frozen=True, kw_only=True):
    """How far a bundle is.

    Attributes:
        next_step: what is to be done where it is not complete.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/edgellm-state/1"

    state: StepState
    next_step: str = ""
