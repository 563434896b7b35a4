"""An exported graph, executed on the processor by ONNX's reference evaluator.

Weights stay in their file, mapped into memory. In the wide mode every 16-bit activation and state
is computed in FP32 instead: the same graph without its rounding, so that a wrong graph cannot hide
behind it. In the other mode it is computed as exported.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from operators import DOMAIN, OPERATORS, PAGE_TOKENS

Array = Any
_HALF, _FLOAT = TensorProto.FLOAT16, TensorProto.FLOAT
_UNKNOWN_ATTRIBUTES = ("plugin_version", "_outputs")
_LAYER_NORM = "_model.backbone.layers.{}.norm.weight"
_LAST_NORM = "_model.backbone.norm_f.weight"
_NORM_OPERATORS = ("Cast", "Mul")


def gemm(*inputs: Array, alpha: float = 1.0, beta: float = 1.0, **flags: int) -> tuple[Array]:
    """Accumulates in FP32, as tensor cores do; NumPy would round every partial sum."""
    left, right = inputs[0].astype(np.float32), np.asarray(inputs[1], np.float32)
    left = left.T if flags.get("transA") else left
    y = alpha * (left @ (right.T if flags.get("transB") else right))
    if len(inputs) > 2 and inputs[2] is not None:
        y = y + beta * inputs[2].astype(np.float32)
    return (y.astype(inputs[0].dtype),)


def as_operator(name: str, domain: str, function: Callable[..., tuple[Array, ...]]) -> Any:
    """A function as the evaluator takes operators: a class called like the operator."""

    def run(_self: Any, *inputs: Array, **attributes: Any) -> tuple[Array, ...]:
        given = {key: value for key, value in attributes.items() if value is not None}
        return function(*inputs, **given)

    return type(name, (OpRun,), {"op_domain": domain, "_run": run})


_NEW_OPERATORS = [
    as_operator("Gemm", "", gemm),
    *(as_operator(name, DOMAIN, function) for name, function in OPERATORS.items()),
]


class Graph:
    """One exported graph, or its first layers, with weights and embeddings."""

    def __init__(self, folder: Path, *, is_wide: bool, layers: int | None = None) -> None:
        self._float = np.float32 if is_wide else np.float16
        model = onnx.load(str(folder / "model.onnx"), load_external_data=False)
        if layers is not None:
            shorten(model.graph, layers)
        kept = _gemm_weights(model.graph) if is_wide else set()
        self._weights = _take_weights(folder, model.graph)
        if is_wide:
            _widen(model.graph)
            self._weights = {
                name: _wide(array) if name not in kept else array
                for name, array in self._weights.items()
            }
        for node in model.graph.node:
            for attribute in list(node.attribute):
                if attribute.name in _UNKNOWN_ATTRIBUTES:
                    node.attribute.remove(attribute)
        self._inputs = {it.name: it.type.tensor_type for it in model.graph.input}
        self._outputs = [it.name for it in model.graph.output]
        self._evaluator = ReferenceEvaluator(model, new_ops=_NEW_OPERATORS)
        self._embeddings = read_embeddings(folder)

    def start(self, sequences: int, capacity: int) -> dict[str, Array]:
        """Empty states and pages for so many sequences of up to `capacity` tokens."""
        pages = -(-capacity // PAGE_TOKENS)
        sizes = {"num_pages": sequences * pages, "resident_rows": sequences}
        return {
            name: np.zeros(self._shape(name, sizes), self._type(name))
            for name in self._inputs
            if name.startswith(("past_key_values_", "conv_state_", "recurrent_state_"))
        }

    def run(
        self, states: dict[str, Array], tokens: list[Array], past: list[int]
    ) -> tuple[Array, dict[str, Array]]:
        """Logits of every token of `tokens`, one array a sequence, and the states after them."""
        lengths = np.array([len(it) for it in tokens], np.int32)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        before = np.array(past, np.int32)
        count, total = len(tokens), int(offsets[-1])
        pages = next(it.shape[1] for name, it in states.items() if name.startswith("past_"))
        keys = np.arange(pages, dtype=np.int32).reshape(count, 1, -1)
        table = np.concatenate([keys, keys + np.int32(pages)], axis=1)  # values follow all keys
        places = [np.arange(start, start + n) for start, n in zip(past, lengths, strict=True)]
        feeds = {
            **states,
            **self._weights,
            "inputs_embeds": self._embeddings[np.concatenate(tokens)].astype(self._float),
            "positions": np.concatenate(places).astype(np.int32),
            "query_start_offsets": offsets,
            "query_lengths": lengths,
            "past_lengths": before,
            "attention_sequence_lengths": before + lengths,
            "state_indices": np.arange(count, dtype=np.int32),
            "execution_phase_marker": np.zeros(2, np.int32),
            "context_sequence_count_carrier": np.zeros(count, np.int32),
            "kv_page_table": table,
            "logits_indices": np.arange(total, dtype=np.int64),
        }
        for name in self._inputs.keys() - feeds.keys():
            feeds[name] = np.zeros(self._shape(name, {"physical_tokens": total}), self._type(name))
        found = dict(zip(self._outputs, self._evaluator.run(None, feeds), strict=True))
        logits = found.pop("logits")
        return logits, {_input_name(name): array for name, array in found.items()}

    def _shape(self, name: str, sizes: dict[str, int]) -> list[int]:
        dimensions = self._inputs[name].shape.dim
        return [sizes[it.dim_param] if it.dim_param else it.dim_value for it in dimensions]

    def _type(self, name: str) -> Any:
        return helper.tensor_dtype_to_np_dtype(self._inputs[name].elem_type)


def shorten(graph: Any, layers: int) -> None:
    """Let the output layer read what enters layer `layers`; remove what nothing reads any more.

    A graph that has no layer of this number is left as it is.
    """
    makers = {name: node for node in graph.node for name in node.output}
    norm = _LAYER_NORM.format(layers)
    if not any(norm in node.input for node in graph.node):
        return
    cut, last = (_normalized(graph.node, makers, name) for name in (norm, _LAST_NORM))
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == last:
                node.input[place] = cut
    _prune(graph, makers)


def _normalized(nodes: Iterable[Any], makers: dict[str, Any], weight: str) -> str:
    """What is added up before a norm: from where its weight is multiplied, up its casts."""
    (node,) = (it for it in nodes if weight in it.input)
    (name,) = (it for it in node.input if it != weight)
    while name in makers and makers[name].op_type in _NORM_OPERATORS:
        name = makers[name].input[0]
    return str(name)


def _prune(graph: Any, makers: dict[str, Any]) -> None:
    """Keep what the logits follow from, and the states that come with it."""
    read: set[str] = set()
    kept: set[str] = set()
    wanted = ["logits"]
    while wanted:
        name = wanted.pop()
        if name not in read:
            read.add(name)
            kept.update(makers[name].output if name in makers else ())
            wanted.extend(makers[name].input if name in makers else ())
    _retain(graph.node, lambda it: any(name in kept for name in it.output))
    _retain(graph.output, lambda it: it.name in kept)
    for part in (graph.input, graph.initializer):
        _retain(part, lambda it: it.name in read)


def _retain(part: Any, is_kept: Any) -> None:
    left = [it for it in part if is_kept(it)]
    del part[:]
    part.extend(left)


def read_embeddings(folder: Path) -> Array:
    """The table that is kept beside the graph."""
    from safetensors.numpy import load_file

    tables = load_file(folder / "embedding.safetensors")
    return tables.get("embedding", next(iter(tables.values())))


def map_weight(folder: Path, tensor: Any) -> Array:
    """An initializer, mapped from its file where it is not in the graph itself."""
    if tensor.data_location != TensorProto.EXTERNAL:
        return numpy_helper.to_array(tensor)
    at = {entry.key: entry.value for entry in tensor.external_data}
    return np.memmap(
        folder / at["location"],
        dtype=helper.tensor_dtype_to_np_dtype(tensor.data_type),
        mode="r",
        offset=int(at.get("offset", 0)),
        shape=tuple(tensor.dims) or (1,),
    ).reshape(tuple(tensor.dims))


def read_raw(folder: Path, tensor: Any) -> Array:
    """The bytes of an initializer, mapped from its file where it is not in the graph itself."""
    if tensor.data_location != TensorProto.EXTERNAL:
        return np.frombuffer(tensor.raw_data, np.uint8)
    at = {entry.key: entry.value for entry in tensor.external_data}
    size = (int(at["length"]),)
    return np.memmap(folder / at["location"], np.uint8, "r", int(at.get("offset", 0)), size)


def _take_weights(folder: Path, graph: Any) -> dict[str, Array]:
    weights = {tensor.name: map_weight(folder, tensor) for tensor in graph.initializer}
    del graph.initializer[:]
    return weights


def _gemm_weights(graph: Any) -> set[str]:
    """Initializers that nothing but the second place of a Gemm reads; these are widened there."""
    second = {node.input[1] for node in graph.node if node.op_type == "Gemm"}
    others = {
        name
        for node in graph.node
        for place, name in enumerate(node.input)
        if not (node.op_type == "Gemm" and place == 1)
    }
    return second - others


def _widen(graph: Any) -> None:
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type == _HALF:
            value.type.tensor_type.elem_type = _FLOAT
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == _HALF:
                attribute.i = _FLOAT
            if attribute.HasField("t") and attribute.t.data_type == _HALF:
                wide = numpy_helper.to_array(attribute.t).astype(np.float32)
                attribute.t.CopyFrom(numpy_helper.from_array(wide))


def _wide(array: Array) -> Array:
    return np.asarray(array, np.float32) if array.dtype == np.float16 else array


def _input_name(output: str) -> str:
    """`present_conv_state_0` comes in again as `conv_state_0`."""
    rest = output.removeprefix("present_")
    return f"past_{rest}" if rest.startswith("key_values_") else rest
