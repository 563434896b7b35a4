"""A graph executed with ONNX Runtime on the CPU: what the engines' source computes, in numbers.

Two rewritings help where the CPU differs from a GPU, and only there:

- `rounding_to_bf16`: ONNX Runtime has no bfloat16 products on the CPU. Every operator computes in
  f32 and its result is rounded to bfloat16, as a kernel with f32 sums rounds what it stores.
- `summing_in_double`: products of f32 matrices are summed in f64. What is left is the graph's own
  rounding, without that of one order of summation among many.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

State = dict[str, np.ndarray]


class Executed:
    """A graph of ours, ready to be called."""

    def __init__(self, model: Any) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3
        self._session = ort.InferenceSession(model.SerializeToString(), options)
        self._outputs = [output.name for output in self._session.get_outputs()]

    def empty(self, batch: int = 1) -> State:
        """States of sequences that have read nothing."""
        types = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
        return {
            port.name: np.zeros(
                [batch if isinstance(size, str) else size for size in port.shape], types[port.type]
            )
            for port in self._session.get_inputs()
            if port.name.startswith("past_")
        }

    def call(
        self, ids: np.ndarray, positions: Sequence[int], state: State
    ) -> tuple[np.ndarray, State]:
        """Logits after the last token of every sequence, and what they carry on."""
        given = {"input_ids": ids, "position": np.array(positions, dtype=np.int64), **state}
        found = dict(zip(self._outputs, self._session.run(None, given), strict=True))
        logits = found.pop("logits")[:, 0]
        return logits, {"past_" + name.removeprefix("present_"): found[name] for name in found}

    def read(self, ids: Sequence[int], chunk: int) -> tuple[np.ndarray, State]:
        """A whole prompt of one sequence, `chunk` tokens a call."""
        state, logits = self.empty(), np.zeros(0)
        for start in range(0, len(ids), chunk):
            part = np.array([ids[start : start + chunk]], dtype=np.int64)
            logits, state = self.call(part, [start], state)
        return logits[0], state

    def follow(
        self, prompt: Sequence[int], answer: Sequence[int], chunk: int
    ) -> Iterator[np.ndarray]:
        """Logits after the prompt and after every token of an answer that is given."""
        logits, state = self.read(prompt, chunk)
        yield logits
        for place, token in enumerate(answer, len(prompt)):
            found, state = self.call(np.array([[token]]), [place], state)
            yield found[0]


def load(path: Path) -> Any:
    """The graph with its weights in memory."""
    import onnx

    return onnx.load(str(path))


def summing_in_double(model: Any) -> Any:
    """Every MatMul between casts to f64 and back."""
    import onnx

    nodes = []
    for node in model.graph.node:
        if node.op_type != "MatMul":
            nodes.append(node)
            continue
        wide = [f"{node.name}.wide{place}" for place in range(2)]
        for name, given in zip(wide, node.input, strict=True):
            nodes.append(onnx.helper.make_node("Cast", [given], [name], to=11))
        sums = f"{node.name}.sums"
        nodes.append(onnx.helper.make_node("MatMul", wide, [sums], name=node.name))
        nodes.append(onnx.helper.make_node("Cast", [sums], [node.output[0]], to=1))
    return _with_nodes(model, nodes)


def rounding_to_bf16(model: Any) -> Any:
    """All values in f32; those that the graph has in bfloat16 are rounded to it."""
    import onnx

    types = _types(model)
    nodes = [part for node in model.graph.node for part in _rounded(node, types)]
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.elem_type == 16:
            value.type.tensor_type.elem_type = 1
    for tensor in model.graph.initializer:
        if tensor.data_type == 16:
            numbers = onnx.numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(numbers, tensor.name))
    return _with_nodes(model, nodes)


def _rounded(node: Any, types: dict[str, int]) -> Iterator[Any]:
    """The node, which computes in f32, and the rounding of what the graph has in bfloat16."""
    import onnx

    for attribute in node.attribute:
        if node.op_type == "Cast" and attribute.i == 16:
            attribute.i = 1
    rounded = [name for name in node.output if types[name] == 16]
    for place, name in enumerate(node.output):
        if name in rounded:
            node.output[place] = f"{name}.exact"
    yield node
    for name in rounded:
        yield onnx.helper.make_node("Cast", [f"{name}.exact"], [f"{name}.half"], to=16)
        yield onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=1)


def _types(model: Any) -> dict[str, int]:
    import onnx

    inferred = onnx.shape_inference.infer_shapes(model).graph
    values = (*inferred.value_info, *inferred.input, *inferred.output)
    return {value.name: value.type.tensor_type.elem_type for value in values}


def _with_nodes(model: Any, nodes: list[Any]) -> Any:
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model
