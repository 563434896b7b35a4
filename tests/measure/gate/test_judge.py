"""What passes, and above all what never may."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.budget import Budget
from trt_nemotron.measure.gate.judge import judge
from trt_nemotron.measure.gate.values import PhysicalLimit, Verdict
from trt_nemotron.measure.smoke.values import SmokeReport

MakeRun = Callable[..., Measurement]
MakeBudget = Callable[..., Budget]
MakeSmoke = Callable[..., SmokeReport]

LATER = "2026-11-24T12:00:00Z"


def decisions(verdict: Verdict) -> list[str]:
    return [result.decision for result in verdict.results]


def test_a_run_within_all_bounds_passes(
    make_measurement: MakeRun, make_budget: MakeBudget, make_smoke: MakeSmoke
):
    budget = make_budget(ttft_p50_ms=20, tpot_p50_ms=2, tokens_per_s=10, error_share=0.0)
    verdict = judge(budget, make_measurement(), smoke=make_smoke("pass", "skip"))
    assert verdict.decision == "pass"
    assert decisions(verdict) == ["pass"] * 5
    assert (verdict.results[0].figure, verdict.results[0].samples) == (0, 1)
    assert verdict.invalid_reasons == ()
    assert verdict.confidence == 0.99
    assert verdict.budget == "cpu"


@pytest.mark.parametrize("slowdown", [1.5, 2.0, 10.0])
def test_a_slowdown_fails_whatever_the_metric(
    make_measurement: MakeRun, make_budget: MakeBudget, slowdown: float
):
    slow = make_measurement(ttft_ms=8 * slowdown, tpot_ms=0.5 * slowdown)
    budget = make_budget(
        ttft_p50_ms=10, tpot_p50_ms=0.6, e2e_p50_ms=18, ttfa_p50_ms=10,
        tokens_per_s=900, tokens_per_s_per_user=1600,
    )  # fmt: skip
    assert judge(budget, make_measurement()).decision == "pass"
    assert decisions(judge(budget, slow)) == ["fail"] * 6


def test_a_bound_inside_the_interval_is_inconclusive(
    make_measurement: MakeRun, make_budget: MakeBudget
):
    verdict = judge(make_budget(ttft_p50_ms=8.0), make_measurement())
    assert verdict.decision == "inconclusive"


def test_the_result_says_all_that_led_to_it(make_measurement: MakeRun, make_budget: MakeBudget):
    (result,) = judge(make_budget(tpot_p50_ms=0.1), make_measurement()).results
    assert result.decision == "fail"
    assert result.low < result.figure < result.high
    assert (result.bound, result.samples, result.unit) == (0.1, 24, "ms")
    assert (result.kind, result.direction) == ("absolute", "lower_is_better")
    assert f"({result.low:.4g} to {result.high:.4g})" in result.reason
    for word in ("tpot_p50_ms", "concurrency 1", "0.1 ms", "at most", "lower is better"):
        assert word in result.reason


def test_a_value_without_limits_shows_none(make_measurement: MakeRun, make_budget: MakeBudget):
    (result,) = judge(make_budget(tokens_per_s=10), make_measurement()).results
    assert " to " not in result.reason
    assert (result.unit, result.direction) == ("tokens/s", "higher_is_better")
    assert "at least 10 tokens/s" in result.reason


def test_one_missed_bound_fails_the_whole(make_measurement: MakeRun, make_budget: MakeBudget):
    verdict = judge(make_budget(ttft_p50_ms=100, tpot_p50_ms=0.1), make_measurement())
    assert decisions(verdict) == ["pass", "fail"]
    assert verdict.decision == "fail"


def test_each_concurrency_is_judged_by_its_own_figures(
    make_measurement: MakeRun, make_budget: MakeBudget
):
    run = make_measurement(concurrencies=(1, 4))
    assert judge(make_budget(ttft_p50_ms=10, at=1), run).decision == "pass"
    assert judge(make_budget(ttft_p50_ms=10, at=4), run).decision == "fail"


def test_p99_is_refused_from_few_and_judged_from_many(
    make_measurement: MakeRun, make_budget: MakeBudget
):
    few = make_measurement(requests=100, concurrencies=(1,), tokens=2)
    many = make_measurement(requests=459, concurrencies=(1,), tokens=2)
    budget = make_budget(ttft_p99_ms=20)
    assert judge(budget, few).decision == "invalid"
    assert "459" in judge(budget, few).results[0].reason
    assert judge(budget, many).decision == "pass"


# --- smoke -----------------------------------------------------------------------------------


def test_a_required_smoke_report_that_is_missing_is_invalid(
    make_measurement: MakeRun, make_budget: MakeBudget
):
    verdict = judge(make_budget(ttft_p50_ms=20, needs_smoke=True), make_measurement())
    assert decisions(verdict) == ["invalid", "pass"]
    assert verdict.decision == "invalid"
    missing = verdict.results[0]
    assert (missing.samples, missing.figure, missing.concurrency) == (0, None, 0)
    assert missing.direction == "lower_is_better"


def test_a_failed_check_fails_even_where_smoke_is_not_required(
    make_measurement: MakeRun, make_budget: MakeBudget, make_smoke: MakeSmoke
):
    verdict = judge(
        make_budget(ttft_p50_ms=20), make_measurement(), smoke=make_smoke("pass", "fail")
    )
    assert verdict.decision == "fail"
    result = verdict.results[0]
    assert (result.figure, result.samples, result.bound, result.kind) == (1, 2, 0, "smoke")
    assert "models" in result.reason
    assert "health" not in result.reason


def test_a_smoke_report_of_skips_shows_nothing(
    make_measurement: MakeRun, make_budget: MakeBudget, make_smoke: MakeSmoke
):
    for report in (make_smoke("skip", "skip"), make_smoke()):
        verdict = judge(make_budget(ttft_p50_ms=20), make_measurement(), smoke=report)
        assert decisions(verdict) == ["invalid", "pass"]
        assert verdict.results[0].samples == 0


def test_without_requirement_and_report_smoke_is_not_judged(
    make_measurement: MakeRun, make_budget: MakeBudget
):
    assert len(judge(make_budget(ttft_p50_ms=20), make_measurement()).results) == 1


def test_a_failed_check_counts_even_when_the_run_is_not_valid(
    make_measurement: MakeRun, make_budget: MakeBudget, make_smoke: MakeSmoke, change: MakeRun
):
    run = change(make_measurement(), client={"cpu_share": 0.99})
    verdict = judge(make_budget(ttft_p50_ms=20), run, smoke=make_smoke("fail"))
    assert verdict.decision == "fail"
    assert decisions(verdict) == ["fail", "invalid"]


# --- validity --------------------------------------------------------------------------------


def test_an_invalid_run_is_never_a_pass_and_still_shows_its_figure(
    make_measurement: MakeRun, make_budget: MakeBudget, change: MakeRun
):
    run = change(make_measurement(), client={"cpu_share": 0.99})
    verdict = judge(make_budget(ttft_p50_ms=20), run)
    assert verdict.decision == "invalid"
    assert verdict.results[0].figure == pytest.approx(8, rel=0.1)
    assert verdict.invalid_reasons[0] in verdict.results[0].reason


def test_an_invalid_run_is_no_failure_either(
    make_measurement: MakeRun, make_budget: MakeBudget, change: MakeRun
):
    run = change(make_measurement(), client={"cpu_share": 0.99})
    assert judge(make_budget(ttft_p50_ms=1), run).decision == "invalid"


def test_an_invalid_run_is_invalid_though_only_smoke_is_judged(
    make_measurement: MakeRun, make_budget: MakeBudget, make_smoke: MakeSmoke, change: MakeRun
):
    run = change(make_measurement(), client={"cpu_share": 0.99})
    verdict = judge(make_budget(needs_smoke=True), run, smoke=make_smoke("pass"))
    assert decisions(verdict) == ["pass"]
    assert verdict.decision == "invalid"


def test_an_empty_run_is_invalid(make_measurement: MakeRun, make_budget: MakeBudget):
    empty = msgspec.structs.replace(make_measurement(), records=())
    verdict = judge(make_budget(ttft_p50_ms=20), empty)
    assert verdict.decision == "invalid"
    assert verdict.results[0].figure is None
    assert "no measured request" in verdict.results[0].reason


def test_one_sample_is_invalid(make_measurement: MakeRun, make_budget: MakeBudget):
    run = make_measurement(requests=1, concurrencies=(1,))
    assert judge(make_budget(ttft_p50_ms=20), run).decision == "invalid"
    lenient = make_budget(ttft_p50_ms=20, minimum_samples=1)
    assert judge(lenient, run).decision == "invalid"


@pytest.mark.parametrize(("requests", "decision"), [(10, "pass"), (9, "invalid")])
def test_fewer_requests_than_the_budget_asks_for_are_invalid(
    make_measurement: MakeRun, make_budget: MakeBudget, requests: int, decision: str
):
    run = make_measurement(requests=requests)
    verdict = judge(make_budget(ttft_p50_ms=20, tokens_per_s=1), run)
    assert decisions(verdict) == [decision] * 2


def test_a_concurrency_that_was_not_measured_is_invalid(
    make_measurement: MakeRun, make_budget: MakeBudget
):
    verdict = judge(make_budget(ttft_p50_ms=20, at=8), make_measurement())
    assert verdict.decision == "invalid"
    assert "concurrency 8" in verdict.results[0].reason
    assert verdict.results[0].samples == 0


def test_the_wrong_target_is_invalid(
    make_measurement: MakeRun, make_budget: MakeBudget, change: MakeRun
):
    run = change(make_measurement(), environment={"target": "thor"})
    verdict = judge(make_budget(ttft_p50_ms=20), run)
    assert verdict.decision == "invalid"
    assert "thor" in verdict.invalid_reasons[0]


def test_a_clock_that_ran_backwards_gives_no_figure(
    make_measurement: MakeRun, make_budget: MakeBudget
):
    run = make_measurement()
    record = msgspec.structs.replace(run.records[0], finished_ns=run.records[0].sent_ns - 1)
    verdict = judge(
        make_budget(ttft_p50_ms=20),
        msgspec.structs.replace(run, records=(record, *run.records[1:])),
    )
    assert verdict.decision == "invalid"
    assert verdict.results[0].figure is None


def test_a_figure_faster_than_the_device_can_be_is_invalid(
    make_measurement: MakeRun, make_budget: MakeBudget
):
    def limit(metric: str, best: float) -> PhysicalLimit:
        return PhysicalLimit(metric=metric, concurrency=1, best=best, source="bytes / bandwidth")

    budget = make_budget(tpot_p50_ms=2)
    run = make_measurement()
    assert judge(budget, run, limits=[limit("tpot_p50_ms", 0.3)]).decision == "pass"
    assert judge(budget, run, limits=[limit("tokens_per_s", 1e5)]).decision == "pass"
    for broken in (limit("tpot_p50_ms", 0.7), limit("tokens_per_s", 100.0)):
        verdict = judge(budget, run, limits=[broken])
        assert verdict.decision == "invalid"
        assert "bytes / bandwidth" in verdict.invalid_reasons[0]


def test_a_figure_exactly_at_the_limit_is_possible(
    make_measurement: MakeRun, make_budget: MakeBudget
):
    run = make_measurement(spread=0.0)
    figure = judge(make_budget(ttft_p50_ms=20), run).results[0].figure
    at_limit = PhysicalLimit(metric="ttft_p50_ms", concurrency=1, best=figure, source="s")
    assert judge(make_budget(ttft_p50_ms=20), run, limits=[at_limit]).decision == "pass"


def test_a_limit_for_what_was_not_measured_says_nothing(
    make_measurement: MakeRun, make_budget: MakeBudget
):
    limits = [
        PhysicalLimit(metric="tpot_p50_ms", concurrency=8, best=9.0, source="s"),
        PhysicalLimit(metric="ttft_p99_ms", concurrency=1, best=9e9, source="s"),
    ]
    assert judge(make_budget(tpot_p50_ms=2), make_measurement(), limits=limits).decision == "pass"


def test_failures_that_the_budget_tolerates_are_judged_by_their_share(
    make_measurement: MakeRun, make_budget: MakeBudget
):
    run = make_measurement(requests=100, concurrencies=(1,), tokens=2)
    failed = [msgspec.structs.replace(r, outcome="timeout") for r in run.records[:5]]
    run = msgspec.structs.replace(run, records=(*failed, *run.records[5:]))
    assert judge(make_budget(ttft_p50_ms=20), run).decision == "invalid"
    assert judge(make_budget(ttft_p50_ms=20, error_share=0.051), run).decision == "pass"
    verdict = judge(make_budget(ttft_p50_ms=20, error_share=0.04), run)
    assert decisions(verdict) == ["pass", "fail"]


# --- baseline --------------------------------------------------------------------------------


def relative(make_budget: MakeBudget, percent: float = 10.0) -> Budget:
    return make_budget(relative={"tpot_p50_ms": percent})


def steady(make_measurement: MakeRun, tpot_ms: float, **options: Any) -> Measurement:
    return make_measurement(tpot_ms=tpot_ms, spread=0.002, **options)


def test_without_a_baseline_a_relative_bound_is_no_pass(
    make_measurement: MakeRun, make_budget: MakeBudget
):
    verdict = judge(relative(make_budget), make_measurement())
    assert verdict.decision == "no_baseline"
    assert verdict.results[0].figure is not None
    assert verdict.results[0].bound is None


@pytest.mark.parametrize(
    ("tpot_ms", "decision"),
    [(0.5, "pass"), (0.4, "pass"), (0.55, "inconclusive"), (0.6, "inconclusive"), (1.4, "fail")],
)
def test_a_run_is_compared_with_its_baseline(
    make_measurement: MakeRun, make_budget: MakeBudget, tpot_ms: float, decision: str
):
    kept = steady(make_measurement, 0.5)
    run = steady(make_measurement, tpot_ms, started_at=LATER, seed=2)
    verdict = judge(relative(make_budget), run, baseline=kept)
    assert verdict.decision == decision
    (result,) = verdict.results
    assert result.kind == "relative"
    assert result.baseline == pytest.approx(0.5, rel=0.01)
    assert result.bound == pytest.approx(0.55, rel=0.01)
    assert "10 % worse" in result.reason


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("environment", "processor", "Another"), ("environment", "release", "9.9"),
        ("environment", "configuration_sha256", "00"), ("environment", "python", "3.13.0"),
        ("environment", "cores", 64), ("environment", "power_mode", "15W"),
        ("environment", "image", "sha256:ab"), ("environment", "weights_sha256", "cd" * 32),
        ("environment", "client_version", "0.2.0"),
        ("workload", "input_tokens", 512), ("workload", "is_thinking_enabled", True),
        ("client", "clock", "user_read"),
    ],
)  # fmt: skip
def test_any_difference_in_the_fingerprint_is_no_baseline_and_is_named(  # noqa: PLR0917
    make_measurement: MakeRun,
    make_budget: MakeBudget,
    change: MakeRun,
    part: str,
    field: str,
    value: object,
):
    kept = change(steady(make_measurement, 0.5), **{part: {field: value}})
    run = steady(make_measurement, 0.5, started_at=LATER, seed=2)
    verdict = judge(relative(make_budget), run, baseline=kept)
    assert verdict.decision == "no_baseline"
    assert field in verdict.results[0].reason
    assert str(value) in verdict.results[0].reason


@pytest.mark.parametrize(
    "fields", [{"requests_per_concurrency": 7}, {"seed": 9}, {"timeout_s": 1.0}]
)
def test_how_much_was_measured_may_differ(
    make_measurement: MakeRun, make_budget: MakeBudget, change: MakeRun, fields: dict[str, object]
):
    kept = change(steady(make_measurement, 0.5), workload=fields)
    run = steady(make_measurement, 0.5, started_at=LATER, seed=2)
    assert judge(relative(make_budget), run, baseline=kept).decision == "pass"


@pytest.mark.parametrize("field", ["dialect", "is_length_fixed"])
def test_another_way_of_asking_is_no_baseline(
    make_measurement: MakeRun, make_budget: MakeBudget, field: str
):
    value = {"dialect": "other", "is_length_fixed": False}[field]
    kept = msgspec.structs.replace(steady(make_measurement, 0.5), **{field: value})
    run = steady(make_measurement, 0.5, started_at=LATER, seed=2)
    verdict = judge(relative(make_budget), run, baseline=kept)
    assert verdict.decision == "no_baseline"
    assert field in verdict.results[0].reason


@pytest.mark.parametrize("value", ["unknown", ""])
def test_what_is_unknown_on_both_sides_is_not_the_same(
    make_measurement: MakeRun, make_budget: MakeBudget, change: MakeRun, value: str
):
    kept, run = (
        change(steady(make_measurement, 0.5, **options), environment={"release": value})
        for options in ({}, {"started_at": LATER, "seed": 2})
    )
    verdict = judge(relative(make_budget), run, baseline=kept)
    assert verdict.decision == "no_baseline"
    assert "release" in verdict.results[0].reason


@pytest.mark.parametrize("health", [{"cpu_share": 0.99}, {"floor_ttft_p50_ms": float("nan")}])
def test_an_invalid_baseline_is_none(
    make_measurement: MakeRun, make_budget: MakeBudget, change: MakeRun, health: dict
):
    kept = change(steady(make_measurement, 0.5), client=health)
    run = steady(make_measurement, 0.5, started_at=LATER, seed=2)
    verdict = judge(relative(make_budget), run, baseline=kept)
    assert verdict.decision == "no_baseline"
    assert "not a valid run" in verdict.results[0].reason


def test_a_baseline_with_broken_records_or_none_is_none(
    make_measurement: MakeRun, make_budget: MakeBudget
):
    kept = steady(make_measurement, 0.5)
    run = steady(make_measurement, 0.5, started_at=LATER, seed=2)
    for records in ((), (kept.records[0], *kept.records)):
        broken = msgspec.structs.replace(kept, records=records)
        verdict = judge(relative(make_budget), run, baseline=broken)
        assert verdict.decision == "no_baseline"


def test_a_baseline_without_that_concurrency_or_with_few_samples_is_none(
    make_measurement: MakeRun, make_budget: MakeBudget
):
    run = steady(make_measurement, 0.5, started_at=LATER, seed=2)
    for options in ({"concurrencies": (4,)}, {"requests": 9}):
        kept = steady(make_measurement, 0.5, **options)
        verdict = judge(relative(make_budget), run, baseline=kept)
        assert verdict.decision == "no_baseline"
        assert "in the baseline, " in verdict.results[0].reason


def test_swapped_files_are_found(make_measurement: MakeRun, make_budget: MakeBudget):
    old = steady(make_measurement, 0.5)
    slower = steady(make_measurement, 2.0, started_at=LATER, seed=2)
    assert judge(relative(make_budget), slower, baseline=old).decision == "fail"
    verdict = judge(relative(make_budget), old, baseline=slower)
    assert verdict.decision == "invalid"
    assert "swapped" in verdict.invalid_reasons[0]


def test_a_run_is_not_its_own_baseline(make_measurement: MakeRun, make_budget: MakeBudget):
    run = steady(make_measurement, 0.5)
    assert judge(relative(make_budget), run, baseline=run).decision == "invalid"


def test_two_runs_of_the_same_second_may_be_compared(
    make_measurement: MakeRun, make_budget: MakeBudget
):
    kept, run = (steady(make_measurement, 0.5, seed=seed) for seed in (1, 2))
    assert judge(relative(make_budget), run, baseline=kept).decision == "pass"


@pytest.mark.parametrize("moment", ["", "yesterday"])
def test_runs_without_a_time_cannot_be_told_apart(
    make_measurement: MakeRun, make_budget: MakeBudget, moment: str
):
    kept = steady(make_measurement, 0.5)
    run = steady(make_measurement, 0.5, started_at=moment, seed=2)
    assert judge(relative(make_budget), run, baseline=kept).decision == "invalid"
    assert judge(relative(make_budget), kept, baseline=run).decision == "invalid"


def test_times_are_compared_across_zones_and_without_one(
    make_measurement: MakeRun, make_budget: MakeBudget
):
    kept = steady(make_measurement, 0.5, started_at="2026-11-23T12:00:00")
    after = steady(make_measurement, 0.5, started_at="2026-11-23T14:00:00+01:00", seed=2)
    before = steady(make_measurement, 0.5, started_at="2026-11-23T12:30:00+01:00", seed=2)
    assert judge(relative(make_budget), after, baseline=kept).decision == "pass"
    assert judge(relative(make_budget), before, baseline=kept).decision == "invalid"


def test_an_invalid_run_with_a_baseline_is_invalid(
    make_measurement: MakeRun, make_budget: MakeBudget, change: MakeRun
):
    kept = steady(make_measurement, 0.5)
    run = change(
        steady(make_measurement, 0.5, started_at=LATER, seed=2), client={"cpu_share": 0.99}
    )
    verdict = judge(relative(make_budget), run, baseline=kept)
    assert decisions(verdict) == ["invalid"]


def test_a_budget_made_in_code_is_checked_as_well(make_measurement: MakeRun):
    with pytest.raises(InvalidInput):
        judge(Budget(target="cpu"), make_measurement())
