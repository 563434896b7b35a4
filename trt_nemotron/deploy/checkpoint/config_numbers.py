"""Numbers of a `config.json` that are no dimensions: epsilon, limits of the time step."""

import math
from collections.abc import Mapping
from typing import Any

from trt_nemotron.deploy.checkpoint.hub_config import CONFIG_NAME
from trt_nemotron.errors import CheckpointUnusable

_EPSILONS = ("layer_norm_epsilon", "rms_norm_eps", "norm_eps")


def norm_epsilon(config: Mapping[str, Any]) -> float:
    """Epsilon of every RMS norm, under whichever name the checkpoint gives it.

    Raises:
        CheckpointUnusable: under none.
    """
    for name in _EPSILONS:
        if isinstance(config.get(name), float):
            return float(config[name])
    raise CheckpointUnusable(
        f"{CONFIG_NAME} names no epsilon for the norms",
        evidence=f"looked for {', '.join(_EPSILONS)}",
        next_step="Use the config.json that was published with the weights.",
    )


def has_time_step_limits(config: Mapping[str, Any]) -> bool:
    """Whether the time step of Mamba layers is limited.

    `time_step_min` is no limit at inference but the start of a random initialisation; Transformers
    5.15 to 5.23 clamps prefill with it all the same, which the model's own code does not
    (https://github.com/huggingface/transformers/pull/48989).
    """
    limit = config.get("time_step_limit")
    if limit is None:
        return False
    bounds = tuple(map(_number, limit)) if isinstance(limit, list | tuple) else ()
    return bounds != (0.0, math.inf)


def _number(value: object) -> float:
    """A number as config files write it; Transformers writes infinity as an object."""
    match value:
        case {"__float__": str(text)}:
            return float(text)
        case float() | int():
            return float(value)
        case _:
            return math.nan
