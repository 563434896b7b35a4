"""Whether llama.cpp's `nemotron_h` computes what a checkpoint's `config.json` asks for.

Its loader takes many settings for granted and says nothing when a checkpoint differs: the file
would load and answer wrongly. So whatever it takes for granted is checked here, before an hour of
converting. Source: src/models/nemotron-h.cpp and mamba-base.cpp of llama.cpp, which fix the
activations, have no rotary embedding, no sliding window and no limits for the time step.
"""

from collections.abc import Mapping
from typing import Any

from trt_nemotron.deploy.checkpoint.config_numbers import has_time_step_limits
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
    if has_time_step_limits(config):
        raise _refused("time_step_limit", config["time_step_limit"], "llama.cpp applies no limits")


def _refused(name: str, value: object, reason: str) -> CheckpointUnusable:
    return CheckpointUnusable(
        "llama.cpp cannot represent this checkpoint",
        evidence=f"config.json: {name} is {value!r}; {reason}",
        next_step="Serve it with --runtime transformers, or use a dense NemotronH checkpoint.",
    )
