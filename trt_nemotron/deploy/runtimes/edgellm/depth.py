"""How many layers of an exported graph are executed and held against Transformers.

All of them where that takes a minute. The 4B in FP32 takes 19 GB and more than a quarter of an hour
on two cores, so that of a large checkpoint the first layers are executed, up to the first that
attends, and then the output layer: every kind of layer, with the checkpoint's own weights. Every
weight of the other layers is compared in any case.
"""

import os
from collections.abc import Mapping

import msgspec

from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.errors import InvalidInput

LAYERS_VARIABLE = "TRT_NEMOTRON_EDGELLM_LAYERS"
"""A number of layers, `all`, or 0 for none."""

FULL_PARAMETERS = 500_000_000
"""Up to here all layers are executed."""

_REFERENCE_BYTES = 5
"""A parameter in FP32 and what is mapped of the file: 19.4 GB were seen for 3.97 billion."""


def layers_to_execute(checkpoint: Checkpoint, variables: Mapping[str, str] = os.environ) -> int:
    """Layers of the graph to execute; 0 for none.

    Raises:
        InvalidInput: the variable says neither a number of layers nor `all`.
    """
    pattern = checkpoint.shape.pattern
    asked = variables.get(LAYERS_VARIABLE, "")
    if asked == "all":
        return len(pattern)
    if asked:
        if not (asked.isascii() and asked.isdigit()):
            raise InvalidInput(
                f"{LAYERS_VARIABLE} is no number of layers",
                evidence=asked,
                next_step="Say a number, `all`, or 0 to compare no logits.",
            )
        return min(int(asked), len(pattern))
    if checkpoint.parameters <= FULL_PARAMETERS:
        return len(pattern)
    return max(pattern.find(kind) for kind in set(pattern)) + 1


def comparing_bytes(shape: NemotronHShape, layers: int) -> int:
    """Memory that Transformers takes for the reference: every parameter in FP32."""
    return first_layers(shape, layers).parameters * _REFERENCE_BYTES + (1 << 30)


def first_layers(shape: NemotronHShape, layers: int) -> NemotronHShape:
    """The network of the first layers, with the same embedding and output layer."""
    return msgspec.structs.replace(shape, pattern=shape.pattern[:layers])
