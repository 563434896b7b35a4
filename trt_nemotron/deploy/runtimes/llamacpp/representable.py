"""Whether llama.cpp's `nemotron_h` computes what a checkpoint's `config.json` asks for.

Its loader takes many settings for granted and says nothing when a checkpoint differs: the file
would load and answer wrongly. So whatever it takes for granted is checked here, before an hour of
converting. Source: src/models/nemotron-h.cpp and mamba-base.cpp of llama.cpp, which fix the
activations, have no rotary embedding, no sliding window and no limits for the time step.
"""

import math
from collections.abc import Mapping
from typing import Any

from trt_nemotron.errors import CheckpointUnusable

_FIXED: dict[str, tuple[object, ...]] = {
    "mlp_hidden_act": ("relu2",),
    "mamba_hidden_act": ("silu", "swish"),
    "sliding_window": (None,),
    "rope_scaling": (None,),
    "num_nextn_predict_layers": (0,),
}
"""Setting -> values that llama.cpp computes; a setting that is not given has the first one.

Settings that add or remove tensors are checked where a checkpoint is opened."""


def check_representable(config: Mapping[str, Any]) -> None:
    """Refuse a network that llama.cpp would compute otherwise.

    Raises:
        CheckpointUnusable: naming the setting, its value and what llama.cpp does instead.
    """
    for name, accepted in _FIXED.items():
        if name in config and config[name] not in accepted:
            raise _refused(name, config[name], f"llama.cpp always computes with {accepted[0]!r}")
    _check_time_step(config)


def norm_epsilon(config: Mapping[str, Any]) -> float:
    """Epsilon of every RMS norm, under whichever name the checkpoint gives it.

    Raises:
        CheckpointUnusable: under none.
    """
    for name in ("layer_norm_epsilon", "rms_norm_eps", "norm_eps"):
        if isinstance(config.get(name), float):
            return float(config[name])
    raise CheckpointUnusable(
        "config.json names no epsilon for the norms",
        evidence="looked for layer_norm_epsilon, rms_norm_eps and norm_eps",
        next_step="Use the config.json that was published with the weights.",
    )


def _check_time_step(config: Mapping[str, Any]) -> None:
    """Limits of the time step: llama.cpp applies none.

    `time_step_min` is no limit at inference but the start of a random initialisation; Transformers
    5.15 to 5.23 clamps prefill with it all the same, which the model's own code does not
    (https://github.com/huggingface/transformers/pull/48989).
    """
    match config.get("time_step_limit"):
        case None:
            return
        case [low, high]:
            bounds = (_number(low), _number(high))
        case other:
            bounds = (_number(other), math.nan)
    if bounds != (0.0, math.inf):
        raise _refused("time_step_limit", config["time_step_limit"], "llama.cpp applies no limits")


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
        "llama.cpp cannot represent this checkpoint",
        evidence=f"config.json: {name} is {value!r}; {reason}",
        next_step="Serve it with --runtime transformers, or use a dense NemotronH checkpoint.",
    )
