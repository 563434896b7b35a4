from pathlib import Path

import msgspec
import pytest

from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.planning import make_plan
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.document import sha256_of
from trt_nemotron.errors import CheckpointUnusable, InvalidInput, PlanRefused

LAPTOP = Machine(architecture="x86_64", cores=8, memory_total_bytes=16 << 30, physical_cores=4)


def test_default_runtime_of_the_target_is_taken(tiny_checkpoint: Path):
    plan, checkpoint = make_plan("cpu", None, tiny_checkpoint, Wishes(), LAPTOP)
    assert (plan.target, plan.runtime) == ("cpu", "llamacpp")
    assert plan.checkpoint.parameters == checkpoint.parameters


def test_runtime_asked_for_is_taken(tiny_checkpoint: Path):
    plan, _ = make_plan("cpu", "transformers", tiny_checkpoint, Wishes(), LAPTOP)
    assert plan.runtime == "transformers"
    assert plan.precision == "f32"


def test_no_checkpoint_means_the_embedded_one():
    plan, _ = make_plan("cpu", None, None, Wishes(), LAPTOP)
    assert plan.served_model_name == "trt-nemotron-embedded"
    assert "embedded checkpoint" in plan.warnings[0]


def test_same_inputs_give_the_same_bytes(tiny_checkpoint: Path, tmp_path: Path):
    """Nor does it matter where the checkpoint lies, under the same name."""
    import shutil

    moved = shutil.copytree(tiny_checkpoint, tmp_path / tiny_checkpoint.name)
    first, _ = make_plan("cpu", None, tiny_checkpoint, Wishes(), LAPTOP)
    second, _ = make_plan("cpu", None, Path(moved), Wishes(), LAPTOP)
    assert sha256_of(first) == sha256_of(second)
    assert str(tmp_path) not in msgspec.json.encode(first).decode()


@pytest.mark.parametrize(
    ("target", "runtime", "error", "message"),
    [
        ("cpx", None, InvalidInput, "no target called 'cpx'"),
        ("cpu", "trtllm", InvalidInput, "'trtllm' is not known for target 'cpu'"),
    ],
)
def test_unknown_names_are_refused(
    tiny_checkpoint: Path, target: str, runtime: str | None, error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        make_plan(target, runtime, tiny_checkpoint, Wishes(), LAPTOP)


def test_machine_of_another_architecture_is_refused(tiny_checkpoint: Path):
    machine = msgspec.structs.replace(LAPTOP, architecture="riscv64")
    with pytest.raises(PlanRefused, match="does not run on riscv64"):
        make_plan("cpu", None, tiny_checkpoint, Wishes(), machine)


def test_missing_checkpoint_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointUnusable):
        make_plan("cpu", None, tmp_path / "nothing", Wishes(), LAPTOP)
