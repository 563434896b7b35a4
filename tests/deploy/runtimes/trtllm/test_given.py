"""Settings that the user gives go first, count in the ledger, and are checked."""

from collections.abc import Callable

import pytest

from trt_nemotron.deploy.choices import ASKED_FOR
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.errors import InvalidInput

MakePlan = Callable[..., Plan]


def test_given_values_replace_planned_ones(make_plan: MakePlan):
    made = make_plan(
        settings=("max_batch_size=16", "kv_cache_config.mamba_ssm_cache_dtype=float16"),
        overrides="attn_backend: FLASHINFER\nmax_seq_len: 4096\n",
    )
    by_name = {choice.name: choice for choice in made.choices}
    assert by_name["max_batch_size"].value == 16
    assert by_name["attn_backend"].value == "FLASHINFER"
    assert by_name["max_batch_size"].source == ASKED_FOR
    assert made.int_choice("cuda_graph_config.max_batch_size") == 16
    assert made.ledger.line("ssm_state").size_bytes == 16 * 41_287_680
    assert made.ledger.line("kv_cache").size_bytes == (16 * 4096 + 32) * 16384


def test_assignment_goes_before_the_file(make_plan: MakePlan):
    made = make_plan(settings=("max_seq_len=8192",), overrides="max_seq_len: 4096\n")
    assert made.int_choice("max_seq_len") == 8192


def test_keys_that_are_not_planned_are_kept(make_plan: MakePlan):
    made = make_plan(settings=("print_iter_log=true", "stream_interval=4"))
    assert made.choice("print_iter_log") is True
    assert made.choice("stream_interval") == 4


def test_graphs_can_be_switched_off_or_listed(make_plan: MakePlan):
    off = make_plan(settings=("cuda_graph_config=null",))
    assert off.choice("cuda_graph_config") is None
    assert "cuda_graph_config.max_batch_size" not in {it.name for it in off.choices}
    assert off.ledger.line("cuda_graphs").size_bytes == 0
    listed = make_plan(max_concurrency=8, settings=("cuda_graph_config.batch_sizes=[1, 4, 8]",))
    assert listed.choice("cuda_graph_config.batch_sizes") == (1, 4, 8)
    assert listed.ledger.line("cuda_graphs").size_bytes == 3 * (64 << 20)


@pytest.mark.parametrize(
    ("assignment", "tokens"),
    [
        ("kv_cache_config.max_tokens=65536", 65536),
        ("kv_cache_config.max_gpu_total_bytes=1073741824", 65536),
    ],
)
def test_given_limit_of_the_pool_is_the_only_one(make_plan: MakePlan, assignment: str, tokens: int):
    made = make_plan(settings=(assignment,), max_concurrency=32, max_seq_len=32768)
    limits = [it.name for it in made.choices if "max_" in it.name or "fraction" in it.name]
    assert "kv_cache_config.free_gpu_memory_fraction" not in limits
    assert made.ledger.line("kv_cache").size_bytes == tokens * 16384
    assert any("1 of 32 sequences" in warning for warning in made.warnings)


@pytest.mark.parametrize(
    ("wishes", "message", "fix"),
    [
        ({"settings": ("kv_cache_config.dtpe=fp8",)}, "does not know it", "kv_cache_config.dtype"),
        ({"settings": ("kv_cache_config.avg_seq_len=9",)}, "1.4.0rc1 do", "1.4.0rc1"),
        ({"settings": ("max_batch_size=many",)}, "not a whole number", "whole number"),
        ({"settings": ("max_batch_size",)}, "cannot read the assignment", "key.key=value"),
        ({"settings": ("max_num_tokens=16",)}, "fewer than max_batch_size", "32 or more"),
        ({"settings": ("cuda_graph_config.max_batch_size=64",)}, "above max_batch_size", "32"),
        ({"settings": ("kv_cache_config.enable_block_reuse=true",)}, "refuses", "false"),
        ({"settings": ("backend=tensorrt",)}, "TensorRT backend", "pytorch"),
        ({"settings": ("max_batch_size=4",), "max_concurrency": 8}, "given twice", "Keep one"),
        ({"settings": ("max_seq_len=4",), "max_seq_len": 8}, "given twice", "Keep one"),
        ({"overrides": "- a\n"}, "holds no mapping", "keys with values"),
        ({"overrides": "a: [\n"}, "not valid YAML", "line"),
        ({"settings": ("env_overrides.A={B: 1}",)}, "cannot be set", "one by one"),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused_with_their_fix(
    make_plan: MakePlan, wishes: dict[str, object], message: str, fix: str
):
    with pytest.raises(InvalidInput) as fault:
        make_plan(**wishes)
    assert message in fault.value.message
    assert fix in fault.value.next_step


def test_fault_in_a_file_names_its_line(make_plan: MakePlan):
    with pytest.raises(InvalidInput, match=r"mine\.yaml:3: kv_cache_config\.dtpe"):
        make_plan(
            overrides="max_seq_len: 4096\nkv_cache_config:\n  dtpe: fp8\n",
            overrides_name="mine.yaml",
        )


def test_conflict_between_file_and_plan_names_its_line(make_plan: MakePlan):
    with pytest.raises(InvalidInput, match=r"mine\.yaml:2: cuda_graph_config"):
        make_plan(
            overrides="cuda_graph_config:\n  max_batch_size: 99\n", overrides_name="mine.yaml"
        )
