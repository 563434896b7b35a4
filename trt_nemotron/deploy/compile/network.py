"""The whole network as one graph: embedding, layers, last norm, output layer of the last token."""

from typing import TYPE_CHECKING

from trt_nemotron import __version__
from trt_nemotron.deploy.compile.layers.attention import attention
from trt_nemotron.deploy.compile.layers.mamba import mamba
from trt_nemotron.deploy.compile.layers.mlp import mlp
from trt_nemotron.deploy.compile.layers.norm import rms_norm
from trt_nemotron.deploy.compile.layers.sequence import Sequence, sequence
from trt_nemotron.deploy.compile.spec import GraphSpec, inputs, outputs, weight_slots
from trt_nemotron.deploy.compile.writer import GraphWriter, external_tensor

if TYPE_CHECKING:
    from onnx import ModelProto

PRODUCER = "trt-nemotron"


def build_network(spec: GraphSpec, weights_file: str, offsets: dict[str, int]) -> "ModelProto":
    """The graph of `spec`; its weights lie in `weights_file`, at `offsets` by name."""
    graph = GraphWriter(spec.element)
    places = sequence(graph, spec.max_seq_len)
    value = graph.add("Gather", "embeddings", "input_ids", axis=0)
    for index, kind in enumerate(spec.shape.pattern):
        with graph.scope(f"layers.{index}.{_NAMES[kind]}"):
            normal = rms_norm(graph, value, f"layers.{index}.norm", spec.epsilon)
            mixed = _mixed(graph, spec, index, normal, places)
            value = graph.add("Add", value, mixed)
    with graph.scope("output"):
        graph.give(_logits(graph, spec, value), "logits")
    weights = [
        external_tensor(slot, weights_file, offsets[slot.name]) for slot in weight_slots(spec)
    ]
    return graph.model(inputs(spec), outputs(spec), weights, (PRODUCER, __version__))


_NAMES = {"M": "mamba", "-": "mlp", "*": "attention"}


def _mixed(graph: GraphWriter, spec: GraphSpec, index: int, value: str, places: Sequence) -> str:
    kind = spec.shape.pattern[index]
    if kind == "M":
        return mamba(graph, spec, index, value, places)
    if kind == "*":
        return attention(graph, spec, index, value, places)
    return mlp(graph, f"layers.{index}.mixer", value)


def _logits(graph: GraphWriter, spec: GraphSpec, value: str) -> str:
    last = graph.add("Gather", value, graph.integers(-1), axis=1)
    normal = rms_norm(graph, last, "norm_f", spec.epsilon)
    tied = spec.shape.is_embedding_tied
    head = graph.transpose("embeddings", 1, 0) if tied else "lm_head"
    return graph.wide(graph.add("MatMul", normal, head))
