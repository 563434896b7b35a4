"""GGUF files of any NemotronH shape whose weights are a hole in the file: all zeros, no disk.

Written with the `gguf` package, so that our own reader meets another's writer. llama.cpp loads
them, the real 4B shape included, since a hole costs nothing until it is read.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np

from trt_nemotron.deploy.checkpoint.architecture import gguf_tensors
from trt_nemotron.deploy.checkpoint.ggml_types import GGML_TYPES_BY_NAME, GgmlType
from trt_nemotron.deploy.runtimes.llamacpp.storage import storage_type
from trt_nemotron.deploy.shape import NemotronHShape

REAL_4B = NemotronHShape(
    pattern="M-M-M-MM-M-M*-M-M*-M-M-M*-M-M-MM*-MMM-M-M-",
    hidden_size=3136,
    intermediate_size=12544,
    vocab_size=131072,
    attention_heads=40,
    kv_heads=8,
    head_dim=128,
    mamba_heads=96,
    mamba_head_dim=80,
    ssm_groups=8,
    ssm_state_size=128,
    conv_kernel=4,
    chunk_size=256,
    max_position_embeddings=262144,
)
TINY = NemotronHShape(
    pattern="M-M*-M-",
    hidden_size=128,
    intermediate_size=256,
    vocab_size=1024,
    attention_heads=4,
    kv_heads=2,
    head_dim=32,
    mamba_heads=8,
    mamba_head_dim=32,
    ssm_groups=2,
    ssm_state_size=32,
    conv_kernel=4,
    chunk_size=64,
    max_position_embeddings=65536,
)
_ALIGNMENT = 32


def write_sparse_gguf(
    path: Path,
    shape: NemotronHShape,
    precision: str = "f16",
    *,
    merges: int = 1,
    metadata: Mapping[str, int | str] | None = None,
) -> Path:
    """`precision` as in a plan, or `Q4_K`: matrices whose rows allow it in Q4_K, others in Q8_0."""
    writer = gguf.GGUFWriter(path, "nemotron_h")
    _write_dimensions(writer, shape)
    _write_tokenizer(writer, shape.vocab_size, merges)
    for key, value in (metadata or {}).items():
        (writer.add_string if isinstance(value, str) else writer.add_uint32)(key, value)
    data_bytes = 0
    for name, dimensions in gguf_tensors(shape).items():
        storage = _storage(name, dimensions, precision)
        size = storage.size_bytes(int(np.prod(dimensions)))
        _write_info(writer, name, dimensions, storage, size)
        data_bytes += -(-size // _ALIGNMENT) * _ALIGNMENT
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    header_bytes = -(-writer.fout[0].tell() // _ALIGNMENT) * _ALIGNMENT
    writer.close()
    os.truncate(path, header_bytes + data_bytes)
    return path


def _storage(name: str, dimensions: tuple[int, ...], precision: str) -> GgmlType:
    if precision != "Q4_K":
        return storage_type(name, dimensions, precision)  # type: ignore[arg-type] # a test's word
    plain = storage_type(name, dimensions, "q8_0")
    wanted = GGML_TYPES_BY_NAME["Q4_K"]
    return wanted if plain.name == "Q8_0" and wanted.can_store_row(dimensions[0]) else plain


def _write_info(
    writer: gguf.GGUFWriter, name: str, dimensions: tuple[int, ...], storage: GgmlType, size: int
) -> None:
    shape = tuple(reversed(dimensions))
    if storage.name in {"F32", "F16"}:
        dtype = np.dtype(np.float32 if storage.name == "F32" else np.float16)
        writer.add_tensor_info(name, shape, dtype, size)
        return
    kind = gguf.GGMLQuantizationType(storage.number)
    byte_shape = gguf.quant_shape_to_byte_shape(shape, kind)
    writer.add_tensor_info(name, byte_shape, np.dtype(np.uint8), size, raw_dtype=kind)


def _write_dimensions(writer: gguf.GGUFWriter, shape: NemotronHShape) -> None:
    writer.add_name("sparse")
    writer.add_block_count(len(shape.pattern))
    writer.add_context_length(shape.max_position_embeddings)
    writer.add_embedding_length(shape.hidden_size)
    writer.add_vocab_size(shape.vocab_size)
    writer.add_head_count(shape.attention_heads)
    writer.add_head_count_kv([shape.kv_heads if kind == "*" else 0 for kind in shape.pattern])
    writer.add_feed_forward_length(
        [shape.intermediate_size if kind == "-" else 0 for kind in shape.pattern]
    )
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_layer_norm_eps(1e-5)
    writer.add_ssm_conv_kernel(shape.conv_kernel)
    writer.add_ssm_state_size(shape.ssm_state_size)
    writer.add_ssm_group_count(shape.ssm_groups)
    writer.add_ssm_inner_size(shape.mamba_inner_size)
    writer.add_ssm_time_step_rank(shape.mamba_heads)
    writer.add_rope_dimension_count(shape.head_dim)


def _write_tokenizer(writer: gguf.GGUFWriter, vocab_size: int, merges: int) -> None:
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = [chr(code) for code in (*printable, *range(256, 256 + 256 - len(printable)))]
    tokens = ["<unk>", "<s>", "</s>", *symbols]
    unused = vocab_size - len(tokens)
    pairs = (f"{left} {right}" for left in symbols for right in symbols)
    listed = [pair for pair, _ in zip(pairs, range(merges), strict=False)]
    listed += [f"a{place} b{place}" for place in range(merges - len(listed))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*tokens, *(f"[unused {place}]" for place in range(unused))])
    writer.add_token_types([3, 3, 3, *[1] * len(symbols), *[5] * unused])
    writer.add_token_merges(listed)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(value=False)
    writer.add_chat_template("{% for m in messages %}{{ m.content }}{% endfor %}")
