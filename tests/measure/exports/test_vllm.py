"""Keys and types as `vllm bench serve` has them at the commit that the module names.

`SETUP` and `RESULT` are the literals of `main_async` and `benchmark` in vllm/benchmarks/serve.py
of vllm-project/vllm at 009e6d4a1cd6ba3fb2a9fc00f4ec06f5297232a1; `DETAILED` is the list that it
deletes without `--save-detailed`.
"""

import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.exports.streams import legs_of
from trt_nemotron.measure.exports.vllm import vllm_result

SETUP = {
    "date", "endpoint_type", "backend", "label", "model_id", "tokenizer_id", "num_prompts",
    "request_rate", "burstiness", "max_concurrency",
}  # fmt: skip
DETAILED = {
    "input_lens", "output_lens", "start_times", "ttfts", "itls", "generated_texts", "errors",
}  # fmt: skip
RESULT = {
    "duration", "completed", "failed", "total_input_tokens", "total_output_tokens",
    "request_throughput", "request_goodput", "output_throughput", "total_token_throughput",
    "latencies", "queue_times", "max_output_tokens_per_s", "max_concurrent_requests", "rtfx",
}  # fmt: skip
WHOLE = {
    "completed", "failed", "num_prompts", "total_input_tokens", "total_output_tokens",
    "max_concurrent_requests", "max_concurrency",
}  # fmt: skip


def statistics_keys(names: tuple[str, ...], percents: tuple[int, ...]) -> set[str]:
    heads = ("mean", "median", "std", *(f"p{percent}" for percent in percents))
    return {f"{head}_{name}_ms" for name in names for head in heads}


def result(run: Measurement, *, detailed: bool = True, complete: bool = True) -> dict[str, Any]:
    tree = vllm_result(run, legs_of(run)[0], is_detailed=detailed, is_complete=complete)
    again: dict[str, Any] = json.loads(json.dumps(tree, allow_nan=False))
    assert again == tree
    return {name: value for name, value in again.items() if not name.startswith("trt_nemotron_")}


@pytest.mark.parametrize("detailed", [True, False])
def test_keys_are_those_of_the_tool_and_no_others(mixed_run: Measurement, detailed: bool):
    statistics = statistics_keys(("ttft", "tpot", "itl", "e2el"), (50, 90, 95, 99))
    expected = SETUP | RESULT | statistics | (DETAILED if detailed else set())
    assert set(result(mixed_run, detailed=detailed)) == expected


def test_an_open_loop_adds_the_client_s_queue(open_run: Measurement):
    tree = result(open_run)
    queue = ("client_queue_time", "e2el_including_client_queue")
    assert statistics_keys(queue, (50, 90, 95, 99)) <= set(tree)
    assert tree["mean_client_queue_time_ms"] == pytest.approx(2.0)
    assert tree["mean_e2el_including_client_queue_ms"] == pytest.approx(tree["mean_e2el_ms"] + 2.0)
    assert (tree["request_rate"], tree["burstiness"], tree["max_concurrency"]) == (20.0, 1.0, 32)


@pytest.mark.parametrize(
    ("arrivals", "rate", "burstiness"),
    [("constant", 20.0, 1e9), ("poisson", 20.0, 1.0), ("trace", "inf", 1.0)],
)
def test_arrivals_are_said_in_its_words(
    open_run: Measurement, arrivals: str, rate: object, burstiness: float
):
    workload = msgspec.structs.replace(open_run.workload, arrivals=arrivals)
    tree = result(msgspec.structs.replace(open_run, workload=workload))
    assert (tree["request_rate"], tree["burstiness"]) == (rate, burstiness)


def test_a_closed_loop_is_everything_at_once_under_a_limit(mixed_run: Measurement):
    tree = result(mixed_run)
    assert (tree["request_rate"], tree["burstiness"], tree["max_concurrency"]) == ("inf", 1.0, 1)
    assert tree["max_concurrent_requests"] == 1


def test_types_are_those_of_the_tool(mixed_run: Measurement):
    tree = result(mixed_run)
    assert all(isinstance(tree[name], int) for name in WHOLE)
    assert tree["tokenizer_id"] is tree["request_goodput"] is None
    lists = DETAILED | {"latencies", "queue_times"}
    assert {len(tree[name]) for name in lists} == {tree["num_prompts"]}
    numbers = set(tree) - WHOLE - lists - {"tokenizer_id", "request_goodput", "request_rate"}
    text = {"date", "endpoint_type", "backend", "label", "model_id"}
    assert all(isinstance(tree[name], float) for name in numbers - text)
    assert all(isinstance(tree[name], str) for name in text)


def test_statistics_follow_from_the_lists_by_its_own_formulas(mixed_run: Measurement):
    tree = result(mixed_run)
    good = [place for place, error in enumerate(tree["errors"]) if not error]
    assert tree["completed"] == len(good)
    assert tree["completed"] + tree["failed"] == tree["num_prompts"]
    assert tree["mean_ttft_ms"] == pytest.approx(mean(tree["ttfts"][p] for p in good) * 1e3)
    gaps = [gap for place in good for gap in tree["itls"][place]]
    assert tree["mean_itl_ms"] == pytest.approx(mean(gaps) * 1e3)
    tpots = [(tree["latencies"][p] - tree["ttfts"][p]) / (tree["output_lens"][p] - 1) for p in good]
    assert tree["mean_tpot_ms"] == pytest.approx(mean(tpots) * 1e3)
    for place in good:
        whole = tree["ttfts"][place] + sum(tree["itls"][place])
        assert tree["latencies"][place] == pytest.approx(whole)
    assert tree["output_throughput"] == pytest.approx(sum(tree["output_lens"]) / tree["duration"])
    assert tree["start_times"] == sorted(tree["start_times"])


def test_a_failed_request_has_no_figure(mixed_run: Measurement):
    tree = result(mixed_run)
    bad = [place for place, error in enumerate(tree["errors"]) if error]
    assert bad
    for place in bad:
        assert tree["ttfts"][place] == tree["latencies"][place] == tree["output_lens"][place] == 0
        assert tree["itls"][place] == []


def test_percentiles_are_refused_from_too_few_unless_asked_for(mixed_run: Measurement):
    tree = result(mixed_run, complete=False)
    assert "p50_ttft_ms" in tree
    assert "p99_ttft_ms" not in tree
    assert "p95_itl_ms" in tree
    assert "median_ttft_ms" in tree


def test_the_busiest_second_holds_no_more_than_all_chunks(mixed_run: Measurement):
    tree = result(mixed_run)
    chunks = sum(
        len(gaps) + 1 for gaps, e in zip(tree["itls"], tree["errors"], strict=True) if not e
    )
    assert 0 < tree["max_output_tokens_per_s"] <= chunks


def test_a_run_that_only_failed_can_be_written(mixed_run: Measurement):
    records = tuple(msgspec.structs.replace(r, outcome="timeout") for r in mixed_run.records)
    tree = result(msgspec.structs.replace(mixed_run, records=records))
    assert tree["completed"] == tree["output_throughput"] == tree["median_ttft_ms"] == 0


def mean(values: Any) -> float:
    listed = list(values)
    assert list(pairwise(listed)) or listed
    return sum(listed) / len(listed)
