import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trt_nemotron.deploy.checkpoint.known_model import known_checkpoint
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.runtimes.edgellm.sizes import EngineSizes, Given, ledger
from trt_nemotron.document import to_json
from trt_nemotron.errors import InvalidInput, PlanRefused
from trt_nemotron.facts.catalogue import load_release, load_target
from trt_nemotron.facts.release import RuntimeRelease


def real(name: str = "nemotron-3-nano-4b-bf16") -> Checkpoint:
    found = known_checkpoint(name)
    assert found is not None
    return found


def test_real_model_on_thor_has_the_bytes_that_its_shape_gives(planned: Any):
    plan = planned(real(), max_concurrency=4, max_seq_len=8192)
    # https://huggingface.co/nvidia/NVIDIA-Nemotron-3-Nano-4B-BF16: 4 attention layers of 8 KV heads
    # of 128, 21 Mamba layers of 96 heads of 80 with a state of 128 and 9728 channels; FP16.
    assert plan.ledger.line("kv_cache").size_bytes == 4 * 64 * 128 * 16384
    assert plan.ledger.line("ssm_state").size_bytes == 4 * 21 * 96 * 80 * 128 * 2
    assert plan.ledger.line("conv_state").size_bytes == 4 * 21 * 9728 * 4 * 2
    assert plan.precision == "fp16"
    assert plan.roofline is not None


def test_state_is_fp16_whatever_the_checkpoint_says(planned: Any, embedded: Checkpoint):
    formula = planned(embedded).ledger.line("ssm_state").formula
    assert "FP16 whatever the checkpoint says" in formula


def test_the_three_traps_of_the_builder_are_always_said(planned: Any, embedded: Checkpoint):
    plan = planned(embedded)
    assert plan.int_choice("--max-input-len") == 4096
    assert plan.int_choice("--max-kv-cache-capacity") == 8192
    assert plan.int_choice("--max-batch-size") == 4


def test_profiles_differ_in_batch_and_reuse(planned: Any):
    batches = {
        name: planned(real(), profile=name).int_choice("--max-batch-size")
        for name in ("latency", "balanced", "throughput")
    }
    assert batches == {"latency": 2, "balanced": 4, "throughput": 8}
    reusing = planned(real(), profile="latency")
    assert reusing.choice("--enable-context-reuse") is True
    # Two snapshots a sequence: 4 x 42,921,984 B of states and 4 pages of 2 MiB.
    assert reusing.int_choice("--context-cache-recurrent-snapshot-pool-bytes") == 171_687_936
    assert reusing.int_choice("--context-cache-partial-kv-snapshot-pool-bytes") == 8 << 20
    with pytest.raises(InvalidInput, match="no profile 'card'"):
        planned(real(), profile="card")


def test_every_choice_is_a_flag_or_variable_of_the_release(planned: Any, release: RuntimeRelease):
    flags = {flag.name for flag in release.flags}
    variables = {setting.name for setting in release.settings}
    plan = planned(real(), profile="latency")
    assert {choice.name for choice in plan.choices} <= flags | variables
    assert all(choice.reason and choice.source for choice in plan.choices)


def test_spark_is_told_of_the_missing_kernel_and_thor_is_not(planned: Any):
    on_spark = " ".join(planned(real(), "spark").warnings)
    assert "SM121 has no fast prefill for Mamba heads of 80 (it has 64, 128)" in on_spark
    assert "no fast prefill" not in " ".join(planned(real(), "thor").warnings)


def test_build_memory_is_told(planned: Any):
    assert any("29.61 GiB of memory on the board" in it for it in planned(real()).warnings)


def test_attention_heads_without_a_kernel_are_told(planned: Any, embedded: Checkpoint):
    assert any("Attention heads of 32" in it for it in planned(embedded).warnings)


def test_h100_is_refused_for_want_of_a_payload(planned: Any):
    with pytest.raises(PlanRefused, match="no payload for NVIDIA H100") as caught:
        planned(real(), "h100-sxm")
    assert "SM90" in caught.value.evidence
    assert "SM110" in caught.value.evidence


def test_int4_is_refused_with_the_dimension(planned: Any):
    with pytest.raises(PlanRefused, match="INT4 is not supported") as caught:
        planned(real(), precision="int4")
    assert "17,504 x 3,136" in caught.value.evidence
    assert 17504 % 64 == 32


@pytest.mark.parametrize("precision", ["fp8", "nvfp4"])
def test_quantized_engine_needs_a_quantized_checkpoint(planned: Any, precision: str):
    with pytest.raises(PlanRefused, match=f"built from a checkpoint in {precision}") as caught:
        planned(real(), precision=precision)
    assert f"quantize --checkpoint DIR --precision {precision}" in caught.value.next_step


def test_fp8_checkpoint_gives_an_fp8_engine_with_fp8_cache(planned: Any):
    checkpoint = real("nemotron-3-nano-4b-fp8")
    plan = planned(checkpoint, precision="fp8")
    assert plan.precision == "fp8"
    each = 8192 if checkpoint.kv_cache == "fp8" else 16384
    assert plan.ledger.line("kv_cache").size_bytes == 4 * 64 * 128 * each


def test_what_does_not_fit_names_what_does(planned: Any):
    with pytest.raises(PlanRefused) as caught:
        planned(real(), max_concurrency=64, max_seq_len=262144)
    fitting = int(caught.value.next_step.split("--max-concurrency ")[1].split()[0])
    planned(real(), max_concurrency=fitting, max_seq_len=262144)
    with pytest.raises(PlanRefused):
        planned(real(), max_concurrency=fitting + 1, max_seq_len=262144)


def test_longer_than_the_model_is_refused(planned: Any, embedded: Checkpoint):
    with pytest.raises(PlanRefused, match="more than the model has"):
        planned(embedded, max_seq_len=8193)


def test_foreign_wishes_and_forms_are_refused(planned: Any, embedded: Checkpoint):
    with pytest.raises(InvalidInput, match="--context"):
        planned(embedded, context_tokens=100)
    with pytest.raises(PlanRefused, match="safetensors checkpoints only"):
        planned(replace(embedded, format="gguf"))
    with pytest.raises(PlanRefused, match="stored as Q4_K"):
        planned(replace(embedded, quantization="Q4_K"))


def test_same_inputs_give_the_same_bytes(planned: Any, embedded: Checkpoint):
    assert to_json(planned(embedded)) == to_json(planned(embedded))
    json.loads(to_json(planned(embedded)))


@given(batch=st.integers(1, 64), capacity=st.integers(1, 262144))
def test_pool_holds_every_sequence_at_its_full_length(batch: int, capacity: int):
    sizes = EngineSizes(batch=batch, input_tokens=1, capacity=capacity)
    at = Given(load_target("thor"), real(), load_release("edgellm", "0.11.0"), "fp16")
    assert sizes.pages % batch == 0
    assert capacity <= sizes.pages // batch * 128 < capacity + 128
    assert ledger(at, sizes).line("kv_cache").size_bytes == sizes.pages * 128 * 16384


def test_newer_release_is_planned_with_a_warning():
    from trt_nemotron.deploy.runtimes.edgellm.plan import plan
    from trt_nemotron.deploy.runtimes.protocol import Wishes

    newer = plan(load_target("thor"), real(), Wishes(), load_release("edgellm", "0.11.1"))
    assert any("known approximately" in it for it in newer.warnings)
