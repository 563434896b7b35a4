"""Published NemotronH networks: their `config.json`, what their makers say, what kvfit counts."""

import json
from pathlib import Path
from typing import Any

from trt_nemotron.deploy.checkpoint.hub_config import shape_of_config
from trt_nemotron.deploy.shape import NemotronHShape

_HERE = Path(__file__).parent
MODELS: dict[str, dict[str, Any]] = json.loads(
    (_HERE / "nemotron_h_family.json").read_text()
)["models"]  # fmt: skip
KVFIT: dict[str, list[dict[str, Any]]] = json.loads((_HERE / "kvfit_0_3_0.json").read_text())[
    "models"
]
NAMES = tuple(MODELS)
WITH_EXPERTS = "nemotron-3-nano-30b-a3b"


def config_of(name: str) -> dict[str, Any]:
    """The keys of the model's `config.json` that its dimensions follow from."""
    config: dict[str, Any] = MODELS[name]["config"]
    return config


def shape_of(name: str) -> NemotronHShape:
    """The shape as the product reads it from those keys."""
    return shape_of_config(config_of(name), Path(f"{name}/config.json"))
