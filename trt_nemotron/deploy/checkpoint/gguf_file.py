"""A GGUF file as a checkpoint: its header gives the shape and the storage of every tensor."""

from pathlib import Path

import msgspec

from trt_nemotron.deploy.checkpoint.architecture import (
    ARCHITECTURE,
    GGUF_OUTPUT,
    gguf_tensors,
    refuse_inconsistent,
)
from trt_nemotron.deploy.checkpoint.gguf_header import GgufHeader, read_gguf_header
from trt_nemotron.deploy.checkpoint.grouping import group_by_storage, largest_storage
from trt_nemotron.deploy.checkpoint.values import Checkpoint, CheckpointFile
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.errors import CheckpointUnusable

_TOKENS = "tokenizer.ggml.tokens"


def open_gguf_file(path: Path) -> Checkpoint:
    """Read the header of the GGUF at `path` and verify it against the architecture.

    Raises:
        CheckpointUnusable: with what is wrong.
    """
    header = read_gguf_header(path)
    _refuse_other_architectures(path, header)
    shape = _Metadata(path, header).shape()
    refuse_inconsistent(shape, str(path))
    _check_tensors(path, header, shape)
    groups = group_by_storage((t.storage.name, t.elements, t.size_bytes) for t in header.tensors)
    return Checkpoint(
        name=path.stem,
        format="gguf",
        path=str(path),
        shape=shape,
        quantization=largest_storage(groups),
        groups=groups,
        files=(CheckpointFile(name=path.name, size_bytes=header.file_bytes),),
    )


def _refuse_other_architectures(path: Path, header: GgufHeader) -> None:
    architecture = header.metadata.get("general.architecture")
    if architecture == f"{ARCHITECTURE}_moe":
        raise CheckpointUnusable(
            f"{path} holds a mixture of experts, which cannot be represented yet",
            evidence=f"general.architecture is {architecture!r}. llama.cpp's converter also "
            "writes this for a dense model when transformers 5 is installed beside it; such a "
            "file does not load.",
            next_step="Use NVIDIA's published GGUF, or convert with this tool.",
        )
    if architecture != ARCHITECTURE:
        raise CheckpointUnusable(
            f"{path} is not a NemotronH model",
            evidence=f"general.architecture is {architecture!r}, expected {ARCHITECTURE!r}",
            next_step="Give a GGUF of NVIDIA-Nemotron-3-Nano-4B, or --checkpoint embedded.",
        )
    parts = header.metadata.get("split.count", 0)
    if isinstance(parts, int) and parts > 1:
        raise CheckpointUnusable(
            f"{path} is one of {parts} parts of a split model",
            evidence=f"split.count is {parts}",
            next_step="Join the parts first: llama-gguf-split --merge FIRST_PART OUT.gguf",
        )


class _Metadata:
    """The dimensions that a NemotronH GGUF carries, found by key."""

    def __init__(self, path: Path, header: GgufHeader) -> None:
        self._path = path
        self._header = header

    def shape(self) -> NemotronHShape:
        layers = self._int("block_count")
        kv_heads = self._per_layer("attention.head_count_kv", layers)
        widths = self._per_layer("feed_forward_length", layers)
        heads = self._per_layer("attention.head_count", layers)
        inner, mamba_heads = self._int("ssm.inner_size"), self._int("ssm.time_step_rank")
        if mamba_heads < 1 or inner % mamba_heads:
            raise self._unusable(f"ssm.inner_size {inner} over {mamba_heads} heads is no head size")
        tree = {
            "pattern": _pattern(kv_heads, widths),
            "hidden_size": self._int("embedding_length"),
            "intermediate_size": self._only(widths, "feed_forward_length"),
            "vocab_size": self._header.array_lengths.get(_TOKENS, 0),
            "attention_heads": self._only(heads, "attention.head_count"),
            "kv_heads": self._only(kv_heads, "attention.head_count_kv"),
            "head_dim": self._int("attention.key_length"),
            "mamba_heads": mamba_heads,
            "mamba_head_dim": inner // mamba_heads,
            "ssm_groups": self._int("ssm.group_count"),
            "ssm_state_size": self._int("ssm.state_size"),
            "conv_kernel": self._int("ssm.conv_kernel"),
            "max_position_embeddings": self._int("context_length"),
            "is_embedding_tied": all(t.name != GGUF_OUTPUT for t in self._header.tensors),
        }
        try:
            return msgspec.convert(tree, NemotronHShape)
        except msgspec.ValidationError as fault:
            raise self._unusable(str(fault)) from fault

    def _value(self, key: str) -> object:
        name = f"{ARCHITECTURE}.{key}"
        if name not in self._header.metadata:
            raise self._unusable(f"metadata {name!r} is missing")
        return self._header.metadata[name]

    def _int(self, key: str) -> int:
        value = self._value(key)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._unusable(f"metadata {ARCHITECTURE}.{key} is {value!r}, not a number")
        return value

    def _per_layer(self, key: str, layers: int) -> tuple[int, ...]:
        """One number a layer; a single number stands for all layers."""
        value = self._value(key)
        listed = value if isinstance(value, tuple) else (value,) * max(layers, 0)
        numbers = tuple(n for n in listed if isinstance(n, int) and not isinstance(n, bool))
        if len(listed) != layers or len(numbers) != layers:
            raise self._unusable(f"metadata {ARCHITECTURE}.{key} does not give {layers} numbers")
        return numbers

    def _only(self, numbers: tuple[int, ...], key: str) -> int:
        """The one number that is not zero: every layer of a kind has the same dimensions.

        A kind without layers has none, and no byte follows from it: 1 stands for it.
        """
        distinct = sorted({number for number in numbers if number}) or [1]
        if len(distinct) != 1:
            raise self._unusable(f"metadata {ARCHITECTURE}.{key} holds {distinct}, not one number")
        return distinct[0]

    def _unusable(self, evidence: str) -> CheckpointUnusable:
        return CheckpointUnusable(
            f"{self._path} does not describe a NemotronH network",
            evidence=evidence,
            next_step="Download or convert it again.",
        )


def _pattern(kv_heads: tuple[int, ...], widths: tuple[int, ...]) -> str:
    """As llama.cpp tells the kinds apart: a feed-forward width, else KV heads, else Mamba."""
    letters = (
        "-" if width else "*" if heads else "M"
        for heads, width in zip(kv_heads, widths, strict=True)
    )
    return "".join(letters)


def _check_tensors(path: Path, header: GgufHeader, shape: NemotronHShape) -> None:
    expected = gguf_tensors(shape)
    found = {tensor.name: tensor.dimensions for tensor in header.tensors}
    missing, foreign = (
        sorted(expected.keys() - found.keys()),
        sorted(found.keys() - expected.keys()),
    )
    if missing or foreign:
        kind, names = ("lacks", missing) if missing else ("has foreign", foreign)
        raise CheckpointUnusable(
            f"{path} {kind} tensors",
            evidence=f"{len(names)} of them, the first: {names[0]}",
            next_step="Download or convert it again.",
        )
    for name, dimensions in expected.items():
        if found[name] != dimensions:
            raise CheckpointUnusable(
                f"{path} has a tensor of the wrong shape",
                evidence=f"{name} is {list(found[name])}, its metadata demands {list(dimensions)}",
                next_step="Download or convert it again.",
            )
