"""Safetensors checkpoints of any published shape whose weights are a hole in the file.

Headers are true: every tensor in its shape and storage, as the hub publishes it, so that a network
of 31 billion parameters can be opened and planned without its 63 GB. Names and shapes are written
down here once more, from the architecture, so that our reader meets another's writer.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

Form = Literal["BF16", "FP8", "NVFP4"]
Tensor = tuple[str, str, tuple[int, ...]]

_BYTES = {"BF16": 2, "F32": 4, "F8_E4M3": 1, "U8": 1}


def write_sparse_folder(folder: Path, config: Mapping[str, Any], form: Form = "BF16") -> Path:
    """A folder with `config`, a tokenizer and one safetensors file of the whole network."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    if form != "BF16":
        statement = {"quantization": {"quant_algo": form, "kv_cache_quant_algo": None}}
        (folder / "hf_quant_config.json").write_text(json.dumps(statement))
    _write(folder / "model.safetensors", stored_tensors(config, form))
    return folder


def stored_tensors(config: Mapping[str, Any], form: Form) -> Iterator[Tensor]:
    """Name, storage and shape of every tensor; all linear layers in `form`."""
    for name, shape in _tensors(config):
        if name.endswith("e_score_correction_bias"):
            yield name, "F32", shape
        elif form == "BF16" or not name.endswith("_proj.weight"):
            yield name, "BF16", shape
        elif form == "FP8":
            yield name, "F8_E4M3", shape
            yield f"{name}_scale", "F32", ()
        else:
            yield name, "U8", (shape[0], shape[1] // 2)
            yield f"{name}_scale", "F8_E4M3", (shape[0], shape[1] // 16)
            yield f"{name}_scale_2", "F32", ()


def _write(path: Path, tensors: Iterator[Tensor]) -> None:
    header, end = {}, 0
    for name, storage, shape in tensors:
        begin, end = end, end + math.prod(shape) * _BYTES[storage]
        header[name] = {"dtype": storage, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(path, 8 + len(text) + end)


def _tensors(c: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, vocabulary = c["hidden_size"], c["vocab_size"]
    mixers = {"M": _mamba, "*": _attention, "-": _mlp, "E": _experts}
    yield "backbone.embeddings.weight", (vocabulary, hidden)
    for index, letter in enumerate(c["hybrid_override_pattern"]):
        yield f"backbone.layers.{index}.norm.weight", (hidden,)
        for name, shape in mixers[letter](c):
            yield f"backbone.layers.{index}.mixer.{name}", shape
    yield "backbone.norm_f.weight", (hidden,)
    yield "lm_head.weight", (vocabulary, hidden)


def _mamba(c: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, heads = c["hidden_size"], c["mamba_num_heads"]
    inner = heads * c["mamba_head_dim"]
    channels = inner + 2 * c["n_groups"] * c["ssm_state_size"]
    yield from {
        "in_proj.weight": (inner + channels + heads, hidden),
        "conv1d.weight": (channels, 1, c["conv_kernel"]),
        "conv1d.bias": (channels,),
        "A_log": (heads,), "D": (heads,), "dt_bias": (heads,),
        "norm.weight": (inner,),
        "out_proj.weight": (hidden, inner),
    }.items()  # fmt: skip


def _attention(c: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, size = c["hidden_size"], c["head_dim"]
    yield "q_proj.weight", (c["num_attention_heads"] * size, hidden)
    for name in ("k_proj.weight", "v_proj.weight"):
        yield name, (c["num_key_value_heads"] * size, hidden)
    yield "o_proj.weight", (hidden, c["num_attention_heads"] * size)


def _mlp(c: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "up_proj.weight", (c["intermediate_size"], c["hidden_size"])
    yield "down_proj.weight", (c["hidden_size"], c["intermediate_size"])


def _experts(c: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, count, latent = c["hidden_size"], c["n_routed_experts"], c.get("moe_latent_size")
    size, shared = c["moe_intermediate_size"], c["moe_shared_expert_intermediate_size"]
    yield "gate.weight", (count, hidden)
    yield "gate.e_score_correction_bias", (count,)
    for index in range(count):
        yield f"experts.{index}.up_proj.weight", (size, latent or hidden)
        yield f"experts.{index}.down_proj.weight", (latent or hidden, size)
    yield "shared_experts.up_proj.weight", (shared, hidden)
    yield "shared_experts.down_proj.weight", (hidden, shared)
    if latent:
        yield "fc1_latent_proj.weight", (latent, hidden)
        yield "fc2_latent_proj.weight", (hidden, latent)
