"""Bytes of hybrids against two others: kvfit's own numbers, and a second way to count."""

import json
from pathlib import Path
from typing import Any

import pytest

from trt_nemotron.deploy.checkpoint.known_model import known_checkpoint
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.document import convert

ORACLE = json.loads(Path(__file__).with_name("kvfit_0_3_0.json").read_text())["shapes"]
KV_ELEMENT_BYTES = {"bf16": 2, "fp8": 1}


def shape_of(name: str) -> NemotronHShape:
    """Expert layers hold neither cache nor state: for these bytes they are like MLP layers."""
    tree: dict[str, Any] = {**ORACLE[name]["shape"]}
    tree["pattern"] = tree["pattern"].replace("E", "-")
    return convert(tree, NemotronHShape, origin=name)


@pytest.mark.parametrize("name", ORACLE)
def test_bytes_of_a_sequence_are_those_of_kvfit(name: str):
    shape = shape_of(name)
    assert ORACLE[name]["kvfit"]
    for row in ORACLE[name]["kvfit"]:
        width = KV_ELEMENT_BYTES[row["kv_dtype"]]
        assert shape.kv_elements_per_token * row["context_tokens"] * width == row["kv_bytes"]
        assert shape.conv_elements_per_slot * width == row["conv_bytes"]
        assert shape.ssm_elements_per_slot * 4 == row["ssm_bytes"]


@pytest.mark.parametrize("name", ORACLE)
def test_bytes_of_a_sequence_are_those_of_walking_the_layers(name: str):
    raw = ORACLE[name]["shape"]
    kv = state = conv = 0
    for letter in raw["pattern"]:
        if letter == "*":
            kv += raw["kv_heads"] * raw["head_dim"] + raw["kv_heads"] * raw["head_dim"]
        if letter == "M":
            state += raw["mamba_heads"] * raw["mamba_head_dim"] * raw["ssm_state_size"]
            groups = raw["ssm_groups"] * raw["ssm_state_size"]
            channels = raw["mamba_heads"] * raw["mamba_head_dim"] + groups + groups
            conv += channels * (raw["conv_kernel"] - 1)
    shape = shape_of(name)
    assert (shape.kv_elements_per_token, shape.ssm_elements_per_slot) == (kv, state)
    assert shape.conv_elements_per_slot == conv


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


def test_size_of_the_fp8_checkpoint_is_the_published_one():
    """With the tokenizer files of the BF16 repository (7.42 GiB less its weights)."""
    bf16, fp8 = (known_checkpoint(f"nemotron-3-nano-4b-{form}") for form in ("bf16", "fp8"))
    assert bf16 is not None
    assert fp8 is not None
    others = 7.42 - bf16.weight_bytes / 2**30
    assert fp8.weight_bytes / 2**30 + others == pytest.approx(4.92, abs=0.006)
