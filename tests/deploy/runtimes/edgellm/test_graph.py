"""A recorded graph passes; each way of being wrong is refused with a message of its own."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from trt_nemotron.deploy.checkpoint.values import Checkpoint, TensorGroup
from trt_nemotron.deploy.runtimes.edgellm.graph import (
    judge_graph,
    judge_numbers,
    judge_weights,
    linear_layers,
)
from trt_nemotron.deploy.runtimes.edgellm.values import Difference, GraphReport, WeightReport
from trt_nemotron.document import convert
from trt_nemotron.errors import CheckFailed


def test_recorded_graph_is_right(recorded: GraphReport, embedded: Checkpoint):
    judge_graph(recorded, embedded, "fp16")
    assert linear_layers(embedded.shape) == 17 == recorded.linear_types["FLOAT16"]


def _drop(tree: dict[str, Any], place: str, name: str) -> None:
    tree[place] = [it for it in tree[place] if it["name"] != name]


def _tensor(tree: dict[str, Any], place: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(it for it in tree[place] if it["name"] == name)
    return found


SABOTAGE: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "checker": (lambda t: t.update(fault="Nodes in a graph must be sorted"), "checker refuses it"),
    "cut off": (lambda t: t.update(weights_beyond_file=["w"]), "weights are cut off"),
    "infinite": (lambda t: t.update(weights_not_finite=["w"]), "no numbers in FP16"),
    "no scan": (
        lambda t: t["operators"].update({"trt_edgellm.update_ssm_state": 2}),
        "not the operators of this network",
    ),
    "no attention": (
        lambda t: t["operators"].pop("trt_edgellm.AttentionPlugin"),
        "not the operators of this network",
    ),
    "fewer linear layers": (
        lambda t: t["linear_types"].update(FLOAT16=16),
        "not the linear layers of this network",
    ),
    "no state in": (lambda t: _drop(t, "inputs", "recurrent_state_2"), "an input is missing"),
    "no state out": (
        lambda t: _drop(t, "outputs", "present_conv_state_0"),
        "an output is missing",
    ),
    "state of other type": (
        lambda t: _tensor(t, "inputs", "recurrent_state_0").update(type="FLOAT"),
        "an input is not as this network has it",
    ),
    "other vocabulary": (
        lambda t: _tensor(t, "outputs", "logits").update(shape=["num_sequences", 1000]),
        "an output is not as this network has it",
    ),
    "quantized unasked": (
        lambda t: t["operators"].update(DequantizeLinear=17),
        "quantized, and nobody asked",
    ),
    "half the weights": (
        lambda t: t.update(embedding_bytes=0, weight_bytes={"FLOAT16": 1000}),
        "size is not that of this network",
    ),
}


@pytest.mark.parametrize("name", SABOTAGE)
def test_wrong_graph_is_refused(name: str, recorded_tree: dict[str, Any], embedded: Checkpoint):
    spoil, message = SABOTAGE[name]
    tree = copy.deepcopy(recorded_tree)
    spoil(tree)
    checkpoint = embedded
    if name == "half the weights":  # beyond the slack that a tiny network is given
        groups = tuple(replace(it, elements=it.elements * 100) for it in embedded.groups)
        checkpoint = replace(embedded, groups=groups)
    with pytest.raises(CheckFailed, match=message):
        judge_graph(convert(tree, GraphReport, origin="spoiled"), checkpoint, "fp16")


@pytest.mark.parametrize("precision", ["fp8", "nvfp4"])
def test_unquantized_graph_is_caught_though_the_exporter_ended_well(
    precision: str, recorded: GraphReport, embedded: Checkpoint
):
    storage = {"fp8": "F8_E4M3", "nvfp4": "NVFP4"}[precision]
    low = TensorGroup(storage=storage, tensors=16, elements=1000, size_bytes=1000)
    quantized = replace(embedded, groups=(low,), quantization=storage)
    with pytest.raises(CheckFailed, match=f"not quantized to {precision}") as caught:
        judge_graph(recorded, quantized, precision)
    assert "0 are quantized, the checkpoint has 16" in caught.value.evidence


def difference(**changed: Any) -> Difference:
    right = {
        "name": "prefill", "tokens": 111, "max_abs_difference": 9e-6, "largest_logit": 22.9,
        "other_argmax": 0, "is_finite": True,
    }  # fmt: skip
    return convert({**right, **changed}, Difference, origin="test")


def test_measured_differences_pass():
    judge_numbers((difference(), difference(name="as_exported", max_abs_difference=0.0225)))


@pytest.mark.parametrize(
    "changed",
    [
        {"max_abs_difference": 2.1e-3},
        {"other_argmax": 1},
        {"is_finite": False},
        {"name": "as_exported", "max_abs_difference": 0.2},
        {"name": "decode", "max_abs_difference": float("nan")},
    ],
)
def test_other_numbers_are_refused(changed: dict[str, Any]):
    with pytest.raises(CheckFailed, match="other logits than Transformers"):
        judge_numbers((difference(), difference(**changed)))


def test_graph_with_other_numbers_than_its_checkpoint_is_refused():
    judge_weights(WeightReport(compared=71, other=(), missing=()))
    with pytest.raises(CheckFailed, match="has other numbers in 1 of the checkpoint's tensors"):
        judge_weights(WeightReport(compared=71, other=("a.weight",), missing=()))
    with pytest.raises(CheckFailed, match="lacks 2 of the checkpoint's tensors") as caught:
        judge_weights(WeightReport(compared=71, other=(), missing=("b.weight", "c.weight")))
    assert "b.weight, c.weight" in caught.value.evidence
