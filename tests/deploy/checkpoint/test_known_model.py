from pathlib import Path

import pytest

from trt_nemotron.deploy.bundle.writer import build_bundle, find_built
from trt_nemotron.deploy.checkpoint.known_model import (
    known_checkpoint,
    known_names,
    require_files,
)
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.planning import make_plan
from trt_nemotron.deploy.runtimes.catalogue import get_runtime
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.errors import CheckpointUnusable

LAPTOP = Machine(architecture="x86_64", cores=2, memory_total_bytes=8 << 30)


@pytest.mark.parametrize("name", known_names())
def test_published_name_is_found_in_any_case_with_and_without_its_maker(name: str):
    short, long = known_checkpoint(name.upper()), known_checkpoint(f"NVIDIA-{name}")
    assert short is not None
    assert short == long
    assert not short.files


def test_no_other_name_is_one():
    assert known_checkpoint("nemotron-3-nano-4b") is None
    assert known_checkpoint("nemotron-3-nano-4b-gguf") is None


def test_plan_needs_no_weights_and_build_says_that_it_does(tmp_path: Path):
    name = Path("nemotron-3-nano-4b-bf16")
    plan, checkpoint = make_plan("h100-sxm", None, name, Wishes(), LAPTOP)
    assert plan.checkpoint.name == "NVIDIA-Nemotron-3-Nano-4B-BF16"
    runtime = get_runtime("trtllm")
    for work in (
        lambda: build_bundle(tmp_path / "out", plan, checkpoint, runtime),
        lambda: runtime.build(plan, checkpoint, tmp_path, progress=None),  # type: ignore[arg-type]
        lambda: require_files(checkpoint),
    ):
        with pytest.raises(CheckpointUnusable, match="can be planned, not built"):
            work()
    assert find_built(tmp_path / "out", plan, checkpoint) is None
    assert not (tmp_path / "out").exists()


def test_folder_of_that_name_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "nemotron-3-nano-4b-bf16").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointUnusable, match=r"config\.json"):
        make_plan("h100-sxm", None, Path("nemotron-3-nano-4b-bf16"), Wishes(), LAPTOP)
