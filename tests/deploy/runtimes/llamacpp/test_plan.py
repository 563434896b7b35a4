import re
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trt_nemotron.deploy.checkpoint import open_checkpoint
from trt_nemotron.deploy.checkpoint.values import Checkpoint, CheckpointFile, TensorGroup
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.llamacpp.plan import plan
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.errors import InvalidInput, PlanRefused, TrtNemotronError
from trt_nemotron.facts.catalogue import load_release, load_target

TARGET = load_target("cpu")
RELEASE = load_release("llamacpp", "2026.10.11549")


def machine(gib: float = 16, cores: int = 8) -> Machine:
    return Machine(
        architecture="x86_64",
        cores=cores,
        memory_total_bytes=int(gib * (1 << 30)),
        physical_cores=cores // 2,
    )


def planned(checkpoint: Checkpoint, gib: float = 16, **wishes: object) -> Plan:
    return plan(TARGET, machine(gib), checkpoint, Wishes(**wishes), RELEASE)  # type: ignore[arg-type] # a test's words


@pytest.fixture(scope="session")
def tiny(tiny_checkpoint: Path) -> Checkpoint:
    return open_checkpoint(tiny_checkpoint)


@pytest.fixture(scope="session")
def real_bf16(sparse: ModuleType) -> Checkpoint:
    """The published BF16 checkpoint as its headers describe it."""
    elements = sparse.REAL_4B.parameters
    group = TensorGroup(storage="BF16", tensors=263, elements=elements, size_bytes=2 * elements)
    return Checkpoint(
        name="NVIDIA-Nemotron-3-Nano-4B-BF16",
        format="safetensors",
        path="/nowhere",
        shape=sparse.REAL_4B,
        quantization="BF16",
        groups=(group,),
        files=(CheckpointFile(name="model.safetensors", size_bytes=2 * elements),),
    )


@pytest.fixture(scope="session")
def real_gguf(real_4b_gguf: Path) -> Checkpoint:
    return open_checkpoint(real_4b_gguf)


def test_small_model_gets_one_thread_four_slots_and_its_whole_context(tiny: Checkpoint):
    made = planned(tiny)
    assert made.precision == "f16"
    assert made.int_choice("n_threads") == made.int_choice("n_threads_batch") == 1
    assert made.int_choice("n_parallel") == 4
    assert made.int_choice("n_ctx") == 4 * tiny.shape.longest_context
    assert made.served_model_name == tiny.name
    assert made.ledger.headroom_bytes > 0


def test_every_choice_has_a_reason_and_a_source_and_is_a_known_knob(tiny: Checkpoint):
    made = planned(tiny)
    for choice in made.choices:
        assert choice.reason, choice.name
        assert choice.source, choice.name
        assert RELEASE.setting(choice.name)


def test_traps_of_the_defaults_are_set_aside(tiny: Checkpoint):
    made = planned(tiny)
    assert made.choice("fit_params") is False
    assert made.int_choice("cache_ram_mib") == 0
    assert made.int_choice("n_ctx_checkpoints") == 1
    assert made.choice("kv_unified") is False
    assert made.choice("flash_attn_type") == "on"
    assert made.choice("ui") is False


def test_real_gguf_on_a_laptop(real_gguf: Checkpoint):
    made = planned(real_gguf)
    assert made.precision == "as-is"
    assert made.int_choice("n_threads") == 4
    assert made.int_choice("n_parallel") == 4
    assert made.int_choice("n_ctx") == 4 * 32768
    assert made.ledger.line("weights").size_bytes == real_gguf.weight_bytes
    assert made.ledger.line("kv_cache").size_bytes == 4 * 32768 * 16384
    assert made.ledger.line("ssm_state").size_bytes == 4 * 82_575_360


def test_real_bf16_is_planned_in_f16_where_it_fits_and_q8_0_where_not(real_bf16: Checkpoint):
    assert planned(real_bf16, gib=24).precision == "f16"
    small = planned(real_bf16, gib=8)
    assert small.precision == "q8_0"
    assert any("q8_0" in warning for warning in small.warnings)


def test_less_memory_first_shortens_the_context_then_gives_up_slots(real_gguf: Checkpoint):
    eight, seven = planned(real_gguf, gib=8), planned(real_gguf, gib=6.2)
    assert (eight.int_choice("n_parallel"), eight.int_choice("n_ctx")) < (4, 4 * 32768)
    assert seven.int_choice("n_ctx") < eight.int_choice("n_ctx")


@settings(deadline=None)
@given(gib=st.floats(0.05, 64))
def test_a_plan_fits_or_is_refused_with_numbers(real_gguf: Checkpoint, gib: float):
    try:
        made = planned(real_gguf, gib=gib)
    except PlanRefused as fault:
        refusal = fault
    else:
        assert made.ledger.headroom_bytes >= 0
        return
    assert "GiB" in refusal.evidence
    assert refusal.next_step


@settings(deadline=None)
@given(
    gib=st.floats(1, 64),
    slots=st.none() | st.integers(1, 256),
    context=st.none() | st.integers(1, 262144),
)
def test_settings_named_by_a_refusal_work(
    real_gguf: Checkpoint, gib: float, slots: int | None, context: int | None
):
    try:
        planned(real_gguf, gib=gib, slots=slots, context_tokens=context)
    except PlanRefused as fault:
        offers = re.findall(r"--context (\d+) --slots (\d+)", fault.next_step)
        for tokens, count in offers:
            planned(real_gguf, gib=gib, slots=int(count), context_tokens=int(tokens))


def test_refusal_says_by_how_much_and_what_fits(real_gguf: Checkpoint):
    with pytest.raises(PlanRefused, match="8 slots of 262144 tokens") as caught:
        planned(real_gguf, slots=8, context_tokens=262144)
    assert "kv_cache 32.00 GiB" in caught.value.evidence
    assert "Fits with --context 65536 --slots 8" in caught.value.next_step


def test_refusal_offers_a_smaller_precision(real_bf16: Checkpoint):
    with pytest.raises(PlanRefused) as caught:
        planned(real_bf16, gib=9, precision="f16")
    assert caught.value.next_step.endswith("--precision q8_0")


def test_model_that_fits_in_no_form_is_sent_to_a_smaller_one(real_gguf: Checkpoint):
    with pytest.raises(PlanRefused, match="does not fit on this machine") as caught:
        planned(real_gguf, gib=2)
    assert "smaller quantization" in caught.value.next_step


def test_wishes_are_kept_and_marked(tiny: Checkpoint):
    made = planned(
        tiny, slots=3, context_tokens=1000, threads=2, precision="q8_0", served_model_name="mine"
    )
    assert made.precision == "q8_0"
    assert made.served_model_name == "mine"
    assert made.int_choice("n_ctx") == 3 * 1024
    assert made.int_choice("n_threads") == 2
    sources = {choice.name: choice.source for choice in made.choices}
    assert sources["n_ctx"] == sources["n_parallel"] == sources["n_threads"] == "asked for"


@pytest.mark.parametrize(
    ("wishes", "error", "next_step"),
    [
        ({"slots": 0}, InvalidInput, "--slots 1"),
        ({"slots": 257}, PlanRefused, "--slots 256"),
        ({"context_tokens": 0}, InvalidInput, "--context 1"),
        ({"context_tokens": 4097}, PlanRefused, "--context 4096"),
        ({"threads": -1}, InvalidInput, "--threads 1"),
        ({"threads": 9}, PlanRefused, "--threads 8"),
        ({"precision": "fp16"}, InvalidInput, "--precision f16"),
        ({"precision": "int8"}, InvalidInput, "--precision q8_0"),
        ({"precision": "Q8_0"}, InvalidInput, "--precision q8_0"),
        ({"precision": "as-is"}, InvalidInput, "--precision"),
        ({"served_model_name": " "}, InvalidInput, "printable"),
        ({"served_model_name": "a\nb"}, InvalidInput, "printable"),
    ],
)
def test_impossible_wish_is_refused_with_the_nearest_that_works(
    tiny: Checkpoint, wishes: dict[str, object], error: type[TrtNemotronError], next_step: str
):
    with pytest.raises(error) as caught:
        planned(tiny, **wishes)
    assert next_step in caught.value.next_step
    assert caught.value.evidence


def test_gguf_is_served_as_it_is_and_in_no_other_precision(real_gguf: Checkpoint):
    assert planned(real_gguf, precision="as-is").precision == "as-is"
    with pytest.raises(InvalidInput, match="cannot be planned with --precision f16"):
        planned(real_gguf, precision="f16")


def test_fp8_weights_are_refused(real_bf16: Checkpoint):
    groups = (msgspec.structs.replace(real_bf16.groups[0], storage="F8_E4M3"),)
    with pytest.raises(PlanRefused, match="FP8"):
        planned(msgspec.structs.replace(real_bf16, groups=groups, quantization="F8_E4M3"))


@pytest.mark.parametrize("pattern", ["M-M-", "*-"])
def test_network_that_would_crash_the_server_is_refused(tiny: Checkpoint, pattern: str):
    shape = msgspec.structs.replace(tiny.shape, pattern=pattern)
    with pytest.raises(PlanRefused, match="without attention or without Mamba"):
        planned(msgspec.structs.replace(tiny, shape=shape))
