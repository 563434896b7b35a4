"""What is to be quantized, and whether and where that can be done."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.runtimes.edgellm.calibration import read_calibration
from trt_nemotron.deploy.runtimes.edgellm.environment import PYTHON_VARIABLE
from trt_nemotron.deploy.runtimes.edgellm.quantized import read_quantization
from trt_nemotron.deploy.runtimes.edgellm.quantizer_environment import Quantizer, quantizer_lock
from trt_nemotron.deploy.runtimes.edgellm.values import Calibration
from trt_nemotron.errors import EnvironmentUnfit, InvalidInput

Precision = Literal["fp8", "nvfp4"]
Device = Literal["cuda", "cpu"]

SMALL_PARAMETERS = 50_000_000
"""Up to here the processor calibrates; 512 documents through the 4B would take it a day."""

_UNQUANTIZED = frozenset({"F32", "F16", "BF16"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be made.

    Attributes:
        calibration: file of documents.
        samples: of them to read at most.
        release: of Edge-LLM.
    """

    checkpoint: Checkpoint
    precision: Precision
    calibration: Path
    samples: int
    release: str


def check_wanted(wanted: Wanted, out: Path) -> Calibration:
    """Refuse what cannot be quantized, before anything is installed.

    Raises:
        InvalidInput: no safetensors, quantized already, unusable data, a release without a lock,
            or `out` holds something else.
    """
    checkpoint = wanted.checkpoint
    if checkpoint.format != "safetensors" or checkpoint.quantization not in _UNQUANTIZED:
        raise InvalidInput(
            f"{checkpoint.name} cannot be quantized by Edge-LLM",
            evidence=f"{checkpoint.format}, stored as {checkpoint.quantization}",
            next_step="Give the BF16 checkpoint as a folder of safetensors.",
        )
    if checkpoint.shape.experts is not None:
        raise InvalidInput(
            "mixtures of experts are not quantized by this version",
            evidence=f"layers: {checkpoint.shape.pattern}",
            next_step="Use the published FP8 or NVFP4 checkpoint.",
        )
    if not os.environ.get(PYTHON_VARIABLE):
        quantizer_lock(wanted.release)
    if out.exists() and read_quantization(out) is None:
        raise InvalidInput(
            f"{out} is there already, and nothing that this command made",
            next_step="Name another folder with --out.",
        )
    return read_calibration(wanted.calibration, wanted.samples)[0]


def choose_device(checkpoint: Checkpoint, tools: Quantizer) -> Device:
    """The GPU where there is one; else the processor, for small checkpoints.

    Raises:
        EnvironmentUnfit: a large checkpoint and no GPU.
    """
    if tools.has_gpu:
        return "cuda"
    if checkpoint.parameters <= SMALL_PARAMETERS:
        return "cpu"
    raise EnvironmentUnfit(
        f"quantizing {checkpoint.parameters / 1e9:.2f} billion parameters takes a GPU",
        evidence=f"torch {tools.packages.get('torch', '')} sees none here",
        next_step="Run the same command on a machine with a GPU (the result is a folder that can "
        "be copied), or use the published FP8 checkpoint.",
    )
