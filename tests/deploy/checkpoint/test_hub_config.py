import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from trt_nemotron.deploy.checkpoint.hub_config import read_hub_config
from trt_nemotron.deploy.shape import ExpertsShape
from trt_nemotron.errors import CheckpointUnusable

REAL: dict[str, Any] = {
    "architectures": ["NemotronHForCausalLM"],
    "model_type": "nemotron_h",
    "hidden_size": 3136,
    "intermediate_size": 12544,
    "vocab_size": 131072,
    "num_hidden_layers": 42,
    "hybrid_override_pattern": "M-M-M-MM-M-M*-M-M*-M-M-M*-M-M-MM*-MMM-M-M-",
    "mamba_num_heads": 96,
    "mamba_head_dim": 80,
    "n_groups": 8,
    "ssm_state_size": 128,
    "conv_kernel": 4,
    "chunk_size": 256,
    "use_conv_bias": True,
    "mamba_proj_bias": False,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "attention_bias": False,
    "max_position_embeddings": 262144,
    "mamba_hidden_act": "silu",
    "mlp_hidden_act": "relu2",
    "tie_word_embeddings": False,
}

MIXTURE: dict[str, Any] = {
    "hybrid_override_pattern": "ME*-",
    "num_hidden_layers": 4,
    "n_routed_experts": 128,
    "num_experts_per_tok": 6,
    "moe_intermediate_size": 1856,
    "moe_shared_expert_intermediate_size": 3712,
}


def shape_of(tmp_path: Path, text: str | None = None, **changes: object):
    tree = {key: value for key, value in {**REAL, **changes}.items() if value is not ...}
    (tmp_path / "config.json").write_text(json.dumps(tree) if text is None else text)
    return read_hub_config(tmp_path)


def test_published_spelling_of_the_real_4b(sparse: ModuleType, tmp_path: Path):
    assert shape_of(tmp_path) == sparse.REAL_4B


@pytest.mark.parametrize(
    "kinds", [("linear_attention", "mlp", "full_attention"), ("mamba", "mlp", "attention")]
)
def test_spelling_of_transformers_5(sparse: ModuleType, tmp_path: Path, kinds: tuple[str, ...]):
    words = dict(zip("M-*", kinds, strict=True))
    listed = [words[kind] for kind in REAL["hybrid_override_pattern"]]
    found = shape_of(tmp_path, hybrid_override_pattern=..., layers_block_type=listed)
    assert found == sparse.REAL_4B


def test_older_name_of_the_head_size_and_infinity_are_read(sparse: ModuleType, tmp_path: Path):
    text = json.dumps({**REAL, "attention_head_dim": 128, "time_step_limit": [0.0, float("inf")]})
    assert "Infinity" in text
    assert shape_of(tmp_path, text.replace('"head_dim": 128, ', "")) == sparse.REAL_4B


def test_experts_are_read_where_layers_have_them(tmp_path: Path):
    shape = shape_of(tmp_path, **MIXTURE, moe_latent_size=1024)
    assert shape.expert_layers == 1
    assert shape.experts == ExpertsShape(
        routed=128, per_token=6, size=1856, shared_size=3712, latent_size=1024
    )


def test_idle_defaults_of_experts_in_a_dense_checkpoint_are_not_read(
    sparse: ModuleType, tmp_path: Path
):
    assert shape_of(tmp_path, n_routed_experts=8, num_experts_per_tok=2) == sparse.REAL_4B


@pytest.mark.parametrize(
    ("changes", "message", "evidence"),
    [
        ({"model_type": "llama"}, "not a NemotronH checkpoint", "'llama'"),
        ({"model_type": ...}, "not a NemotronH checkpoint", "None"),
        ({**MIXTURE, "num_experts_per_tok": ...}, "does not describe", "'num_experts_per_tok'"),
        ({**MIXTURE, "n_shared_experts": 2}, "cannot be represented", "n_shared_experts is 2"),
        ({**MIXTURE, "n_routed_experts": 5}, "does not describe", "visits 6 of 5 experts"),
        ({"hybrid_override_pattern": ...}, "does not describe", "neither"),
        ({"hybrid_override_pattern": "M?-*"}, "does not describe", "pattern"),
        ({"num_hidden_layers": 41}, "does not describe", "41"),
        ({"layers_block_type": ["mlp"]}, "does not describe", "disagree"),
        ({"layers_block_type": ["mlp", "cnn"]}, "does not describe", "'cnn'"),
        (
            {"layers_block_type": ["moe"], "hybrid_override_pattern": ...},
            "does not",
            "layers is 42",
        ),
        ({"hidden_size": ...}, "does not describe", "'hidden_size' is missing"),
        ({"hidden_size": "3136"}, "does not describe", "hidden_size"),
        ({"hidden_size": 0}, "does not describe", "hidden_size"),
        ({"hidden_size": 3136.5}, "does not describe", "hidden_size"),
        ({"head_dim": ...}, "does not describe", "'head_dim' is missing"),
        ({"attention_bias": True}, "cannot be represented", "attention_bias is True"),
        ({"use_conv_bias": False}, "cannot be represented", "use_conv_bias is False"),
        ({"num_key_value_heads": 7}, "contradicts itself", "40 attention heads"),
        ({"n_groups": 7}, "contradicts itself", "96 Mamba heads"),
    ],
)
def test_what_cannot_be_used_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str, evidence: str
):
    with pytest.raises(CheckpointUnusable, match=message) as caught:
        shape_of(tmp_path, **changes)
    assert evidence in caught.value.evidence
    assert caught.value.next_step


@pytest.mark.parametrize("text", ["", "{", "[1]", "7", "\x00", "[" * 90000])
def test_what_is_not_a_json_object_is_refused(tmp_path: Path, text: str):
    with pytest.raises(CheckpointUnusable, match=r"config\.json is not"):
        shape_of(tmp_path, text)
