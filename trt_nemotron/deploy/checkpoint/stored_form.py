"""What a network's weights take when its linear layers are stored as BF16, FP8 or NVFP4.

Norms, convolutions, embeddings, routers and the output layer stay BF16 in every form; so do the
linear weights of layers that a checkpoint keeps. FP8 is a byte a number. NVFP4 is half a byte, and
a byte more for every sixteen numbers of a row; single scales are a few KB and left out. A router's
correction bias is F32, as transformers keeps it.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from trt_nemotron.deploy.checkpoint.architecture import HUB_OUTPUT, ROUTED_EXPERTS, hub_tensors
from trt_nemotron.deploy.checkpoint.grouping import group_by_storage
from trt_nemotron.deploy.checkpoint.quantization import FP8, NVFP4, NVFP4_BLOCK
from trt_nemotron.deploy.checkpoint.values import TensorGroup
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.facts.model import StoredWeights

_PLAIN, _PLAIN_BYTES = "BF16", 2
_BIAS, _BIAS_BYTES = "F32", 4
_BIAS_ENDING = ".e_score_correction_bias"


@dataclass(frozen=True, slots=True)
class _Stored:
    """One tensor: its storage, its elements, its bytes and those of its scales."""

    name: str
    storage: str
    elements: int
    size_bytes: int
    scale_bytes: int = 0


def stored_groups(shape: NemotronHShape, stored: StoredWeights) -> tuple[TensorGroup, ...]:
    """Weights by storage type, then the scales of blocks."""
    tensors = tuple(_tensors(shape, stored))
    weights = group_by_storage((it.storage, it.elements, it.size_bytes) for it in tensors)
    scales = group_by_storage(
        (FP8, it.scale_bytes, it.scale_bytes) for it in tensors if it.scale_bytes
    )
    return (*weights, *(msgspec.structs.replace(group, is_scale=True) for group in scales))


def stored_routed_bytes(shape: NemotronHShape, stored: StoredWeights) -> int:
    """Bytes of all routed experts with their scales."""
    return _sum(it for it in _tensors(shape, stored) if ROUTED_EXPERTS in it.name)


def stored_embedding_bytes(shape: NemotronHShape) -> int:
    """Bytes of the token embeddings; 0 where the output layer reads the same tensor."""
    if shape.is_embedding_tied:
        return 0
    return shape.vocab_size * shape.hidden_size * _PLAIN_BYTES


def _sum(tensors: Iterable[_Stored]) -> int:
    return sum(it.size_bytes + it.scale_bytes for it in tensors)


def _tensors(shape: NemotronHShape, stored: StoredWeights) -> Iterator[_Stored]:
    kept = tuple(f"layers.{index}." for index in stored.kept_layers)
    for name, dimensions in hub_tensors(shape).items():
        elements = math.prod(dimensions)
        is_linear = name.endswith("_proj.weight") and name != HUB_OUTPUT
        if name.endswith(_BIAS_ENDING):
            yield _Stored(name, _BIAS, elements, elements * _BIAS_BYTES)
        elif stored.linear == _PLAIN or not is_linear or name.startswith(kept):
            yield _Stored(name, _PLAIN, elements, elements * _PLAIN_BYTES)
        elif stored.linear == NVFP4:
            yield _Stored(name, NVFP4, elements, elements // 2, elements // NVFP4_BLOCK)
        else:
            yield _Stored(name, FP8, elements, elements)
