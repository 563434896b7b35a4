"""Parameters of the family as transformers itself lays them out, on a device without memory."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tests.deploy.family import NAMES, config_of, shape_of
from trt_nemotron.deploy.checkpoint.hub_config import read_hub_config
from trt_nemotron.deploy.shape import NemotronHShape

pytestmark = pytest.mark.torch

LATENT: dict[str, Any] = {
    "model_type": "nemotron_h",
    "hybrid_override_pattern": "ME*E-M",
    "hidden_size": 96, "intermediate_size": 160, "vocab_size": 512,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
    "mamba_num_heads": 6, "mamba_head_dim": 16, "n_groups": 2, "ssm_state_size": 24,
    "conv_kernel": 4, "chunk_size": 64, "max_position_embeddings": 1024,
    "n_routed_experts": 12, "num_experts_per_tok": 3, "moe_intermediate_size": 40,
    "moe_shared_expert_intermediate_size": 56, "moe_latent_size": 48,
}  # fmt: skip


def elements_on_meta(config: dict[str, Any]) -> tuple[int, int]:
    """Parameters, and numbers of the routers' correction biases, which are buffers to torch."""
    keys = {key: value for key, value in config.items() if key != "model_type"}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model("nemotron_h", **keys))
    biases = (it for name, it in model.named_buffers() if name.endswith("e_score_correction_bias"))
    return sum(it.numel() for it in model.parameters()), sum(it.numel() for it in biases)


def agrees(shape: NemotronHShape, config: dict[str, Any]) -> bool:
    biases = shape.expert_layers * (shape.experts.routed if shape.experts else 0)
    return elements_on_meta(config) == (shape.parameters, biases)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_of_published_networks_are_those_of_transformers(name: str, tmp_path: Path):
    assert agrees(shape_of(name), config_of(name))


def test_latent_experts_are_counted_as_transformers_lays_them_out(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps(LATENT))
    assert agrees(read_hub_config(tmp_path), LATENT)
