"""A quantized checkpoint: what is said of it, and whether it is what was asked for."""

import math
import struct
from pathlib import Path

from trt_nemotron.deploy.bundle.placing import source_folder
from trt_nemotron.deploy.checkpoint.safetensors_header import read_safetensors_header
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.runtimes.edgellm.graph import linear_layers, quantized_layers
from trt_nemotron.deploy.runtimes.edgellm.values import (
    QUANTIZATION_RECORD,
    Calibration,
    Quantization,
)
from trt_nemotron.document import read_document
from trt_nemotron.errors import CheckFailed, InvalidInput

_STORED = {"fp8": "F8_E4M3", "nvfp4": "NVFP4"}
_WEIGHTS = ".safetensors"


def calibration_of(checkpoint: Checkpoint) -> Calibration | None:
    """The data that a checkpoint was quantized with; nothing when this tool did not do it."""
    record = read_quantization(source_folder(checkpoint)) if checkpoint.files else None
    return record.calibration if record else None


def read_quantization(folder: Path) -> Quantization | None:
    """The record in a checkpoint's folder; nothing where there is none that can be read."""
    try:
        return read_document(folder / QUANTIZATION_RECORD, Quantization)
    except InvalidInput:
        return None


def judge_quantized(checkpoint: Checkpoint, precision: str) -> int:
    """Refuse a checkpoint that is not quantized as asked; the number of its quantized layers.

    Every linear layer but the output layer is, as in the published FP8 checkpoint's form. A layer
    that the calibration did not reach has a scale that is no number, or nought.

    Raises:
        CheckFailed: with what was expected and what is there.
    """
    found, wanted = quantized_layers(checkpoint), linear_layers(checkpoint.shape) - 1
    if checkpoint.quantization != _STORED[precision] or found != wanted:
        raise CheckFailed(
            f"the quantizer wrote a checkpoint that is not in {precision}",
            evidence=f"{found} of {wanted} linear layers are quantized, stored as "
            f"{checkpoint.quantization}",
            next_step="Report it upstream, with the quantizer's log.",
        )
    wrong = _wrong_scales(checkpoint)
    if wrong:
        raise CheckFailed(
            "the quantizer wrote scales that are no positive numbers",
            evidence=f"{', '.join(wrong[:3])}: {len(wrong)} in all",
            next_step="Give calibration data that is like what the model will read.",
        )
    return found


def _wrong_scales(checkpoint: Checkpoint) -> list[str]:
    wrong = []
    for file in checkpoint.files:
        if not file.name.endswith(_WEIGHTS):
            continue
        path = source_folder(checkpoint) / file.name
        with path.open("rb") as read:
            begin = 8 + int.from_bytes(read.read(8), "little")
            for tensor in read_safetensors_header(path):
                if "_scale" not in tensor.name or tensor.storage != "F32":
                    continue
                read.seek(begin + tensor.start)
                values = struct.iter_unpack("<f", read.read(tensor.size_bytes))
                if not all(math.isfinite(value) and value > 0 for (value,) in values):
                    wrong.append(tensor.name)
    return wrong
