"""Read an exported graph, check it with ONNX's own checker, and write down what is in it.

watched.py inspect_graph:main GRAPH_FOLDER RESULT.json
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from execution import map_weight
from onnx import TensorProto, helper


def main() -> int:
    """Write the description; nothing is judged here."""
    folder, result = map(Path, sys.argv[1:])
    Path(result).write_text(json.dumps(describe(folder)), encoding="utf-8")
    return 0


def describe(folder: Path) -> dict[str, Any]:
    """Everything that is judged: operators, inputs, outputs, weights; and the checker's opinion."""
    path = folder / "model.onnx"
    model = onnx.load(str(path), load_external_data=False)
    try:
        onnx.checker.check_model(str(path))
        fault = ""
    except (onnx.checker.ValidationError, ValueError) as error:
        fault = str(error)
    weights = [_weight(folder, tensor) for tensor in model.graph.initializer]
    return {
        "fault": fault,
        "opsets": {it.domain: it.version for it in model.opset_import},
        "operators": _operators(model.graph),
        "linear_types": _linear_types(model.graph),
        "inputs": [_value(it) for it in model.graph.input],
        "outputs": [_value(it) for it in model.graph.output],
        "weight_bytes": _bytes_by_type(weights),
        "weights_beyond_file": [it["name"] for it in weights if it["is_beyond_file"]],
        "weights_not_finite": [it["name"] for it in weights if not it["is_finite"]],
        "embedding_bytes": (folder / "embedding.safetensors").stat().st_size,
    }


def _operators(graph: Any) -> dict[str, int]:
    return dict(
        Counter(f"{it.domain}.{it.op_type}" if it.domain else it.op_type for it in graph.node)
    )


def _linear_types(graph: Any) -> dict[str, int]:
    """Matrix multiplications by the stored type of their weights, seen through dequantization."""
    types = {it.name: it.data_type for it in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    found: Counter[str] = Counter()
    for node in graph.node:
        if node.op_type in {"Gemm", "MatMul"}:
            found[_stored_type(node.input[1], types, makers)] += 1
        elif node.domain and "gemm" in node.op_type.lower():
            found[node.op_type] += 1
    return dict(found)


def _stored_type(name: str, types: dict[str, int], makers: dict[str, Any]) -> str:
    while name not in types and name in makers and makers[name].input:
        name = makers[name].input[0]
    return TensorProto.DataType.Name(types[name]) if name in types else "ACTIVATION"


def _value(value: Any) -> dict[str, Any]:
    kind = value.type.tensor_type
    return {
        "name": value.name,
        "type": TensorProto.DataType.Name(kind.elem_type),
        "shape": [it.dim_param or it.dim_value for it in kind.shape.dim],
    }


def _weight(folder: Path, tensor: Any) -> dict[str, Any]:
    at = {entry.key: entry.value for entry in tensor.external_data}
    size = int(at["length"]) if "length" in at else len(tensor.raw_data)
    end = int(at.get("offset", 0)) + size
    is_beyond = bool(at) and end > _file_size(folder / at["location"])
    is_number = tensor.data_type in {TensorProto.FLOAT, TensorProto.FLOAT16}
    is_finite = is_beyond or not is_number or bool(np.isfinite(map_weight(folder, tensor)).all())
    expected = (
        int(np.prod(tensor.dims)) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    )
    return {
        "name": tensor.name,
        "type": TensorProto.DataType.Name(tensor.data_type),
        "size_bytes": size or expected,
        "is_beyond_file": is_beyond,
        "is_finite": is_finite,
    }


def _file_size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _bytes_by_type(weights: list[dict[str, Any]]) -> dict[str, int]:
    sizes: Counter[str] = Counter()
    for weight in weights:
        sizes[weight["type"]] += weight["size_bytes"]
    return dict(sizes)
