"""Whether a graph file is what the architecture demands, read back from the disk.

The file is taken as a stranger's: nothing of the builder is used but the spec, and the sizes of
states are held against the memory ledger's own arithmetic, to the byte.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trt_nemotron.deploy.checkpoint.ggml_types import GGML_TYPES_BY_NAME
from trt_nemotron.deploy.compile.elements import element_of_code
from trt_nemotron.deploy.compile.spec import (
    Dimension,
    GraphSpec,
    Port,
    inputs,
    outputs,
    weight_slots,
)
from trt_nemotron.deploy.memory import conv_state_line, kv_cache_line, ssm_state_line
from trt_nemotron.errors import CheckFailed

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

OPERATORS = frozenset(
    {
        "Add", "Cast", "Concat", "Constant", "Conv", "CumSum", "Div", "Exp", "Expand", "Gather",
        "GreaterOrEqual", "Identity", "MatMul", "Mul", "Range", "ReduceMean", "Relu", "Reshape",
        "ScatterElements", "Shape", "Sigmoid", "Slice", "Softmax", "Softplus", "Split", "Sqrt",
        "Sub", "Transpose", "Unsqueeze", "Where",
    }
)  # fmt: skip
"""All that a graph may consist of: standard operators, no plugin and no loop."""


@dataclass(frozen=True, slots=True)
class CheckedGraph:
    """What was counted: nodes by operator, parameters, bytes of the network's numbers."""

    nodes: dict[str, int]
    parameters: int
    weight_bytes: int


def check_graph(path: Path, spec: GraphSpec) -> CheckedGraph:
    """Check the graph at `path` against `spec`.

    The ONNX checker with full type and shape inference passes; operators, inputs, outputs and
    weights are those demanded, in name, type and size, with every weight's bytes in the file; KV
    cache, convolution and SSM state have the bytes of the ledger.

    Raises:
        CheckFailed: naming the first difference.
    """
    import onnx

    try:
        onnx.checker.check_model(str(path), full_check=True)
        model = onnx.load(str(path), load_external_data=False)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, OSError,
            ValueError) as fault:  # fmt: skip
        raise _refused(path, "the ONNX checker refuses it", str(fault)) from fault
    nodes = Counter(node.op_type for node in model.graph.node)
    foreign = sorted(set(nodes) - OPERATORS) or _foreign_domains(model)
    if foreign:
        raise _refused(path, "it holds operators that no engine of ours needs", ", ".join(foreign))
    _compare(path, "input", _found(model.graph.input), inputs(spec))
    _compare(path, "output", _found(model.graph.output), outputs(spec))
    weight_bytes = _check_weights(path, model, spec)
    for ports in (inputs(spec), outputs(spec)):
        _check_ledger(path, ports, spec)
    return CheckedGraph(dict(sorted(nodes.items())), spec.shape.parameters, weight_bytes)


def _foreign_domains(model: "ModelProto") -> list[str]:
    return sorted({node.domain for node in model.graph.node} - {"", "ai.onnx"})


def _found(values: "Iterable[ValueInfoProto]") -> dict[str, tuple[str, tuple[Dimension, ...]]]:
    found: dict[str, tuple[str, tuple[Dimension, ...]]] = {}
    for value in values:
        tensor = value.type.tensor_type
        sizes = tuple(size.dim_param or size.dim_value for size in tensor.shape.dim)
        found[value.name] = (_type_name(tensor.elem_type), sizes)
    return found


def _type_name(code: int) -> str:
    element = element_of_code(code)
    return element.name if element is not None else f"ONNX type {code}"


def _compare(
    path: Path,
    what: str,
    found: dict[str, tuple[str, tuple[Dimension, ...]]],
    demanded: Sequence[Port],
) -> None:
    names = [port.name for port in demanded]
    odd = sorted(set(found) ^ set(names))
    if odd:
        claim = "is missing" if odd[0] in names else "belongs to no layer"
        raise _refused(path, f"{what} {odd[0]} {claim}", f"{len(odd)} such {what}s")
    for port in demanded:
        expected = (port.element.name, port.dimensions)
        if found[port.name] != expected:
            raise _refused(
                path,
                f"{what} {port.name} is not as the architecture demands",
                f"found {found[port.name]}, demanded {expected}",
            )


def _check_weights(path: Path, model: "ModelProto", spec: GraphSpec) -> int:
    """Bytes of all weights."""
    found = {tensor.name: tensor for tensor in model.graph.initializer}
    slots = {slot.name: slot for slot in weight_slots(spec)}
    odd = sorted(found.keys() ^ slots.keys())
    if odd:
        claim = "is missing" if odd[0] in slots else "is no tensor of the network"
        raise _refused(path, f"weight {odd[0]} {claim}", f"{len(odd)} such weights")
    for name, slot in slots.items():
        tensor = found[name]
        seen = (_type_name(tensor.data_type), tuple(tensor.dims))
        if seen != (slot.element.name, slot.dimensions):
            raise _refused(
                path,
                f"weight {name} is not as the precision {spec.precision} demands",
                f"found {seen}, demanded {(slot.element.name, slot.dimensions)}",
            )
        place = {entry.key: entry.value for entry in tensor.external_data}
        _check_place(path, name, place, slot.size_bytes)
    return sum(slot.size_bytes for slot in slots.values())


def _check_place(path: Path, name: str, place: dict[str, str], size_bytes: int) -> None:
    file = path.with_name(place.get("location", ""))
    start, length = int(place.get("offset", 0)), int(place.get("length", 0))
    there = file.stat().st_size if file.is_file() else 0
    if length != size_bytes or start + length > there:
        raise _refused(
            path,
            f"weight {name} is cut short",
            f"{size_bytes:,} bytes demanded; {length:,} from {start:,} on in {file.name}, which "
            f"has {there:,}",
        )


def _check_ledger(path: Path, ports: Sequence[Port], spec: GraphSpec) -> None:
    """States of the largest batch against the ledger's lines."""
    shape, batch, size = spec.shape, spec.max_batch_size, spec.element.bytes
    plain = GGML_TYPES_BY_NAME[spec.element.name]
    ledger: dict[tuple[str, ...], int] = {
        ("key", "value"): kv_cache_line(shape, spec.max_seq_len * batch, plain).size_bytes,
        ("conv",): conv_state_line(shape, batch, size).size_bytes,
        ("ssm",): ssm_state_line(shape, batch).size_bytes,
    }
    for kinds, counted in ledger.items():
        found = sum(
            port.elements(batch) * port.element.bytes for port in ports if _kind(port) in kinds
        )
        if found != counted:
            raise _refused(
                path,
                f"states {'/'.join(kinds)} are not of the size that the memory ledger counts",
                f"{found:,} bytes in the graph, {counted:,} in the ledger",
            )


def _refused(path: Path, message: str, evidence: str) -> CheckFailed:
    return CheckFailed(
        f"the graph {path.name} is wrong: {message}",
        evidence=evidence,
        next_step="Build it again; if that does not help it is a defect of this tool: report it.",
    )


def _kind(port: Port) -> str:
    """`ssm` of `past_ssm_0`; of ports that are no state, nothing that a state is called."""
    return port.name.split("_")[-2] if port.name.count("_") == 2 else ""
