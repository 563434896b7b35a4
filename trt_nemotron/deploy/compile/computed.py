"""Whether the graph computes what a checkpoint's `config.json` asks for.

The layers here take some settings for granted, as the published model has them. A checkpoint that
differs would compile and compute something else, so it is refused.
"""

import json
from pathlib import Path
from typing import Any

from trt_nemotron.deploy.checkpoint.config_numbers import has_time_step_limits, norm_epsilon
from trt_nemotron.deploy.checkpoint.hub_config import CONFIG_NAME
from trt_nemotron.errors import CheckpointUnusable

_FIXED: dict[str, tuple[object, ...]] = {
    "mlp_hidden_act": ("relu2",),
    "mamba_hidden_act": ("silu", "swish"),
    "sliding_window": (None,),
    "rope_scaling": (None,),
}
"""Setting -> values that the graph computes; one that is not given has the first."""


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
    if has_time_step_limits(config):
        limit = config["time_step_limit"]
        raise _refused("time_step_limit", limit, "the graph applies no limits")
    return norm_epsilon(config)


def _refused(name: str, value: object, reason: str) -> CheckpointUnusable:
    return CheckpointUnusable(
        "no graph is built of this checkpoint",
        evidence=f"{CONFIG_NAME}: {name} is {value!r}; {reason}",
        next_step="Use the published NVIDIA-Nemotron-3-Nano-4B checkpoints.",
    )
