import json
from pathlib import Path

import pytest

from trt_nemotron.deploy.checkpoint.embedded import embedded_checkpoint_path
from trt_nemotron.deploy.compile.computed import read_epsilon
from trt_nemotron.errors import CheckpointUnusable


def folder_with(tmp_path: Path, **changes: object) -> Path:
    config = json.loads((embedded_checkpoint_path() / "config.json").read_text())
    config.update(changes)
    kept = {name: value for name, value in config.items() if value != "absent"}
    (tmp_path / "config.json").write_text(json.dumps(kept))
    return tmp_path


def test_the_embedded_checkpoint():
    assert read_epsilon(embedded_checkpoint_path()) == 1e-5


@pytest.mark.parametrize(
    "changes",
    [
        {"mlp_hidden_act": "silu"},
        {"mamba_hidden_act": "gelu"},
        {"sliding_window": 4096},
        {"rope_scaling": {"type": "linear"}},
        {"time_step_limit": [0.001, 0.1]},
        {"time_step_limit": 3},
        {"time_step_limit": [0.0, "many"]},
    ],
)
def test_what_the_graph_would_compute_otherwise_is_refused(
    tmp_path: Path, changes: dict[str, object]
):
    with pytest.raises(CheckpointUnusable) as caught:
        read_epsilon(folder_with(tmp_path, **changes))
    assert next(iter(changes)) in caught.value.evidence


@pytest.mark.parametrize("limit", [[0.0, {"__float__": "Infinity"}], [0, float("inf")], None])
def test_limits_that_limit_nothing(tmp_path: Path, limit: object):
    assert read_epsilon(folder_with(tmp_path, time_step_limit=limit)) == 1e-5


def test_epsilon_under_any_of_its_names(tmp_path: Path):
    renamed = folder_with(tmp_path, layer_norm_epsilon="absent", rms_norm_eps=2e-6)
    assert read_epsilon(renamed) == 2e-6
    with pytest.raises(CheckpointUnusable, match="names no epsilon"):
        read_epsilon(folder_with(tmp_path, layer_norm_epsilon="absent", rms_norm_eps="absent"))
