"""Plans of every published network of the family, from folders of their true size."""

import json
from pathlib import Path

import pytest

from tests.deploy.family import NAMES, WITH_EXPERTS, config_of
from tests.deploy.sparse_safetensors import write_sparse_folder
from trt_nemotron.cli.main import run
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.deploy.runtimes.trtllm.plan import plan
from trt_nemotron.errors import PlanRefused
from trt_nemotron.facts.catalogue import load_release, load_target


def plan_of(folder: Path, target: str = "h100-sxm", **wishes: object) -> Plan:
    return plan(
        load_target(target),
        open_checkpoint(folder),
        Wishes(**wishes),  # type: ignore[arg-type]
        load_release("trtllm", "1.3.0rc6"),
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_fits_and_counts_what_the_folder_holds(name: str, tmp_path: Path):
    folder = write_sparse_folder(tmp_path / name, config_of(name))
    checkpoint, planned = open_checkpoint(folder), plan_of(folder)
    assert planned.ledger.headroom_bytes >= 0
    assert planned.ledger.line("weights").size_bytes == checkpoint.weight_bytes
    choices = {choice.name: choice.value for choice in planned.choices}
    batch = choices["max_batch_size"]
    assert isinstance(batch, int)
    states = planned.ledger.line("ssm_state").size_bytes
    assert states % (4 * checkpoint.shape.ssm_elements_per_slot) == 0
    assert planned.roofline is not None
    assert planned.roofline.weight_bytes == checkpoint.least_read_bytes
    assert planned.roofline.basis == "files"


def test_the_mixture_s_roofline_stands_on_the_experts_a_token_visits(tmp_path: Path):
    folder = write_sparse_folder(tmp_path / "moe", config_of(WITH_EXPERTS))
    planned = plan_of(folder)
    assert planned.roofline is not None
    share = planned.roofline.weight_bytes / planned.checkpoint.weight_bytes
    assert 0.10 < share < 0.11  # 3.2 of 31.6 billion
    assert any("6 of 128 experts" in warning for warning in planned.warnings)
    backend = next(it for it in planned.choices if it.name == "moe_config.backend")
    assert "23 expert layers" in backend.reason


def test_what_does_not_fit_is_refused_with_what_does(tmp_path: Path):
    folder = write_sparse_folder(tmp_path / "moe", config_of(WITH_EXPERTS))
    with pytest.raises(PlanRefused, match="does not fit") as caught:
        plan_of(folder, max_concurrency=512)
    assert "--max-concurrency" in caught.value.next_step


def test_the_mixture_is_planned_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = write_sparse_folder(tmp_path / "moe", config_of(WITH_EXPERTS), "FP8")
    arguments = ["plan", "--target", "h100-sxm", "--checkpoint", str(folder), "--json"]
    assert run(arguments) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["precision"] == "fp8"
    assert tree["checkpoint"]["shape"]["experts"]["per_token"] == 6


@pytest.mark.parametrize("runtime", ["llamacpp", "transformers"])
def test_runtimes_on_a_processor_refuse_the_mixture(
    runtime: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = write_sparse_folder(tmp_path / "moe", config_of(WITH_EXPERTS))
    arguments = ["plan", "--target", "cpu", "--runtime", runtime, "--checkpoint", str(folder)]
    assert run(arguments) == PlanRefused.exit_code
    assert "mixture of experts" in capsys.readouterr().err
