"""A graph is altered the way a defect would alter it, and the checker says what is wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trt_nemotron.deploy.compile.graph import GRAPH_NAME, WEIGHTS_NAME, GraphRecord
from trt_nemotron.deploy.compile.graph_check import check_graph
from trt_nemotron.errors import CheckFailed

Alter = Callable[[Any], None]


def output_missing(model: Any) -> None:
    del model.graph.output[1]


def output_renamed(model: Any) -> None:
    model.graph.node[-1].output[0] = "logit"
    model.graph.output[0].name = "logit"


def output_of_another_type(model: Any) -> None:
    node = next(node for node in model.graph.node if node.output[0] == "logits")
    node.op_type = "Cast"
    node.attribute.add(name="to", i=10, type=2)
    model.graph.output[0].type.tensor_type.elem_type = 10


def output_of_another_size(model: Any) -> None:
    port = next(port for port in model.graph.output if port.name == "present_key_1")
    port.type.tensor_type.shape.dim[2].dim_param = "cache"


def input_one_too_many(model: Any) -> None:
    model.graph.input.add().CopyFrom(model.graph.input[0])
    model.graph.input[-1].name = "mask"


def state_of_another_layer(model: Any) -> None:
    for port in model.graph.output:
        port.name = port.name.replace("present_ssm_0", "present_ssm_1")
    for node in model.graph.node:
        for place, name in enumerate(node.output):
            node.output[place] = name.replace("present_ssm_0", "present_ssm_1")


def operator_of_a_plugin(model: Any) -> None:
    node = next(node for node in model.graph.node if node.op_type == "Softplus")
    node.domain, node.op_type = "trt_edgellm", "update_ssm_state"
    model.opset_import.add(domain="trt_edgellm", version=1)


def operator_that_is_not_expected(model: Any) -> None:
    node = next(node for node in model.graph.node if node.op_type == "Sigmoid")
    node.op_type = "Tanh"


def weight_renamed(model: Any) -> None:
    for tensor in model.graph.initializer:
        tensor.name = tensor.name.replace("norm_f", "norm_g")
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = name.replace("norm_f", "norm_g")


def weight_shorter_than_it_says(model: Any) -> None:
    tensor = next(it for it in model.graph.initializer if it.name == "norm_f")
    next(entry for entry in tensor.external_data if entry.key == "length").value = "8"


def edge_cut(model: Any) -> None:
    model.graph.node[-1].input[0] = "nothing"


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (output_missing, "output present_.* is missing"),
        (output_renamed, "output logit belongs to no layer"),
        (output_of_another_type, "output logits is not as the architecture demands"),
        (output_of_another_size, "output present_key_1 is not as the architecture demands"),
        (input_one_too_many, "input mask belongs to no layer"),
        (state_of_another_layer, "output present_ssm_0 is missing"),
        (operator_of_a_plugin, "operators that no engine of ours needs"),
        (operator_that_is_not_expected, "operators that no engine of ours needs"),
        (weight_renamed, "weight norm_[fg] is"),
        (weight_shorter_than_it_says, "weight norm_f is cut short|the ONNX checker refuses it"),
        (edge_cut, "the ONNX checker refuses it"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_wrong_graph_is_refused(tiny_graph: tuple[Path, GraphRecord], alter: Alter, message: str):
    import onnx

    folder, record = tiny_graph
    path = folder / GRAPH_NAME
    model = onnx.load(path, load_external_data=False)
    alter(model)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CheckFailed, match=message) as caught:
        check_graph(path, record.spec)
    assert caught.value.evidence
    assert caught.value.exit_code == 1


def test_weights_cut_short_are_found(tiny_graph: tuple[Path, GraphRecord]):
    folder, record = tiny_graph
    with (folder / WEIGHTS_NAME).open("r+b") as file:
        file.truncate(record.weights_file_bytes - 1)
    with pytest.raises(CheckFailed, match=r"is cut short|the ONNX checker refuses it"):
        check_graph(folder / GRAPH_NAME, record.spec)


def test_a_graph_of_another_precision_is_refused(tiny_graph: tuple[Path, GraphRecord]):
    """As an exporter that writes an unquantized graph and says nothing."""
    import msgspec

    folder, record = tiny_graph
    spec = msgspec.structs.replace(record.spec, precision="bf16")
    with pytest.raises(CheckFailed, match="not as the architecture demands"):
        check_graph(folder / GRAPH_NAME, spec)


def test_no_graph_at_all(tmp_path: Path, tiny_graph: tuple[Path, GraphRecord]):
    (tmp_path / GRAPH_NAME).write_bytes(b"no protobuf")
    with pytest.raises(CheckFailed, match="the ONNX checker refuses it"):
        check_graph(tmp_path / GRAPH_NAME, tiny_graph[1].spec)


def test_a_whole_graph_passes_and_is_counted(tiny_graph: tuple[Path, GraphRecord]):
    folder, record = tiny_graph
    checked = check_graph(folder / GRAPH_NAME, record.spec)
    assert checked.parameters == record.spec.shape.parameters
    assert checked.weight_bytes == record.weight_bytes
    assert checked.nodes["Softmax"] == 1
