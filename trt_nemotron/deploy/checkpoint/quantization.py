"""Quantized weights as NVIDIA's ModelOpt writes them: what the files hold, and what they say.

FP8: a linear layer's `weight` is F8_E4M3, with `weight_scale` (one, or one a row) beside it.
NVFP4: its `weight` is U8, two FP4 numbers to a byte; `weight_scale` is F8_E4M3, one for sixteen
numbers of a row; `weight_scale_2` is one F32. Either may carry `input_scale`, and attention layers
`k_scale` and `v_scale` for an FP8 KV cache.

Format: https://github.com/NVIDIA/Model-Optimizer (unified checkpoints for the hub).
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from trt_nemotron.deploy.checkpoint.architecture import Dimensions
from trt_nemotron.deploy.checkpoint.grouping import group_by_storage, largest_storage
from trt_nemotron.deploy.checkpoint.safetensors_header import StoredTensor
from trt_nemotron.deploy.checkpoint.values import TensorGroup
from trt_nemotron.errors import CheckpointUnusable

QUANTIZATION_NAME = "hf_quant_config.json"
FP8 = "F8_E4M3"
NVFP4 = "NVFP4"
NVFP4_BLOCK = 16
"""Numbers of a row that share one scale."""

LINEAR_ENDINGS = ("_proj.weight", "lm_head.weight")
"""Weights that may be quantized; norms, convolutions and embeddings may not."""

_PACKED = "U8"
_NUMBERS_PER_BYTE = 2
_SCALES = ("weight_scale", "weight_scale_2", "input_scale", "k_scale", "v_scale")
_CONFIG_NAME = "config.json"


@dataclass(frozen=True, slots=True)
class Statement:
    """What a checkpoint's own configuration says.

    Attributes:
        algorithm: `FP8`, `NVFP4` or another word of ModelOpt's; empty when nothing is said.
        kv_cache: the type of KV cache that it is calibrated for; empty for none.
    """

    algorithm: str = ""
    kv_cache: Literal["", "fp8"] = ""


def is_scale(name: str, found: Mapping[str, StoredTensor]) -> bool:
    """Whether the tensor called `name` is a scale that belongs to a weight in `found`."""
    stem, _, last = name.rpartition(".")
    return last in _SCALES and f"{stem}.weight" in found


def groups_of(tensors: Iterable[StoredTensor]) -> tuple[TensorGroup, ...]:
    """Weights by storage type, packed FP4 counted by its numbers; then their scales likewise."""
    weights: list[tuple[str, int, int]] = []
    scales: list[tuple[str, int, int]] = []
    for tensor in tensors:
        triple = _counted(tensor)
        (scales if tensor.name.rpartition(".")[2] in _SCALES else weights).append(triple)
    marked = (msgspec.structs.replace(it, is_scale=True) for it in group_by_storage(scales))
    return (*group_by_storage(weights), *marked)


def _counted(tensor: StoredTensor) -> tuple[str, int, int]:
    if tensor.storage == _PACKED:
        return NVFP4, tensor.elements * _NUMBERS_PER_BYTE, tensor.size_bytes
    return tensor.storage, tensor.elements, tensor.size_bytes


def quantization_of(groups: tuple[TensorGroup, ...]) -> str:
    """The lowest precision that weights have, or the storage of most bytes when none is low."""
    storages = {group.storage for group in groups if not group.is_scale}
    for low in (NVFP4, FP8):
        if low in storages:
            return low
    return largest_storage(groups)


def check_linear(
    folder: Path, name: str, dimensions: Dimensions, found: Mapping[str, StoredTensor]
) -> None:
    """See that a quantized linear weight has the shape and the scales that its form demands.

    Args:
        folder: the checkpoint's, for messages.
        name: of the weight, without prefix.
        dimensions: as the architecture demands them, unpacked.
        found: every tensor by its name without prefix.

    Raises:
        CheckpointUnusable: naming the tensor.
    """
    weight = found[name]
    stem = name.removesuffix(".weight")
    is_packed = weight.storage == _PACKED
    rows, columns = dimensions
    expected = (rows, columns // _NUMBERS_PER_BYTE) if is_packed else dimensions
    if weight.shape != expected:
        raise _unusable(
            folder,
            weight.name,
            f"is {weight.storage} {list(weight.shape)}, its form demands {list(expected)}",
        )
    scale = found.get(f"{stem}.weight_scale")
    if scale is None:
        raise _unusable(folder, weight.name, "is quantized, and has no weight_scale beside it")
    wanted = _scale_shapes(dimensions, is_packed=is_packed)
    if scale.shape not in wanted or (scale.storage == FP8) != is_packed:
        raise _unusable(
            folder,
            scale.name,
            f"is {scale.storage} {list(scale.shape)}, its weight demands "
            f"{FP8 if is_packed else 'F32'} {' or '.join(str(list(it)) for it in wanted)}",
        )
    if is_packed:
        whole = found.get(f"{stem}.weight_scale_2")
        if whole is None or math.prod(whole.shape) != 1:
            raise _unusable(folder, weight.name, "is NVFP4, and has no single weight_scale_2")


def _scale_shapes(dimensions: Dimensions, *, is_packed: bool) -> tuple[Dimensions, ...]:
    rows, columns = dimensions
    if is_packed:
        return ((rows, columns // NVFP4_BLOCK),)
    return ((), (1,), (rows,), (rows, 1))


def read_statement(folder: Path) -> Statement:
    """What `hf_quant_config.json`, or `config.json` without it, says of quantization.

    Raises:
        CheckpointUnusable: the file is not a JSON object.
    """
    own = folder / QUANTIZATION_NAME
    if own.is_file():
        tree = _object(own).get("quantization")
        return _statement(tree if isinstance(tree, dict) else {}, "kv_cache_quant_algo")
    tree = _object(folder / _CONFIG_NAME).get("quantization_config")
    return _statement(tree, "kv_cache_quant_algo") if isinstance(tree, dict) else Statement()


def _statement(tree: dict[str, Any], kv_key: str) -> Statement:
    algorithm, kv = tree.get("quant_algo"), tree.get(kv_key)
    if kv is None and isinstance(tree.get("kv_cache_scheme"), dict):
        kv = "FP8" if tree["kv_cache_scheme"].get("num_bits") == 8 else None
    return Statement(
        algorithm=algorithm if isinstance(algorithm, str) else "",
        kv_cache="fp8" if kv == "FP8" else "",
    )


def refuse_contradiction(folder: Path, quantization: str, statement: Statement) -> None:
    """Refuse a checkpoint whose configuration says other than its tensors.

    Raises:
        CheckpointUnusable: FP8 said and not there, or the other way round.
    """
    words = {"FP8": FP8, "NVFP4": NVFP4}
    said = words.get(statement.algorithm)
    is_low = quantization in words.values()
    if (said is not None and said != quantization) or (
        statement.algorithm and said is None and not is_low
    ):
        raise CheckpointUnusable(
            f"{folder} contradicts itself",
            evidence=f"its configuration says {statement.algorithm}, its weights are "
            f"{quantization}",
            next_step="Download configuration and weights again, from the same revision.",
        )


def _object(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as fault:
        raise CheckpointUnusable(
            f"{path} is not valid JSON", evidence=str(fault), next_step="Download it again."
        ) from fault
    if not isinstance(tree, dict):
        raise CheckpointUnusable(f"{path} is not a JSON object", evidence=type(tree).__name__)
    return tree


def _unusable(folder: Path, name: str, evidence: str) -> CheckpointUnusable:
    return CheckpointUnusable(
        f"{folder} holds a quantized tensor that cannot be used",
        evidence=f"{name} {evidence}",
        next_step="Download it again, or use the BF16 checkpoint.",
    )
