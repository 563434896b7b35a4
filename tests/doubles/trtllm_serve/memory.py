"""Sizes by the double's own arithmetic, from config.json and the release's rules."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.doubles.trtllm_serve.arguments import value_at
from tests.doubles.trtllm_serve.contract import Contract

GPU_VARIABLE = "TRTLLM_DOUBLE_GPU_BYTES"
H100_BYTES = 85_028_765_696
_KV_BITS = {"fp8": 8, "nvfp4": 4.5, "float32": 32}


class OutOfMemory(Exception):
    """As torch says it."""


@dataclass(frozen=True)
class Sizes:
    """What the start-up log reports, in bytes, tokens and slots."""

    gpu_bytes: int
    weight_bytes: int
    state_bytes: int
    conv_bytes: int
    slots: int
    kv_token_bytes: int
    kv_tokens: int
    block_tokens: int
    max_seq_len: int
    max_batch_size: int

    @property
    def kv_bytes(self) -> int:
        return self.kv_tokens * self.kv_token_bytes


def measure(
    contract: Contract, tree: Mapping[str, Any], config: Mapping[str, Any], weights: Path
) -> Sizes:
    """Sizes of this model with these arguments.

    Raises:
        OutOfMemory: weights and states alone do not fit.
    """
    gpu = int(os.environ.get(GPU_VARIABLE) or H100_BYTES)
    loaded = sum(path.stat().st_size for path in weights.glob("*.safetensors"))
    batch = int(tree.get("max_batch_size") or contract.default("max_batch_size"))
    slots = batch + int(contract.hybrids["spare_slots"])
    state = state_bytes(config, str(value_at(tree, "kv_cache_config.mamba_ssm_cache_dtype")))
    free = gpu - loaded
    is_pooled = contract.hybrids["manager_v2"] == "default"
    if slots * state > free:
        raise OutOfMemory(
            f"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate "
            f"{slots * state / (1 << 30):.2f} GiB. GPU 0 has a total capacity of "
            f"{gpu / (1 << 30):.2f} GiB of which {free / (1 << 30):.2f} GiB is free."
        )
    each = kv_token_bytes(config, str(value_at(tree, "kv_cache_config.dtype")))
    block = int(value_at(tree, "kv_cache_config.tokens_per_block") or 32)
    left = free if is_pooled else free - slots * state
    tokens = _tokens(contract, tree, left, each, slots * state if is_pooled else 0)
    seq_len = int(tree.get("max_seq_len") or config["max_position_embeddings"])
    return Sizes(
        gpu_bytes=gpu,
        weight_bytes=loaded,
        state_bytes=state,
        conv_bytes=conv_bytes(config),
        slots=slots,
        kv_token_bytes=each,
        kv_tokens=tokens // block * block,
        block_tokens=block,
        max_seq_len=seq_len,
        max_batch_size=batch,
    )


def state_bytes(config: Mapping[str, Any], dtype: str) -> int:
    """One sequence's recurrent state: the scan's in its own type, the convolution's in 16 bits."""
    inner = config["mamba_num_heads"] * config["mamba_head_dim"]
    scan = inner * config["ssm_state_size"] * (4 if dtype == "float32" else 2)
    return int(_layers(config, "M") * scan) + conv_bytes(config)


def conv_bytes(config: Mapping[str, Any]) -> int:
    """The convolution's part of one sequence's state."""
    inner = config["mamba_num_heads"] * config["mamba_head_dim"]
    channels = inner + 2 * config["n_groups"] * config["ssm_state_size"]
    return int(_layers(config, "M") * channels * (config["conv_kernel"] - 1) * 2)


def kv_token_bytes(config: Mapping[str, Any], dtype: str) -> int:
    """Keys and values of one token over the attention layers."""
    elements = 2 * config["num_key_value_heads"] * config["head_dim"]
    return int(_layers(config, "*") * elements * _KV_BITS.get(dtype, 16) / 8)


def _layers(config: Mapping[str, Any], letter: str) -> int:
    return str(config["hybrid_override_pattern"]).count(letter)


def _tokens(contract: Contract, tree: Mapping[str, Any], left: int, each: int, states: int) -> int:
    fraction = value_at(tree, "kv_cache_config.free_gpu_memory_fraction")
    limits = [int(left * (0.9 if fraction is None else fraction))]
    if cap := value_at(tree, "kv_cache_config.max_gpu_total_bytes"):
        limits.append(int(cap))
    tokens = (min(limits) - states) // max(each, 1)
    if asked := value_at(tree, "kv_cache_config.max_tokens"):
        tokens = min(tokens, int(asked))
    return max(tokens, 0)
