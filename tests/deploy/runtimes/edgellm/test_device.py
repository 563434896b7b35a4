"""Step two against a double of the device: an engine counts when the file convinces, no log."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from trt_nemotron.deploy.runtimes.edgellm.device import (
    DeviceTools,
    build_engine,
    builder_arguments,
    check_engine,
    standing,
)
from trt_nemotron.deploy.runtimes.edgellm.predicted import compare_config
from trt_nemotron.deploy.runtimes.edgellm.sizes import EngineSizes
from trt_nemotron.errors import CheckFailed, CommandFailed
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.progress import SILENT

DOUBLE = Path(__file__).with_name("device_double.py")
SIZES = EngineSizes(batch=4, input_tokens=4096, capacity=8192)
EXPECTED: dict[str, Any] = {
    "model": "nemotron_h",
    "recurrent_state_dtype": "fp16",
    "builder_config": {
        "max_input_len": 4096,
        "max_batch_size": 4,
        "max_kv_cache_capacity": 8192,
        "max_kv_pool_pages": 256,
        "ragged_backend": "entry_padded_compatibility",
    },
}


def tools(mode: str) -> DeviceTools:
    double = (sys.executable, str(DOUBLE), mode)
    return DeviceTools((*double, "preflight"), (*double, "build"), (*double, "load"))


@pytest.fixture
def checkpoint(random_checkpoints: Any, tmp_path: Path) -> Path:
    folder: Path = random_checkpoints.RandomCheckpoint(stored="F16").write(tmp_path / "checkpoint")
    return folder


@pytest.fixture(autouse=True)
def double_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "double-config.json"
    path.write_text(json.dumps(EXPECTED))
    monkeypatch.setenv("DOUBLE_CONFIG", str(path))


def build(mode: str, checkpoint: Path, folder: Path) -> None:
    build_engine(checkpoint, folder, SIZES, EXPECTED, tools=tools(mode), progress=SILENT)


def test_engine_appears_when_everything_is_right(checkpoint: Path, tmp_path: Path):
    folder = tmp_path / "engine"
    build("right", checkpoint, folder)
    assert {path.name for path in folder.iterdir()} == {"llm.engine", "config.json"}
    check_engine(folder, EXPECTED, tools("right"))


@pytest.mark.parametrize(
    ("mode", "message", "evidence"),
    [
        ("writes-nothing", "reported success and wrote no engine", "no llm.engine"),
        ("truncated", "does not load", "cannot deserialize"),
        ("one-profile", "does not load", "it has 1 profiles"),
        ("tiny", "too small to be one", "4,096 bytes"),
        ("no-configuration", "no configuration that can be read", "config.json"),
        (
            "other-configuration",
            "of another configuration: builder_config.max_batch_size",
            "is 5, the plan demands 4",
        ),
    ],
)
def test_sabotage_is_caught_with_its_own_message(
    mode: str, message: str, evidence: str, checkpoint: Path, tmp_path: Path
):
    folder = tmp_path / "engine"
    with pytest.raises(CheckFailed, match=message) as caught:
        build(mode, checkpoint, folder)
    assert evidence in caught.value.evidence
    assert caught.value.next_step
    assert not folder.exists()
    assert not list(tmp_path.glob(".engine*"))


def test_builder_that_fails_is_told_with_its_last_words(checkpoint: Path, tmp_path: Path):
    with pytest.raises(CommandFailed) as caught:
        build("crashes", checkpoint, tmp_path / "engine")
    assert "out of memory" in caught.value.evidence


def test_f32_checkpoint_is_refused_by_the_double_as_by_the_real_one(
    random_checkpoints: Any, tmp_path: Path
):
    folder = random_checkpoints.RandomCheckpoint(stored="F32").write(tmp_path / "f32")
    with pytest.raises(CommandFailed) as caught:
        build("right", folder, tmp_path / "engine")
    assert "expects float16" in caught.value.evidence


def test_arguments_are_flags_of_the_release_and_leave_no_default(release: RuntimeRelease):
    known = {flag.name for flag in release.program("tensorrt-edgellm-build").flags}
    words = builder_arguments("C", "E", SIZES)
    assert set(words[::2]) <= known
    assert dict(zip(words[::2], words[1::2], strict=True)) == {
        "--model-dir": "C", "--engine-dir": "E", "--components": "all",
        "--max-input-len": "4096", "--max-kv-cache-capacity": "8192", "--max-batch-size": "4",
    }  # fmt: skip


def test_standing_tells_device_and_none():
    assert standing(tools("right")).payload == "jetson-thor-jp72-cu13-sm110"
    none = standing(tools("no-device"))
    assert (none.payload, none.fault) == ("", "NativeDetectionError: no platform")
    broken = standing(DeviceTools((sys.executable, "-c", "raise SystemExit('gone')"), (), ()))
    assert not broken.payload
    assert "gone" in broken.fault


def test_comparison_names_the_first_field_and_counts_the_others():
    found = {
        "model": "nemotron_h",
        "recurrent_state_dtype": "fp32",
        "builder_config": {**EXPECTED["builder_config"], "max_input_len": 32},
        "checkpoint_identity": {},
    }
    with pytest.raises(CheckFailed, match=r"builder_config\.max_input_len") as caught:
        compare_config(EXPECTED, found)
    assert "1 more fields differ" in caught.value.evidence
    compare_config(EXPECTED, {**EXPECTED, "checkpoint_dir": "/x"})
    with pytest.raises(CheckFailed, match="surprise"):
        compare_config(EXPECTED, {**EXPECTED, "surprise": 1})
    with pytest.raises(CheckFailed, match="of another configuration: builder_config"):
        compare_config(EXPECTED, {})
