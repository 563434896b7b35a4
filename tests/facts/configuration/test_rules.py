import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trt_nemotron.facts.configuration.rules import generated_sizes

QUIET = "kv_cache_config: {enable_block_reuse: false, mamba_ssm_cache_dtype: float32}\n"


def rules_of(findings) -> list[str]:
    return [it.rule for it in findings]


@given(st.integers(1, 5000), st.booleans())
def test_generated_sizes_rise_to_the_largest(largest: int, has_padding: bool):
    sizes = generated_sizes(largest, has_padding)
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == largest
    assert min(sizes) == 1


def test_generated_sizes_are_the_published_ones():
    assert generated_sizes(32, has_padding=True) == [1, 2, 4, 8, 16, 24, 32]
    assert generated_sizes(32, has_padding=False) == list(range(1, 33))
    assert generated_sizes(1000, has_padding=True)[-4:] == [128, 256, 512, 1000]


@given(largest=st.integers(1, 512), has_padding=st.booleans())
def test_sizes_as_generated_may_stand_with_their_maximum(check, largest: int, has_padding: bool):
    sizes = generated_sizes(largest, has_padding)
    text = (
        f"{QUIET}cuda_graph_config: {{batch_sizes: {sizes}, max_batch_size: {largest},"
        f" enable_padding: {str(has_padding).lower()}}}\n"
    )
    assert rules_of(check(text, "1.3.0rc6")) == []


@pytest.mark.parametrize("sizes", [[8, 16], [8, 64]])
def test_sizes_below_and_above_their_maximum_are_told(check, sizes: list[int]):
    text = f"{QUIET}cuda_graph_config: {{batch_sizes: {sizes}, max_batch_size: 32}}\n"
    assert rules_of(check(text, "1.3.0rc14")) == ["graph-sizes-disagree"]


@example(graph=9, batch=8)
@example(graph=8, batch=9)
@example(graph=8, batch=8)
@given(graph=st.integers(1, 256), batch=st.integers(1, 256))
def test_graphs_and_batch_agree_or_are_told(check, graph: int, batch: int):
    text = f"{QUIET}max_batch_size: {batch}\ncuda_graph_config: {{max_batch_size: {graph}}}\n"
    expected = {-1: ["graphs-below-batch"], 0: [], 1: ["graphs-above-batch"]}
    assert rules_of(check(text, "1.3.0rc6")) == expected[(graph > batch) - (graph < batch)]


def test_block_reuse_is_warned_of_when_unsaid_and_opt_in_later(check):
    dtype = "kv_cache_config: {mamba_ssm_cache_dtype: float32}\n"
    assert rules_of(check(dtype, "1.3.0rc6")) == ["block-reuse-unsaid"]
    assert rules_of(check(dtype, "1.3.0rc18")) == []
    reuse = "kv_cache_config: {mamba_ssm_cache_dtype: float32, enable_block_reuse: true}\n"
    assert rules_of(check(reuse, "1.3.0rc18")) == []
    assert "block-reuse-without-snapshots" in rules_of(check(reuse, "1.4.0rc1"))


def test_second_manager_wants_to_know_the_usual_length(check):
    assert rules_of(check(QUIET, "1.4.0rc1")) == ["states-starved"]
    known = QUIET.replace("{", "{avg_seq_len: 4096, ", 1)
    assert rules_of(check(known, "1.4.0rc1")) == []


def test_smaller_of_two_caps_wins_and_that_is_said(check):
    text = QUIET.replace("{", "{free_gpu_memory_fraction: 0.8, max_tokens: 65536, ", 1)
    assert rules_of(check(text, "1.3.0rc14")) == ["two-caps"]


def test_unified_memory_wants_a_cap_instead_of_a_fraction(check):
    assert "fraction-on-unified-memory" in rules_of(check(QUIET, "1.3.0rc14", target="spark"))
    capped = QUIET.replace("{", "{max_tokens: 65536, ", 1)
    assert "fraction-on-unified-memory" not in rules_of(check(capped, "1.3.0rc14", target="spark"))


def test_release_that_breaks_on_a_board_is_told_there_only(check):
    on_spark = rules_of(check(QUIET, "1.3.0rc18", target="spark"))
    assert "defect:gb10-hybrid-kv-estimation" in on_spark
    assert "defect:gb10-hybrid-kv-estimation" not in rules_of(
        check(QUIET, "1.3.0rc14", target="spark")
    )
    assert rules_of(check(QUIET, "1.3.0rc18")) == []


def test_flag_wins_in_the_picture_only_where_the_release_says_so(check):
    text = f"{QUIET}max_batch_size: 8\ncuda_graph_config: {{max_batch_size: 8}}\n"
    flags = "trtllm-serve MODEL --max_batch_size 4"
    assert rules_of(check(text, "1.3.0rc6", flags)) == ["given-twice"]
    assert sorted(rules_of(check(text, "1.3.0rc18", flags))) == [
        "given-twice",
        "graphs-above-batch",
    ]


@pytest.mark.parametrize("key", ["perf_metrics_max_requests: 100", "enable_iter_req_stats: true"])
def test_metrics_without_what_they_need_are_told(check, key: str):
    assert rules_of(check(f"{QUIET}{key}\n", "1.3.0rc6")) == ["no-effect"]


def test_key_that_is_likely_is_told_so(check):
    text = QUIET.replace("{", "{mamba_state_cache_interval: 256, ", 1)
    findings = check(text, "1.3.0rc14")
    assert [(it.rule, it.severity) for it in findings] == [("not-confirmed", "warning")]


def test_name_that_stands_in_two_sections_is_told_with_both(check):
    findings = check(f"{QUIET}tokens_per_block: 32\n", "1.3.0rc18")
    fix = "Did you mean cp_config.tokens_per_block or kv_cache_config.tokens_per_block?"
    assert [it.fix for it in findings] == [fix]


def test_every_finding_names_a_fix(check, wrong_cases, check_case):
    for case in wrong_cases:
        for finding in check_case(case):
            assert finding.fix
            assert finding.message
            assert finding.place


@pytest.mark.parametrize(
    ("fraction", "target", "expected"),
    [
        (0.7, None, []),
        (0.87, None, ["large-fraction"]),
        (0.87, "spark", ["fraction-on-unified-memory"]),
    ],
)
def test_fractions_as_vllm_has_them_are_told(
    check, fraction: float, target: str | None, expected: list[str]
):
    text = QUIET.replace("}", f", free_gpu_memory_fraction: {fraction}}}")
    findings = [
        it for it in check(text, "1.3.0rc14", target=target) if not it.rule.startswith("defect:")
    ]
    assert rules_of(findings) == expected
    assert all("vLLM" in it.message for it in findings if it.rule == "large-fraction")


def test_the_architecture_s_only_backend_is_demanded(check):
    assert "backend" in rules_of(check(f"{QUIET}backend: tensorrt\n", "1.3.0rc14"))
