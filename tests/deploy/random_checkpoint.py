"""Random NemotronH checkpoints of any shape: weights, configs and a tokenizer, made by hand.

Nothing but NumPy and safetensors is needed. The weights are small, so that a network of forty
layers still computes finite numbers; the answers are noise, and the same noise for the same seed.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

StoredType = Literal["F32", "F16", "BF16"]

TINY: dict[str, Any] = {
    "pattern": "M-M*-M-",
    "hidden_size": 64,
    "intermediate_size": 96,
    "vocab_size": 384,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "mamba_num_heads": 8,
    "mamba_head_dim": 16,
    "n_groups": 2,
    "ssm_state_size": 16,
    "conv_kernel": 4,
    "chunk_size": 64,
    "max_position_embeddings": 4096,
}
REAL_4B_PATTERN = "M-M-M-MM-M-M*-M-M*-M-M-M*-M-M-MM*-MMM-M-M-"
SPECIAL_TOKENS = ("<unk>", "<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>")
MARKERS = ("<think>", "</think>")
TEMPLATE = (
    "{%- for message in messages -%}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "<|im_end|>\n{% endfor -%}{%- if add_generation_prompt -%}<|im_start|>assistant\n{%- endif -%}"
)
_WIDTHS = {"F32": 4, "F16": 2, "BF16": 2}
_PIECE = 1 << 24
_KINDS = {"M": "linear_attention", "-": "mlp", "*": "full_attention"}


@dataclass(frozen=True)
class RandomCheckpoint:
    """What to write; `write` says where.

    Attributes:
        overrides: dimensions other than those of `TINY`.
        config: keys of `config.json` to add or replace.
        tokenizer: keys of `tokenizer.json` to add or replace.
        shards: number of safetensors files.
    """

    overrides: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: Mapping[str, Any] = field(default_factory=dict)
    stored: StoredType = "F32"
    shards: int = 1
    is_tied: bool = False
    seed: int = 1

    @property
    def dimensions(self) -> dict[str, Any]:
        return {**TINY, **self.overrides}

    def tensors(self) -> dict[str, np.ndarray]:
        random = np.random.default_rng(self.seed)
        return {
            name: _values(random, name, shape)
            for name, shape in _tensor_shapes(self.dimensions, is_tied=self.is_tied)
        }

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        self._write_weights(folder)
        documents = {
            "config.json": {**_config(self.dimensions, self.is_tied), **self.config},
            "generation_config.json": {"bos_token_id": 1, "eos_token_id": 5, "pad_token_id": 3},
            "tokenizer.json": {**tokenizer(self.dimensions["vocab_size"]), **self.tokenizer},
            "tokenizer_config.json": {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "bos_token": "<s>",
                "eos_token": "<|im_end|>",
                "unk_token": "<unk>",
                "pad_token": "<pad>",
            },
        }
        for name, tree in documents.items():
            (folder / name).write_text(json.dumps(tree, ensure_ascii=False, indent=1))
        (folder / "chat_template.jinja").write_text(TEMPLATE)
        return folder

    def _write_weights(self, folder: Path) -> None:
        """Tensor by tensor, so that a network of billions of weights is never held whole."""
        shapes = dict(_tensor_shapes(self.dimensions, is_tied=self.is_tied))
        names = sorted(shapes)
        parts = [names[index :: self.shards] for index in range(self.shards)]
        files = [
            f"model-{number:05d}-of-{self.shards:05d}.safetensors"
            for number in range(1, self.shards + 1)
        ]
        if self.shards == 1:
            parts, files = [list(shapes)], ["model.safetensors"]
        at: dict[str, tuple[Path, int]] = {}
        for file, part in zip(files, parts, strict=True):
            at |= _begin_safetensors(folder / file, {it: shapes[it] for it in part}, self.stored)
        random = np.random.default_rng(self.seed)
        for name, shape in shapes.items():
            path, offset = at[name]
            with path.open("r+b") as opened:
                opened.seek(offset)
                values = _values(random, name, shape).ravel()
                for start in range(0, values.size, _PIECE):
                    opened.write(encode(values[start : start + _PIECE], self.stored))
        if self.shards > 1:
            size = sum(math.prod(shape) for shape in shapes.values()) * _WIDTHS[self.stored]
            weight_map = {it: file for file, part in zip(files, parts, strict=True) for it in part}
            index_file = {"metadata": {"total_size": size}, "weight_map": weight_map}
            (folder / "model.safetensors.index.json").write_text(json.dumps(index_file, indent=1))


def _begin_safetensors(
    path: Path, shapes: Mapping[str, tuple[int, ...]], stored: StoredType
) -> dict[str, tuple[Path, int]]:
    """Write the header; the file and the place in it where each tensor's bytes are to be."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + math.prod(shape) * _WIDTHS[stored]
        header[name] = {"dtype": stored, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    return {name: (path, 8 + len(text) + header[name]["data_offsets"][0]) for name in shapes}


def write_safetensors(path: Path, tensors: Mapping[str, np.ndarray], stored: StoredType) -> None:
    """By hand: the library cannot write bfloat16 from NumPy."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, tensor in tensors.items():
        data = encode(tensor, stored)
        header[name] = {
            "dtype": stored,
            "shape": list(tensor.shape),
            "data_offsets": [len(body), len(body) + len(data)],
        }
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def encode(tensor: np.ndarray, stored: StoredType) -> bytes:
    """Numbers as the file holds them; bfloat16 is rounded to nearest even."""
    if stored == "BF16":
        bits = tensor.astype("<f4").view("<u4")
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()
    return tensor.astype({"F32": "<f4", "F16": "<f2"}[stored]).tobytes()


def tokenizer(vocab_size: int) -> dict[str, Any]:
    """Byte-level BPE: special tokens, 256 bytes, then merges of two bytes until it is full."""
    symbols = byte_symbols()
    texts = [*SPECIAL_TOKENS, *MARKERS, *symbols]
    letters = symbols[ord("a") : ord("z") + 1]
    pairs = [(left, right) for left in letters for right in letters]
    merges = pairs[: vocab_size - len(texts)]
    texts += [left + right for left, right in merges]
    assert len(texts) <= vocab_size
    special = len(SPECIAL_TOKENS)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": i,
                "content": text,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": i < special,
            }
            for i, text in enumerate((*SPECIAL_TOKENS, *MARKERS))
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": True,
            "use_regex": True,
        },
        "post_processor": None,
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": True,
            "trim_offsets": True,
            "use_regex": True,
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {text: i for i, text in enumerate(texts)},
            "merges": [list(pair) for pair in merges],
        },
    }


def byte_symbols() -> list[str]:
    """The character that stands for each byte, by byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {byte: chr(byte) for byte in printable}
    table |= {byte: chr(0x100 + place) for place, byte in enumerate(others)}
    return [table[byte] for byte in range(256)]


def _config(d: Mapping[str, Any], is_tied: bool) -> dict[str, Any]:
    return {
        "architectures": ["NemotronHForCausalLM"],
        "model_type": "nemotron_h",
        **{name: value for name, value in d.items() if name != "pattern"},
        "layers_block_type": [_KINDS[kind] for kind in d["pattern"]],
        "num_hidden_layers": len(d["pattern"]),
        "layer_norm_epsilon": 1e-5,
        "mlp_hidden_act": "relu2",
        "mamba_hidden_act": "silu",
        "use_conv_bias": True,
        "use_bias": False,
        "mlp_bias": False,
        "attention_bias": False,
        "mamba_proj_bias": False,
        "tie_word_embeddings": is_tied,
        "time_step_limit": [0.0, {"__float__": "Infinity"}],
        "time_step_min": 1e-30,
        "dtype": "float32",
        "bos_token_id": 1,
        "eos_token_id": 5,
        "pad_token_id": 3,
    }


def _tensor_shapes(d: Mapping[str, Any], *, is_tied: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden = d["hidden_size"]
    yield "backbone.embeddings.weight", (d["vocab_size"], hidden)
    for index, kind in enumerate(d["pattern"]):
        layer = f"backbone.layers.{index}."
        yield f"{layer}norm.weight", (hidden,)
        for name, shape in _mixer_shapes(d, kind):
            yield f"{layer}mixer.{name}", shape
    yield "backbone.norm_f.weight", (hidden,)
    if not is_tied:
        yield "lm_head.weight", (d["vocab_size"], hidden)


def _mixer_shapes(d: Mapping[str, Any], kind: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, heads = d["hidden_size"], d["mamba_num_heads"]
    inner = heads * d["mamba_head_dim"]
    channels = inner + 2 * d["n_groups"] * d["ssm_state_size"]
    queries, keys = (
        d[count] * d["head_dim"] for count in ("num_attention_heads", "num_key_value_heads")
    )
    shapes = {
        "M": {
            "A_log": (heads,),
            "D": (heads,),
            "dt_bias": (heads,),
            "conv1d.bias": (channels,),
            "conv1d.weight": (channels, 1, d["conv_kernel"]),
            "in_proj.weight": (inner + channels + heads, hidden),
            "norm.weight": (inner,),
            "out_proj.weight": (hidden, inner),
        },
        "*": {
            "q_proj.weight": (queries, hidden),
            "k_proj.weight": (keys, hidden),
            "v_proj.weight": (keys, hidden),
            "o_proj.weight": (hidden, queries),
        },
        "-": {
            "up_proj.weight": (d["intermediate_size"], hidden),
            "down_proj.weight": (hidden, d["intermediate_size"]),
        },
    }
    yield from shapes[kind].items()


def _values(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith("A_log"):
        values = np.log(random.uniform(1, 16, shape))
    elif name.endswith((".D", "norm.weight", "norm_f.weight")):
        values = random.uniform(0.9, 1.1, shape)
    elif name.endswith("dt_bias"):
        values = random.uniform(-4, -2, shape)
    else:
        values = random.normal(0, 0.05, shape)
    return values.astype(np.float32)
