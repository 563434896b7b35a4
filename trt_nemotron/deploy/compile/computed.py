"""Whether the graph computes what a checkpoint's `config.json` asks for.

The layers here take some settings for granted, as the published model has them. A checkpoint that
differs would compile and compute something else, so it is refused. `time_step_min` is no limit at
inference but the start of a random initialisation; Transformers 5.15 to 5.23 clamps prefill with it
all the same (https://github.com/huggingface/transformers/pull/48989), the model's own code does
not, and neither does the graph.
"""

import json
import math
from pathlib import Path
from typing import Any

from trt_nemotron.deploy.checkpoint.hub_config import CONFIG_NAME
from trt_nemotron.errors import CheckpointUnusable

_FIXED: dict[str, tuple[object, ...]] = {
    "mlp_hidden_act": ("relu2",),
    "mamba_hidden_act": ("silu", "swish"),
    "sliding_window": (None,),
    "rope_scaling": (None,),
}
"""Setting -> values that the graph computes; one that is not given has the first."""

_EPSILONS = ("layer_norm_epsilon", "rms_norm_eps", "norm_eps")


def read_epsilon(folder: Path) -> float:
    """Epsilon of every RMS norm of the checkpoint in `folder`, all else being as the graph has it.

    Raises:
        CheckpointUnusable: naming the setting that the graph would compute otherwise.
    """
    # Opening the checkpoint has read this file: it is a JSON object.
    config: dict[str, Any] = json.loads((folder / CONFIG_NAME).read_bytes())
    for name, accepted in _FIXED.items():
        if config.get(name, accepted[0]) not in accepted:
            raise _refused(name, config[name], f"the graph computes with {accepted[0]!r}")
    limit = config.get("time_step_limit")
    if limit is not None and _bounds(limit) != (0.0, math.inf):
        raise _refused("time_step_limit", limit, "the graph applies no limits")
    for name in _EPSILONS:
        if isinstance(config.get(name), float):
            return float(config[name])
    raise CheckpointUnusable(
        f"{CONFIG_NAME} names no epsilon for the norms",
        evidence=f"looked for {', '.join(_EPSILONS)}",
        next_step="Use the config.json that was published with the weights.",
    )


def _bounds(limit: object) -> tuple[float, ...]:
    return tuple(map(_number, limit)) if isinstance(limit, list) else ()


def _number(value: object) -> float:
    """A number as config files write it; Transformers writes infinity as an object."""
    match value:
        case {"__float__": str(text)}:
            return float(text)
        case float() | int():
            return float(value)
        case _:
            return math.nan


def _refused(name: str, value: object, reason: str) -> CheckpointUnusable:
    return CheckpointUnusable(
        "no graph is built of this checkpoint",
        evidence=f"{CONFIG_NAME}: {name} is {value!r}; {reason}",
        next_step="Use the published NVIDIA-Nemotron-3-Nano-4B checkpoints.",
    )
