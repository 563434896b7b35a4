from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from trt_nemotron.deploy.checkpoint import open_checkpoint
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.deploy.runtimes.transformers.plan import plan
from trt_nemotron.errors import InvalidInput, PlanRefused, TrtNemotronError
from trt_nemotron.facts.catalogue import load_release, load_target

RELEASE = load_release("transformers", "5.23.0")


def planned(checkpoint: Checkpoint, gib: float = 16, **wishes: object) -> Plan:
    machine = Machine(
        architecture="x86_64", cores=4, memory_total_bytes=int(gib * (1 << 30)), physical_cores=2
    )
    return plan(load_target("cpu"), machine, checkpoint, Wishes(**wishes), RELEASE)  # type: ignore[arg-type] # a test's words


@pytest.fixture(scope="session")
def tiny(tiny_checkpoint: Path) -> Checkpoint:
    return open_checkpoint(tiny_checkpoint)


def test_everything_is_in_float32_for_one_request_at_a_time(tiny: Checkpoint):
    made = planned(tiny)
    assert made.precision == "f32"
    assert made.choice("dtype") == "float32"
    assert made.int_choice("OMP_NUM_THREADS") == 1
    assert made.choice("continuous-batching") is False
    assert made.ledger.line("weights").size_bytes == 4 * tiny.parameters
    assert made.ledger.line("ssm_state").size_bytes == 4 * tiny.shape.ssm_elements_per_slot


def test_every_choice_has_a_reason_and_a_source_and_is_a_known_knob(tiny: Checkpoint):
    for choice in planned(tiny).choices:
        assert choice.reason, choice.name
        assert choice.source, choice.name
        assert RELEASE.setting(choice.name)


def test_defect_of_the_clamp_is_warned_of(tiny: Checkpoint):
    assert any("48989" in warning for warning in planned(tiny).warnings)


@pytest.mark.parametrize(
    ("wishes", "error", "next_step"),
    [
        ({"slots": 2}, PlanRefused, "--slots 1"),
        ({"precision": "f16"}, InvalidInput, "--precision f32"),
        ({"context_tokens": 5000}, PlanRefused, "--context 4096"),
    ],
)
def test_impossible_wish_is_refused_with_the_nearest_that_works(
    tiny: Checkpoint, wishes: dict[str, object], error: type[TrtNemotronError], next_step: str
):
    with pytest.raises(error) as caught:
        planned(tiny, **wishes)
    assert next_step in caught.value.next_step


def test_gguf_and_fp8_are_refused(tiny: Checkpoint, real_4b_gguf: Path):
    with pytest.raises(PlanRefused, match="safetensors checkpoints only"):
        planned(open_checkpoint(real_4b_gguf))
    with pytest.raises(PlanRefused, match="FP8"):
        planned(msgspec.structs.replace(tiny, quantization="F8_E4M3"))


def test_real_model_is_refused_on_a_laptop_and_sent_to_llamacpp(
    tiny: Checkpoint, sparse: ModuleType
):
    real = msgspec.structs.replace(tiny, shape=sparse.REAL_4B, name="4B")
    with pytest.raises(PlanRefused, match="does not fit") as caught:
        planned(real, gib=16)
    assert "--runtime llamacpp" in caught.value.next_step
    assert planned(real, gib=64).ledger.headroom_bytes >= 0
