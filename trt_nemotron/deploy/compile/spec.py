"""What a graph is of: a network's shape, and the sizes and the precision it is compiled for.

From it follows everything that a graph must have: its inputs, its outputs and its weights, each
with name, type and dimensions. The builder builds by it, the checker checks by it, and neither
asks the other.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import msgspec

from trt_nemotron.deploy.checkpoint.architecture import HUB_OUTPUT, hub_tensors
from trt_nemotron.deploy.compile.elements import ELEMENT_OF, ElementType, Precision
from trt_nemotron.deploy.shape import NemotronHShape, Positive
from trt_nemotron.document import Value
from trt_nemotron.errors import InvalidInput

Dimension = int | str
"""A size, or the name of one that is known at run time only."""

BATCH = "batch"
TOKENS = "tokens"
SCAN_WEIGHTS = ("A_log", "D", "dt_bias")
"""Weights of the scan, which is computed in f32 whatever the precision."""


class GraphSpec(Value, frozen=True, kw_only=True):
    """A graph to be built.

    Attributes:
        epsilon: of every RMS norm.
        max_seq_len: tokens that a sequence's KV cache holds; the cache has this size always.
        max_batch_size: sequences in one call; with 1 the batch dimension is fixed.
        chunk: most tokens of a sequence in one call. A longer prompt takes several: the scan holds
            a square matrix of this side for every Mamba head.
    """

    shape: NemotronHShape
    epsilon: Annotated[float, msgspec.Meta(gt=0)]
    precision: Precision
    max_seq_len: Positive
    max_batch_size: Positive = 1
    chunk: Positive = 256

    @property
    def element(self) -> ElementType:
        """Type of weights, activations, KV and convolution state."""
        return ELEMENT_OF[self.precision]


@dataclass(frozen=True, slots=True)
class Port:
    """An input or an output of a graph."""

    name: str
    element: ElementType
    dimensions: tuple[Dimension, ...]

    def elements(self, batch: int) -> int:
        """Elements for `batch` sequences; the port must not depend on the number of tokens."""
        return math.prod(batch if size == BATCH else int(size) for size in self.dimensions)


@dataclass(frozen=True, slots=True)
class WeightSlot:
    """A weight of a graph and the tensor of the checkpoint that it is made of.

    Attributes:
        name: in the graph.
        source: the tensor's published name, without prefix.
        dimensions: in the graph: those of the source, swapped where `is_transposed`.
        is_transposed: matrices of linear layers, which a checkpoint holds as (out, in).
        is_decay: `A_log`, of which the graph needs -exp.
    """

    name: str
    source: str
    dimensions: tuple[int, ...]
    element: ElementType
    is_transposed: bool = False
    is_decay: bool = False

    @property
    def size_bytes(self) -> int:
        """Bytes in the file."""
        return math.prod(self.dimensions) * self.element.bytes


def check_spec(spec: GraphSpec) -> None:
    """Refuse sizes that contradict each other.

    Raises:
        InvalidInput: naming both.
    """
    if spec.chunk > spec.max_seq_len:
        raise InvalidInput(
            f"a chunk of {spec.chunk} tokens does not fit into a sequence of {spec.max_seq_len}",
            next_step=f"Give --chunk {spec.max_seq_len} or less.",
        )
    if spec.max_seq_len > spec.shape.max_position_embeddings:
        raise InvalidInput(
            f"the network was made for at most {spec.shape.max_position_embeddings:,} tokens",
            evidence=f"--max-seq-len {spec.max_seq_len}",
            next_step="Give a smaller --max-seq-len.",
        )
    if spec.shape.conv_kernel < 2:
        raise InvalidInput(
            "a convolution of width 1 has no state, and no graph is built for it",
            next_step="Use a NemotronH checkpoint as published: its convolutions are of width 4.",
        )


def states(spec: GraphSpec) -> tuple[Port, ...]:
    """What a sequence carries from call to call, in the order of the layers, without prefix.

    Batch comes first everywhere, so that a slot is a contiguous part of each state, and a prompt
    can be read into one slot of a larger batch.
    """
    return tuple(port for index, kind in enumerate(spec.shape.pattern) for port in
                 _layer_states(spec, index, kind))  # fmt: skip


def inputs(spec: GraphSpec) -> tuple[Port, ...]:
    """Every input of the graph: `position` is the number of tokens a sequence has read before."""
    batch = _batch(spec)
    return (
        Port("input_ids", ElementType.I64, (batch, TOKENS)),
        Port("position", ElementType.I64, (batch,)),
        *_prefixed("past_", states(spec)),
    )


def outputs(spec: GraphSpec) -> tuple[Port, ...]:
    """Every output of the graph: `logits` are of the last token given."""
    logits = Port("logits", ElementType.F32, (_batch(spec), 1, spec.shape.vocab_size))
    return (logits, *_prefixed("present_", states(spec)))


def weight_slots(spec: GraphSpec) -> tuple[WeightSlot, ...]:
    """Every weight of the graph, in the order in which the network uses them."""
    tensors = hub_tensors(spec.shape)
    first, last = "embeddings.weight", ("norm_f.weight", HUB_OUTPUT)
    layers = [name for name in tensors if name not in {first, *last}]
    order = [first, *layers, *(name for name in last if name in tensors)]
    return tuple(_slot(name, tensors[name], spec.element) for name in order)


def _slot(source: str, dimensions: tuple[int, ...], element: ElementType) -> WeightSlot:
    is_scan = source.rpartition(".")[2] in SCAN_WEIGHTS
    is_linear = source.endswith("_proj.weight") or source == HUB_OUTPUT
    return WeightSlot(
        name=source.removesuffix(".weight").replace("A_log", "decay"),
        source=source,
        dimensions=dimensions[::-1] if is_linear else dimensions,
        element=ElementType.F32 if is_scan else element,
        is_transposed=is_linear,
        is_decay=source.endswith("A_log"),
    )


def _batch(spec: GraphSpec) -> Dimension:
    return 1 if spec.max_batch_size == 1 else BATCH


def _layer_states(spec: GraphSpec, index: int, kind: str) -> Iterator[Port]:
    shape, batch = spec.shape, _batch(spec)
    if kind == "M":
        conv = (batch, shape.conv_channels, shape.conv_kernel - 1)
        ssm = (batch, shape.mamba_heads, shape.mamba_head_dim, shape.ssm_state_size)
        yield Port(f"conv_{index}", spec.element, conv)
        yield Port(f"ssm_{index}", ElementType.F32, ssm)
    elif kind == "*":
        cache = (batch, shape.kv_heads, spec.max_seq_len, shape.head_dim)
        yield Port(f"key_{index}", spec.element, cache)
        yield Port(f"value_{index}", spec.element, cache)


def _prefixed(prefix: str, ports: tuple[Port, ...]) -> tuple[Port, ...]:
    return tuple(Port(prefix + port.name, port.element, port.dimensions) for port in ports)
