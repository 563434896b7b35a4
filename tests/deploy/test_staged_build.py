"""A bundle that waits for a step of the device is built on there, and kept elsewhere."""

from pathlib import Path

import pytest

from trt_nemotron.deploy.bundle.reader import verify_bundle
from trt_nemotron.deploy.bundle.writer import build_bundle
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.machine import detect_machine
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.llamacpp.runtime import LlamaCpp
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.deploy.runtimes.staged import Staged, is_to_be_finished
from trt_nemotron.errors import InvalidInput
from trt_nemotron.facts.catalogue import load_target
from trt_nemotron.progress import Progress


class TwoSteps(LlamaCpp):
    """A double of a runtime with two steps: the second writes `engine` where the device is."""

    def __init__(self, *, is_device: bool) -> None:
        self.is_device = is_device
        self.builds = 0

    def build(
        self, plan: Plan, checkpoint: Checkpoint, model_folder: Path, progress: Progress
    ) -> str:
        self.builds += 1
        (model_folder / "graph").write_text("graph")
        if self.is_device:
            (model_folder / "engine").write_text("engine")
        return "graph"

    def pending(self, model_folder: Path) -> str:
        return "" if (model_folder / "engine").exists() else "the engine"

    def can_finish(self, plan: Plan) -> bool:
        return self.is_device


@pytest.fixture
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return open_checkpoint(tiny_checkpoint)


@pytest.fixture
def plan(checkpoint: Checkpoint) -> Plan:
    return LlamaCpp().plan(load_target("cpu"), detect_machine(), checkpoint, Wishes())


def test_bundle_is_kept_where_nothing_can_be_done_and_built_on_where_it_can(
    plan: Plan, checkpoint: Checkpoint, tmp_path: Path
):
    out, elsewhere = tmp_path / "bundle", TwoSteps(is_device=False)
    build_bundle(out, plan, checkpoint, elsewhere)
    build_bundle(out, plan, checkpoint, elsewhere)
    assert elsewhere.builds == 1
    assert not (out / "model" / "engine").exists()
    device = TwoSteps(is_device=True)
    build_bundle(out, plan, checkpoint, device)
    assert (out / "model" / "engine").exists()
    verify_bundle(out)
    build_bundle(out, plan, checkpoint, device)
    assert device.builds == 1


def test_building_on_never_replaces_another_bundle(
    plan: Plan, checkpoint: Checkpoint, tmp_path: Path
):
    out = tmp_path / "bundle"
    build_bundle(out, plan, checkpoint, TwoSteps(is_device=False))
    other = LlamaCpp().plan(
        load_target("cpu"), detect_machine(), checkpoint, Wishes(served_model_name="other")
    )
    with pytest.raises(InvalidInput, match="holds another bundle"):
        build_bundle(out, other, checkpoint, TwoSteps(is_device=True))


def test_runtime_of_one_step_has_nothing_left(plan: Plan, tmp_path: Path):
    assert not isinstance(LlamaCpp(), Staged)
    assert not is_to_be_finished(LlamaCpp(), tmp_path, plan)
