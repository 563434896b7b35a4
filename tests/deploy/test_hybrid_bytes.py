"""Bytes of hybrids against others: kvfit's own numbers, a second way to count, published counts.

The second way is written from the architecture, on the keys of `config.json`, and shares no code
with the product. Nothing here is rounded but the figures that were published rounded.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.deploy.family import KVFIT, MODELS, NAMES, WITH_EXPERTS, config_of, shape_of
from tests.deploy.sparse_safetensors import Form, write_sparse_folder
from trt_nemotron.deploy.checkpoint.known_model import known_checkpoint
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.checkpoint.stored_form import (
    stored_embedding_bytes,
    stored_groups,
    stored_routed_bytes,
)
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.memory import state_bytes_per_slot
from trt_nemotron.facts.model import StoredWeights

KV_ELEMENT_BYTES = {"bf16": 2, "fp8": 1}
FORMS: tuple[Form, ...] = ("BF16", "FP8", "NVFP4")


def linear_elements(c: dict[str, Any], letter: str) -> int:
    """Elements of the linear weights of one layer: those that FP8 and NVFP4 store."""
    hidden = c["hidden_size"]
    if letter == "M":
        inner = c["mamba_num_heads"] * c["mamba_head_dim"]
        both = 2 * c["n_groups"] * c["ssm_state_size"]
        return hidden * (3 * inner + both + c["mamba_num_heads"])
    if letter == "*":
        return 2 * hidden * c["head_dim"] * (c["num_attention_heads"] + c["num_key_value_heads"])
    if letter == "-":
        return 2 * hidden * c["intermediate_size"]
    routed = c["n_routed_experts"] * c["moe_intermediate_size"]
    return 2 * hidden * (routed + c["moe_shared_expert_intermediate_size"])


def other_elements(c: dict[str, Any], letter: str) -> int:
    """Elements of everything else of one layer that is a parameter."""
    hidden, heads = c["hidden_size"], c["mamba_num_heads"]
    inner = heads * c["mamba_head_dim"]
    channels = inner + 2 * c["n_groups"] * c["ssm_state_size"]
    mamba = channels * c["conv_kernel"] + channels + heads + heads + heads + inner
    router = c.get("n_routed_experts", 0) * hidden
    return hidden + {"M": mamba, "E": router}.get(letter, 0)


def count(c: dict[str, Any]) -> tuple[int, int, int]:
    """Linear elements, other elements, numbers of the routers' correction biases."""
    pattern = c["hybrid_override_pattern"]
    linear = sum(linear_elements(c, letter) for letter in pattern)
    others = sum(other_elements(c, letter) for letter in pattern)
    ends = (2 * c["vocab_size"] + 1) * c["hidden_size"]
    return linear, others + ends, pattern.count("E") * c.get("n_routed_experts", 0)


def bytes_as(form: Form, c: dict[str, Any]) -> int:
    """All weights: linear ones in `form`, the rest BF16, correction biases F32."""
    linear, others, biases = count(c)
    sixteenths = {"BF16": 32, "FP8": 16, "NVFP4": 9}[form]  # NVFP4: half a byte, 1/16 for scales
    return linear * sixteenths // 16 + 2 * others + 4 * biases


def stored(form: Form) -> StoredWeights:
    linear = {"BF16": "BF16", "FP8": "F8_E4M3", "NVFP4": "NVFP4"}[form]
    return StoredWeights(linear=linear, status="derived", source="")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_bytes_of_a_sequence_are_those_of_kvfit(name: str):
    shape = shape_of(name)
    assert len(KVFIT[name]) == 6
    for row in KVFIT[name]:
        width = KV_ELEMENT_BYTES[row["kv_dtype"]]
        assert shape.kv_elements_per_token * row["context_tokens"] * width == row["kv_bytes"]
        assert shape.conv_elements_per_slot * width == row["conv_bytes"]
        assert shape.ssm_elements_per_slot * 4 == row["ssm_bytes"]


@pytest.mark.parametrize("name", NAMES)
def test_bytes_of_a_sequence_are_those_of_walking_the_layers(name: str):
    c = config_of(name)
    kv = state = conv = 0
    for letter in c["hybrid_override_pattern"]:
        if letter == "*":
            kv += c["num_key_value_heads"] * c["head_dim"] * 2
        if letter == "M":
            inner = c["mamba_num_heads"] * c["mamba_head_dim"]
            state += inner * c["ssm_state_size"]
            conv += (inner + c["n_groups"] * c["ssm_state_size"] * 2) * (c["conv_kernel"] - 1)
    shape = shape_of(name)
    assert (shape.kv_elements_per_token, shape.ssm_elements_per_slot) == (kv, state)
    assert shape.conv_elements_per_slot == conv
    assert state_bytes_per_slot(shape) == (state + conv) * 4


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_of_the_second_count(name: str):
    linear, others, _ = count(config_of(name))
    assert shape_of(name).parameters == linear + others


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_the_published_ones(name: str):
    shape, published = shape_of(name), MODELS[name]["published"]
    assert rounded_like(published["total"], shape.parameters) == published["total"]
    assert published.get("exact", shape.parameters) == shape.parameters


def test_active_parameters_of_the_mixture_are_the_published_ones():
    shape, published = shape_of(WITH_EXPERTS), MODELS[WITH_EXPERTS]["published"]
    active = shape.active_parameters
    gathered = shape.vocab_size * shape.hidden_size
    assert rounded_like(published["active"], active) == published["active"]
    without = published["active_without_embeddings"]
    assert rounded_like(without, active - gathered) == without


def test_without_experts_every_parameter_is_active():
    for name in NAMES:
        shape = shape_of(name)
        assert (shape.active_parameters == shape.parameters) == (name != WITH_EXPERTS)


def rounded_like(published: str, number: int) -> str:
    """`number` in billions, with as many digits as `published` has."""
    digits = len(published.removesuffix("B").partition(".")[2])
    return f"{number / 1e9:.{digits}f}B"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", FORMS)
def test_weights_in_every_form_are_those_of_the_second_count(name: str, form: Form):
    shape, c = shape_of(name), config_of(name)
    groups = stored_groups(shape, stored(form))
    assert sum(group.size_bytes for group in groups) == bytes_as(form, c)
    assert sum(it.elements for it in groups if not it.is_scale) == sum(count(c))
    assert stored_embedding_bytes(shape) == 2 * c["vocab_size"] * c["hidden_size"]


@pytest.mark.parametrize("form", FORMS)
def test_a_step_reads_the_visited_share_of_the_routed_experts(form: Form, tmp_path: Path):
    c = config_of(WITH_EXPERTS)
    folder = write_sparse_folder(tmp_path / "model", c, form)
    checkpoint = open_checkpoint(folder)
    expert = 2 * c["hidden_size"] * c["moe_intermediate_size"]
    sixteenths = {"BF16": 32, "FP8": 16, "NVFP4": 9}[form]
    scales = {"BF16": 0, "FP8": 8, "NVFP4": 8}[form]  # a scale of four bytes for each matrix
    each = expert * sixteenths // 16 + scales
    assert checkpoint.routed_bytes == 23 * 128 * each
    idle = 23 * (128 - 6) * each
    embeddings = 2 * c["vocab_size"] * c["hidden_size"]
    assert checkpoint.least_read_bytes == checkpoint.weight_bytes - embeddings - idle
    without_scales = stored_routed_bytes(shape_of(WITH_EXPERTS), stored(form))
    assert without_scales == 23 * 128 * (each - scales)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", FORMS)
def test_a_folder_of_every_form_is_opened_and_counted(name: str, form: Form, tmp_path: Path):
    c = config_of(name)
    checkpoint = open_checkpoint(write_sparse_folder(tmp_path / name, c, form))
    singles = single_scales(checkpoint)
    assert checkpoint.weight_bytes - singles == bytes_as(form, c)
    assert checkpoint.parameters == sum(count(c))
    assert checkpoint.stated_quantization == ("" if form == "BF16" else form)


def single_scales(checkpoint: Checkpoint) -> int:
    """Bytes of the scales that stand alone, one for each matrix."""
    return sum(it.size_bytes for it in checkpoint.groups if it.is_scale and it.storage == "F32")


# Elements of the linear layers that are quantized, kept in BF16, and of all the rest, counted
# by hand from the shape: 17 Mamba, 17 MLP; 4 Mamba and 4 attention layers kept; the rest.
MAMBA_LINEAR = 3136 * (7680 + 9728 + 96) + 7680 * 3136
QUANTIZED = 17 * MAMBA_LINEAR + 17 * 2 * 3136 * 12544
KEPT = 4 * MAMBA_LINEAR + 4 * (3136 * (5120 + 2 * 1024) + 5120 * 3136)
REST = (
    2 * 131072 * 3136
    + 43 * 3136
    + 21 * (9728 * 5 + 3 * 96 + 7680)
)  # fmt: skip


@pytest.mark.parametrize(
    ("form", "size_bytes"),
    [
        ("bf16", 2 * (QUANTIZED + KEPT + REST)),
        ("fp8", QUANTIZED + 2 * (KEPT + REST)),
        ("nvfp4", QUANTIZED // 2 + QUANTIZED // 16 + 2 * (KEPT + REST)),
    ],
)
def test_published_forms_are_counted_layer_by_layer(form: str, size_bytes: int):
    checkpoint = known_checkpoint(f"nemotron-3-nano-4b-{form}")
    assert checkpoint is not None
    assert checkpoint.weight_bytes == size_bytes
    assert checkpoint.parameters == checkpoint.shape.parameters == QUANTIZED + KEPT + REST
    assert checkpoint.embedding_bytes == 131072 * 3136 * 2
    assert checkpoint.least_read_bytes == size_bytes - checkpoint.embedding_bytes


def test_size_of_the_fp8_checkpoint_is_the_published_one():
    """With the tokenizer files of the BF16 repository (7.42 GiB less its weights)."""
    bf16, fp8 = (known_checkpoint(f"nemotron-3-nano-4b-{form}") for form in ("bf16", "fp8"))
    assert bf16 is not None
    assert fp8 is not None
    others = 7.42 - bf16.weight_bytes / 2**30
    assert fp8.weight_bytes / 2**30 + others == pytest.approx(4.92, abs=0.006)
