"""`config.json` of a NemotronH checkpoint, both spellings of it, as a shape."""

import json
from pathlib import Path
from typing import Any

import msgspec

from trt_nemotron.deploy.checkpoint.architecture import ARCHITECTURE, refuse_inconsistent
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.errors import CheckpointUnusable

CONFIG_NAME = "config.json"

_LETTERS = {
    "linear_attention": "M",
    "mamba": "M",
    "full_attention": "*",
    "attention": "*",
    "mlp": "-",
    "moe": "E",
}
"""`layers_block_type` as transformers 5 writes it, and as its first versions did."""

_DEMANDED = {
    "use_conv_bias": True,
    "use_bias": False,
    "mamba_proj_bias": False,
    "attention_bias": False,
    "mlp_bias": False,
}
"""Switches that add or remove tensors, as the published model has them; absent means the same."""

_FIELDS = {
    "hidden_size": "hidden_size",
    "intermediate_size": "intermediate_size",
    "vocab_size": "vocab_size",
    "attention_heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "mamba_heads": "mamba_num_heads",
    "mamba_head_dim": "mamba_head_dim",
    "ssm_groups": "n_groups",
    "ssm_state_size": "ssm_state_size",
    "conv_kernel": "conv_kernel",
    "chunk_size": "chunk_size",
    "max_position_embeddings": "max_position_embeddings",
}

_EXPERT_FIELDS = {
    "routed": "n_routed_experts",
    "per_token": "num_experts_per_tok",
    "size": "moe_intermediate_size",
    "shared_size": "moe_shared_expert_intermediate_size",
}
"""Read only where the pattern has layers `E`: dense checkpoints carry them as idle defaults."""


def read_hub_config(folder: Path) -> NemotronHShape:
    """The shape that `config.json` in `folder` describes.

    Raises:
        CheckpointUnusable: no such file, not JSON, another architecture, a key that is missing or
            of the wrong type, or a variant that cannot be represented.
    """
    path = folder / CONFIG_NAME
    return shape_of_config(_parse(path), path)


def shape_of_config(config: dict[str, Any], path: Path) -> NemotronHShape:
    """The shape that a parsed `config.json` describes; `path` names it in messages.

    Raises:
        CheckpointUnusable: as `read_hub_config`, for a file that is there and is JSON.
    """
    model_type = config.get("model_type")
    if model_type != ARCHITECTURE:
        raise CheckpointUnusable(
            f"{path.parent} is not a NemotronH checkpoint",
            evidence=f"{CONFIG_NAME} says model_type {model_type!r}, expected {ARCHITECTURE!r}",
            next_step="Give a checkpoint of NVIDIA-Nemotron-3-Nano-4B, or --checkpoint embedded.",
        )
    _refuse_other_variants(path, config)
    return _shape(path, config)


def _parse(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointUnusable(
            f"{path.parent} has no {CONFIG_NAME}",
            evidence=f"there: {_listing(path.parent)}",
            next_step="Give the folder that holds config.json and the *.safetensors files.",
        )
    try:
        # The standard library's parser: published files write `Infinity`, which JSON lacks.
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as fault:
        raise CheckpointUnusable(
            f"{path} is not valid JSON",
            evidence=str(fault),
            next_step="Download it again.",
        ) from fault
    if not isinstance(config, dict):
        raise CheckpointUnusable(f"{path} is not a JSON object", evidence=type(config).__name__)
    return config


def _listing(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.iterdir())
    shown = ", ".join(names[:6])
    return f"{shown}, and {len(names) - 6} more" if len(names) > 6 else shown or "nothing"


def _refuse_other_variants(path: Path, config: dict[str, Any]) -> None:
    for key, demanded in _DEMANDED.items():
        found = config.get(key, demanded)
        if found != demanded:
            raise CheckpointUnusable(
                f"{path} describes a variant of NemotronH that cannot be represented",
                evidence=f"{key} is {found!r}; only {demanded!r} is supported",
                next_step="Use the published NVIDIA-Nemotron-3-Nano-4B checkpoints.",
            )


def _pattern(path: Path, config: dict[str, Any]) -> str:
    written, listed = config.get("hybrid_override_pattern"), config.get("layers_block_type")
    if isinstance(listed, list) and listed:
        unknown = [kind for kind in listed if not isinstance(kind, str) or kind not in _LETTERS]
        if unknown:
            raise _unusable_key(path, f"layers_block_type holds {unknown[0]!r}")
        pattern = "".join(_LETTERS[kind] for kind in listed)
        if isinstance(written, str) and written != pattern:
            raise _unusable_key(
                path, f"hybrid_override_pattern {written!r} and layers_block_type disagree"
            )
    elif isinstance(written, str) and written:
        pattern = written
    else:
        raise _unusable_key(path, "neither hybrid_override_pattern nor layers_block_type is there")
    layers = config.get("num_hidden_layers", len(pattern))
    if layers != len(pattern):
        raise _unusable_key(path, f"num_hidden_layers is {layers}, the pattern has {len(pattern)}")
    return pattern


def _shape(path: Path, config: dict[str, Any]) -> NemotronHShape:
    pattern = _pattern(path, config)
    head_dim = config.get("head_dim", config.get("attention_head_dim"))
    tree = {"pattern": pattern, **_taken(path, config, _FIELDS)}
    if "E" in pattern:
        tree["experts"] = _experts(path, config)
    if head_dim is None:
        raise _unusable_key(path, "key 'head_dim' is missing")
    tree["head_dim"] = head_dim
    tree["is_embedding_tied"] = config.get("tie_word_embeddings", False)
    try:
        shape = msgspec.convert(tree, NemotronHShape)
    except msgspec.ValidationError as fault:
        raise _unusable_key(path, str(fault)) from fault
    refuse_inconsistent(shape, str(path))
    return shape


def _taken(path: Path, config: dict[str, Any], fields: dict[str, str]) -> dict[str, Any]:
    for key in fields.values():
        if key not in config:
            raise _unusable_key(path, f"key {key!r} is missing")
    return {field: config[key] for field, key in fields.items()}


def _experts(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    shared = config.get("n_shared_experts", 1)
    if shared != 1:
        raise CheckpointUnusable(
            f"{path} describes a variant of NemotronH that cannot be represented",
            evidence=f"n_shared_experts is {shared!r}; only 1 is supported",
            next_step="Use a published checkpoint.",
        )
    latent = config.get("moe_latent_size")
    return {**_taken(path, config, _EXPERT_FIELDS), "latent_size": latent}


def _unusable_key(path: Path, evidence: str) -> CheckpointUnusable:
    return CheckpointUnusable(
        f"{path} does not describe a NemotronH network",
        evidence=evidence,
        next_step="Download it again, or compare it with the published config.json.",
    )
