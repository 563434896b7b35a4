"""The whole plan: what it chooses, what it refuses, and that its release accepts every word."""

import itertools
import shlex
from collections.abc import Callable
from functools import cache

import pytest
import yaml

from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.protocol import LatencyGoal
from trt_nemotron.deploy.runtimes.trtllm.choosing import REASONING_PARSER, TOOL_PARSER
from trt_nemotron.deploy.runtimes.trtllm.profiles import PROFILES
from trt_nemotron.deploy.runtimes.trtllm.render import server_arguments, server_file
from trt_nemotron.document import to_json
from trt_nemotron.errors import InvalidInput, PlanRefused
from trt_nemotron.facts.catalogue import (
    load_model,
    load_release,
    load_target,
    release_names,
    target_names,
)
from trt_nemotron.facts.configuration.accepting import releases_that_accept
from trt_nemotron.facts.configuration.check import check_configuration
from trt_nemotron.facts.configuration.entry import read_yaml

MakePlan = Callable[..., Plan]
release_named = cache(load_release)
target_named = cache(load_target)
BOARDS = [name for name in target_names() if load_target(name).gpu is not None]
RELEASES = release_names("trtllm")


@pytest.mark.parametrize(("target", "release"), [*itertools.product(BOARDS, RELEASES)])
@pytest.mark.parametrize("form", ["bf16", "fp8", "nvfp4"])
def test_everything_emitted_is_accepted_by_its_release(
    make_plan: MakePlan, target: str, release: str, form: str
):
    """With `--experimental`, so that no refusal keeps a combination from being looked at."""
    for profile in PROFILES:
        made = make_plan(target, form, release, profile=profile, is_experimental=True)
        text = server_file(made)
        arguments = server_arguments(made, model="M", config="c.yaml", port=8000)
        findings = check_configuration(
            read_yaml(text.encode(), "c.yaml"),
            release_named("trtllm", release),
            accepting=releases_that_accept("trtllm"),
            flags=shlex.join(arguments),
            target=target_named(target),
        )
        assert not [it for it in findings if it.severity == "error"], text
        if profile != "card":
            rules = {it.rule for it in findings}
            assert rules <= {
                "not-confirmed", "target", *(r for r in rules if r.startswith("defect:"))
            }  # fmt: skip
        assert made.ledger.headroom_bytes >= 0


@pytest.mark.parametrize("release", RELEASES)
def test_every_knob_stands_once(make_plan: MakePlan, release: str):
    made = make_plan("h100-sxm", "bf16", release)
    names = [choice.name for choice in made.choices]
    assert len(names) == len(set(names))
    sets = {flag.name: flag.key for flag in load_release("trtllm", release).flags}
    assert not {sets.get(name) for name in names if name.startswith("--")} & {*names}


def test_same_inputs_give_the_same_bytes(make_plan: MakePlan):
    assert to_json(make_plan("spark", "fp8")) == to_json(make_plan("spark", "fp8"))


@pytest.mark.parametrize(("target", "form"), [*itertools.product(BOARDS, ["bf16", "fp8"])])
def test_every_choice_has_a_reason_and_a_source(make_plan: MakePlan, target: str, form: str):
    for choice in make_plan(target, form, is_experimental=True).choices:
        assert choice.reason, choice.name
        assert choice.source or choice.name == "--telemetry", choice.name


def test_sizes_follow_the_profile_and_the_kind_of_memory(make_plan: MakePlan):
    batches = {
        (target, profile): make_plan(target, release="1.3.0rc14", profile=profile).int_choice(
            "max_batch_size"
        )
        for target in ("h100-sxm", "spark")
        for profile in ("latency", "balanced", "throughput")
    }
    assert [batches["h100-sxm", it] for it in ("latency", "balanced", "throughput")] == [8, 32, 128]
    assert [batches["spark", it] for it in ("latency", "balanced", "throughput")] == [4, 8, 32]


@pytest.mark.parametrize("batch", [1, 3, 8, 9, 32, 100])
def test_largest_graph_is_the_batch_and_small_batches_are_not_padded(
    make_plan: MakePlan, batch: int
):
    made = make_plan(max_concurrency=batch)
    assert made.int_choice("cuda_graph_config.max_batch_size") == batch
    assert made.choice("cuda_graph_config.enable_padding") is (batch > 8)


@pytest.mark.parametrize(
    ("target", "release", "limit"),
    [
        ("h100-sxm", "1.3.0rc6", "free_gpu_memory_fraction"),
        ("h100-sxm", "1.4.0rc1", "free_gpu_memory_fraction"),
        ("spark", "1.3.0rc14", "max_tokens"),
        ("spark", "1.4.0rc1", "max_gpu_total_bytes"),
    ],
)
def test_pool_has_one_limit_that_suits_the_board_and_the_manager(
    make_plan: MakePlan, target: str, release: str, limit: str
):
    made = make_plan(target, release=release, is_experimental=True)
    limits = {"free_gpu_memory_fraction", "max_tokens", "max_gpu_total_bytes"}
    names = {choice.name.removeprefix("kv_cache_config.") for choice in made.choices}
    assert names & limits == {limit}
    assert ("avg_seq_len" in names) is (release == "1.4.0rc1")


def test_states_are_float32_and_blocks_are_not_reused(make_plan: MakePlan):
    for target, release in itertools.product(BOARDS, RELEASES):
        made = make_plan(target, release=release, is_experimental=True)
        assert made.choice("kv_cache_config.mamba_ssm_cache_dtype") == "float32"
        assert made.choice("kv_cache_config.enable_block_reuse") is False


def test_kv_cache_takes_the_form_that_the_checkpoint_has_scales_for(make_plan: MakePlan):
    assert make_plan(form="fp8").choice("kv_cache_config.dtype") == "fp8"
    assert make_plan(form="bf16").choice("kv_cache_config.dtype") == "auto"


def test_parsers_are_those_of_the_model_and_every_release_has_them():
    facts = load_model("nemotron-3-nano-4b")
    assert (facts.reasoning_parser, facts.tool_parser) == (REASONING_PARSER, TOOL_PARSER)
    for release in RELEASES:
        parsers = release_named("trtllm", release).parsers
        assert parsers is not None
        assert REASONING_PARSER in parsers.reasoning
        assert TOOL_PARSER in parsers.tool


def test_telemetry_is_off_where_the_flag_is_sure_and_by_variable_where_it_is_likely(
    make_plan: MakePlan,
):
    for release, is_flag, is_variable in (
        ("1.3.0rc6", False, False), ("1.3.0rc14", False, True), ("1.4.0rc1", True, True)
    ):  # fmt: skip
        made = make_plan(release=release)
        arguments = server_arguments(made, model="M", config="c", port=1)
        assert ("--no-telemetry" in arguments) is is_flag
        names = {choice.name for choice in made.choices}
        assert ("TRTLLM_NO_USAGE_STATS" in names) is is_variable


@pytest.mark.parametrize("target", ["h100-sxm", "h100-pcie", "h100-nvl", "spark"])
def test_cards_recipe_is_reproduced_as_it_stands(make_plan: MakePlan, target: str):
    made = make_plan(target, profile="card")
    assert made.release == "1.3.0rc6"
    assert made.served_model_name == "NVIDIA-Nemotron-3-Nano-4B-BF16"
    assert yaml.safe_load(server_file(made)) == {
        "kv_cache_config": {"dtype": "auto", "enable_block_reuse": False},
        "cuda_graph_config": {"max_batch_size": 32, "enable_padding": True},
        "disable_overlap_scheduler": True,
        "moe_config": {"backend": "CUTLASS"},
    }
    assert server_arguments(made, model="M", config="c.yaml", port=8123)[7:] == (
        "c.yaml", "--max_batch_size", "32",
    )  # fmt: skip
    told = " ".join(made.warnings)
    for word in ("0.0.0.0", "8123", "HF_TOKEN", "float32", "chunked prefill", "overlap",
                 "parsers", "max_seq_len", "CUTLASS", "0.9 of free"):  # fmt: skip
        assert word in told


@pytest.mark.parametrize("target", ["h100-sxm", "spark"])
def test_card_s_variables_are_caches_and_the_switch_off_the_network(
    make_plan: MakePlan, target: str
):
    """The card sets MODEL and HF_TOKEN only; nothing is added that changes how it runs."""
    names = {it.name for it in make_plan(target, profile="card").choices if it.name.isupper()}
    offline = {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "TRTLLM_NO_USAGE_STATS"}
    assert all("CACHE" in name or "EXTENSIONS" in name or "WORKSPACE" in name
               for name in names - offline)  # fmt: skip
    assert names >= offline - {"TRTLLM_NO_USAGE_STATS"}


def test_cards_state_is_counted_in_the_models_own_type(make_plan: MakePlan):
    card, ours = make_plan(profile="card"), make_plan()
    slots = ours.int_choice("max_batch_size")
    assert card.ledger.line("ssm_state").size_bytes * 2 == ours.ledger.line("ssm_state").size_bytes
    assert ours.ledger.line("ssm_state").size_bytes == slots * 82_575_360


@pytest.mark.parametrize(
    "wishes",
    [{"max_concurrency": 4}, {"max_seq_len": 4096}, {"slo": LatencyGoal(tpot_ms=50.0)},
     {"settings": ("max_num_tokens=4096",)}, {"overrides": "max_num_tokens: 4096"}],
)  # fmt: skip
def test_cards_recipe_cannot_be_changed(make_plan: MakePlan, wishes: dict[str, object]):
    with pytest.raises(InvalidInput, match="contradict each other"):
        make_plan(profile="card", **wishes)


@pytest.mark.parametrize(
    ("target", "form", "release", "word"),
    [
        ("spark", "bf16", "1.4.0rc1", "15178"),
        ("spark", "bf16", "1.3.0rc18", "15178"),
        ("h100-pcie", "nvfp4", "1.3.0rc6", "FP4"),
        ("h100-pcie", "nvfp4", "1.4.0rc1", "15772"),
        ("thor", "bf16", "1.2.1", "9713"),
    ],
)
def test_what_is_known_to_break_is_refused_unless_asked_to_try(
    make_plan: MakePlan, target: str, form: str, release: str, word: str
):
    with pytest.raises(PlanRefused) as fault:
        make_plan(target, form, release)
    assert word in fault.value.evidence
    assert "--experimental" in fault.value.next_step
    tried = make_plan(target, form, release, is_experimental=True)
    assert any(word in warning for warning in tried.warnings)


def test_nvfp4_on_h100_is_let_through_by_the_release_that_has_it(make_plan: MakePlan):
    made = make_plan("h100-sxm", "nvfp4", "1.3.0rc18")
    assert any("not confirmed" in warning for warning in made.warnings)


def test_roofline_is_carried(make_plan: MakePlan):
    made = make_plan("spark", "fp8", "1.3.0rc14")
    assert made.roofline is not None
    assert made.roofline.basis == "facts"
    assert made.roofline.kv_token_bytes == 8192
    assert {point.concurrency for point in made.roofline.points} == {1, 2, 4, 8}
    assert max(point.context_tokens for point in made.roofline.points) == 32768


def test_context_beyond_the_model_is_refused(make_plan: MakePlan):
    with pytest.raises(PlanRefused, match="more than the model has") as fault:
        make_plan(max_seq_len=262_145)
    assert "262144" in fault.value.next_step


@pytest.mark.parametrize(
    ("wishes", "option"),
    [
        ({"threads": 2}, "--threads"),
        ({"slots": 2}, "--slots"),
        ({"context_tokens": 2}, "--context"),
    ],
)
def test_wishes_of_other_runtimes_are_refused_by_name(
    make_plan: MakePlan, wishes: dict[str, object], option: str
):
    with pytest.raises(InvalidInput, match=option):
        make_plan(**wishes)


@pytest.mark.parametrize(
    "wishes",
    [
        {"max_concurrency": 0},
        {"max_seq_len": -1},
        {"served_model_name": " "},
        {"profile": "fast"},
        {"precision": "q8_0"},
        {"slo": LatencyGoal(tpot_ms=0.0)},
        {"slo": LatencyGoal(ttft_ms=float("nan"))},
    ],
)
def test_wishes_that_cannot_be_meant_are_refused(make_plan: MakePlan, wishes: dict[str, object]):
    with pytest.raises(InvalidInput):
        make_plan(**wishes)


def test_precision_of_the_files_may_be_said(make_plan: MakePlan):
    assert make_plan(form="fp8", precision="fp8").precision == "fp8"
    assert make_plan(form="bf16", precision="as-is").precision == "bf16"


@pytest.mark.parametrize(
    ("target", "setting", "word"),
    [
        ("spark", "kv_cache_config.host_cache_size=1073741824", "share their memory"),
        ("h100-sxm", "kv_cache_config.enable_block_reuse=true", "refuses block reuse"),
        ("h100-sxm", "cuda_graph_config.max_batch_size=64", "max_batch_size"),
        ("h100-sxm", "backend=tensorrt", "never had this architecture"),
    ],
)
def test_what_the_server_would_refuse_late_is_refused_here(
    make_plan: MakePlan, target: str, setting: str, word: str
):
    with pytest.raises(InvalidInput) as caught:
        make_plan(target, settings=(setting,))
    assert word in str(caught.value)


def test_a_fraction_as_vllm_has_it_is_warned_of(make_plan: MakePlan):
    made = make_plan(settings=("kv_cache_config.free_gpu_memory_fraction=0.87",))
    assert any("vLLM" in warning for warning in made.warnings)


@pytest.mark.parametrize("profile", ["latency", "balanced", "throughput", "card"])
def test_every_server_is_kept_off_the_network(make_plan: MakePlan, profile: str):
    values = {choice.name: choice.value for choice in make_plan(profile=profile).choices}
    assert values["HF_HUB_OFFLINE"] == values["TRANSFORMERS_OFFLINE"] == "1"
