from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.errors import InvalidInput, NoValidMeasurement
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.figures.summary import LegSummary, metric_names
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.metrics import (
    METRICS,
    UNGATED,
    Cost,
    Gain,
    Interval,
    metric_named,
    why_ungated,
)
from trt_nemotron.measure.gate.values import StartFigures

_NO_FIGURES = {
    "concurrency", "rate_rps", "input_tokens", "requests", "good", "void", "kept", "outcomes",
    "duration_s", "is_behind", "drifts", "tpot_at_worst_ms", "goodput_share_low",
    "goodput_share_high",
}  # fmt: skip
"""Of a leg's summary: what names it, counts in it, and what belongs to another figure."""

MakeRun = Callable[..., Measurement]

MORE_IS_BETTER = {
    "tokens_per_s", "tokens_per_s_per_user", "goodput_rps", "goodput_share", "achieved_rps"
}  # fmt: skip
POSITIVE = st.floats(min_value=1e-3, max_value=1e6)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_a_figure_that_the_client_knows(name: str):
    if METRICS[name].scope == "leg":
        assert name in metric_names()
    else:
        assert name in StartFigures.__struct_fields__


@pytest.mark.parametrize("name", {*metric_names(), *LegSummary.__struct_fields__} - _NO_FIGURES)
def test_every_figure_is_a_metric_or_says_why_not(name: str):
    is_latency = name.endswith("_ms") and any(m.startswith(name[:-2]) for m in METRICS)
    assert (name in METRICS or is_latency) is not bool(why_ungated(name))


def test_no_reason_stands_for_a_figure_that_is_not_there():
    figures = {*metric_names(), *LegSummary.__struct_fields__}
    assert all(any(name in (f, *f.split("_")[:2]) for f in figures) for name in UNGATED)


@pytest.mark.parametrize("name", ["itl_p50_ms", "ttft_mean_ms", "roofline_ratio", "queue_ms"])
def test_a_figure_that_is_not_gated_says_why(name: str):
    with pytest.raises(InvalidInput, match="cannot be gated") as caught:
        metric_named(name)
    assert why_ungated(name) in caught.value.evidence


@pytest.mark.parametrize("name", METRICS)
def test_direction_is_the_type(name: str):
    metric = METRICS[name]
    assert metric.name == name
    assert isinstance(metric, Gain if name in MORE_IS_BETTER else Cost)
    assert metric.direction == ("higher_is_better" if name in MORE_IS_BETTER else "lower_is_better")
    assert metric.bound_key == ("at_least" if name in MORE_IS_BETTER else "at_most")


@pytest.mark.parametrize("name", METRICS)
def test_unit_stands_in_the_name(name: str):
    suffixes = {
        "ms": "_ms", "tokens/s": "tokens_per_s", "requests/s": "_rps", "share": "_share",
        "s": "_s", "J/token": "joules_per_token",
    }  # fmt: skip
    assert suffixes[METRICS[name].unit] in name


@pytest.mark.parametrize(
    ("name", "quantile"),
    [("ttft_p50_ms", 0.5), ("tpot_p90_ms", 0.9), ("e2e_p95_ms", 0.95), ("ttfa_p99_ms", 0.99)],
)
def test_quantile_is_that_of_the_name(name: str, quantile: float):
    assert METRICS[name].quantile == quantile


def test_a_value_that_a_run_has_once_has_no_quantile():
    assert METRICS["tokens_per_s"].quantile is None


@given(bound=POSITIVE, share=st.floats(min_value=0.01, max_value=0.99))
def test_a_worse_figure_never_keeps_a_bound_that_the_better_misses(bound: float, share: float):
    for metric in METRICS.values():
        worse = metric.worsened(bound, 100 * share)
        assert metric.is_within(bound, bound)
        assert metric.is_within(bound, worse)
        assert not metric.is_within(worse, bound)


def test_a_cost_grows_and_a_gain_shrinks_when_it_worsens():
    assert METRICS["tpot_p50_ms"].worsened(10.0, 5.0) == pytest.approx(10.5)
    assert METRICS["tokens_per_s"].worsened(10.0, 5.0) == pytest.approx(9.5)


def test_the_worst_end_is_the_upper_one_of_a_cost_and_the_lower_one_of_a_gain():
    interval = Interval(figure=2.0, low=1.0, high=3.0, samples=9)
    cost, gain = METRICS["tpot_p50_ms"], METRICS["tokens_per_s"]
    assert (cost.worst(interval), cost.best(interval)) == (3.0, 1.0)
    assert (gain.worst(interval), gain.best(interval)) == (1.0, 3.0)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("tpot_p50_s", "tpot_p50_ms"), ("ttft_p50", "ttft_p50_ms"), ("token_per_s", "tokens_per_s")],
)
def test_wrong_name_or_unit_names_the_nearest(wrong: str, right: str):
    with pytest.raises(InvalidInput) as caught:
        metric_named(wrong)
    assert right in caught.value.next_step


def test_a_name_like_no_other_lists_what_is_known():
    with pytest.raises(InvalidInput) as caught:
        metric_named("zzzzzz")
    assert "ttft_p50_ms" in caught.value.evidence
    assert "Did you mean" not in caught.value.next_step


def test_gaps_of_a_stream_are_refused_with_the_reason():
    with pytest.raises(InvalidInput) as caught:
        metric_named("itl_p99_ms")
    assert "depend on each other" in caught.value.evidence


def test_figure_comes_with_its_limits(make_measurement: MakeRun):
    summary = summarise(make_measurement(requests=24)).at(1)
    interval = metric_named("ttft_p50_ms").interval(summary)
    assert interval.low < interval.figure < interval.high
    assert interval.figure == pytest.approx(8.0, rel=0.05)
    assert interval.samples == 24


def test_throughput_is_its_own_limits(make_measurement: MakeRun):
    interval = metric_named("tokens_per_s").interval(summarise(make_measurement()).at(1))
    assert interval.low == interval.figure == interval.high > 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_figure_that_cannot_be_is_refused(make_measurement: MakeRun, value: float):
    summary = msgspec.structs.replace(
        summarise(make_measurement()).at(1), tokens_per_s=value, error_share=value
    )
    for name in ("tokens_per_s", "error_share"):
        with pytest.raises(NoValidMeasurement, match="cannot be"):
            metric_named(name).interval(summary)


@pytest.mark.parametrize("part", ["p50_low", "p50", "p50_high"])
def test_a_limit_that_cannot_be_is_refused(make_measurement: MakeRun, part: str):
    summary = summarise(make_measurement()).at(1)
    for value in (float("nan"), -0.5):
        broken = msgspec.structs.replace(summary.ttft_ms, **{part: value})
        with pytest.raises(NoValidMeasurement):
            metric_named("ttft_p50_ms").interval(msgspec.structs.replace(summary, ttft_ms=broken))


def test_a_figure_of_zero_is_one(make_measurement: MakeRun):
    assert metric_named("error_share").interval(summarise(make_measurement()).at(1)).figure == 0.0


def test_too_few_samples_for_a_percentile_are_no_figure(make_measurement: MakeRun):
    summary = summarise(make_measurement(requests=458, concurrencies=(1,), tokens=2)).at(1)
    with pytest.raises(NoValidMeasurement, match="459"):
        metric_named("ttft_p99_ms").interval(summary)


@pytest.mark.parametrize("name", METRICS)
def test_what_a_late_client_and_a_queue_do_to_a_metric(name: str):
    not_timed = {"error_share", "joules_per_token", "startup_s", "memory_gap_share"}
    waiting = ("ttft", "ttfa", "e2e", "goodput")
    assert METRICS[name].is_timed is (name not in not_timed)
    assert METRICS[name].counts_waiting is name.startswith(waiting)
