import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.measure.bench.figures.percentiles import percentile
from trt_nemotron.measure.gate.metrics import METRICS, Interval
from trt_nemotron.measure.gate.rule import decide, decide_relative

COST, GAIN = METRICS["ttft_p50_ms"], METRICS["tokens_per_s"]
P99 = METRICS["ttft_p99_ms"]


def interval(low: float, figure: float, high: float) -> Interval:
    return Interval(figure=figure, low=low, high=high, samples=99)


@pytest.mark.parametrize(
    ("bound", "decision"),
    [(3.1, "pass"), (3.0, "pass"), (2.9, "inconclusive"), (2.0, "inconclusive"),
     (1.0, "inconclusive"), (0.9, "fail")],
)  # fmt: skip
def test_a_cost_passes_by_its_upper_limit_and_fails_by_its_lower_one(bound: float, decision: str):
    assert decide(COST, interval(1.0, 2.0, 3.0), bound) == decision


@pytest.mark.parametrize(
    ("bound", "decision"),
    [(0.9, "pass"), (1.0, "pass"), (1.1, "inconclusive"), (3.0, "inconclusive"), (3.1, "fail")],
)
def test_a_gain_passes_by_its_lower_limit_and_fails_by_its_upper_one(bound: float, decision: str):
    assert decide(GAIN, interval(1.0, 2.0, 3.0), bound) == decision


@given(st.floats(1e-3, 1e6), st.floats(1e-3, 1e6))
def test_a_value_without_limits_is_always_decided(figure: float, bound: float):
    for metric in (COST, GAIN):
        assert decide(metric, interval(figure, figure, figure), bound) in {"pass", "fail"}


@pytest.mark.parametrize(
    ("samples", "over", "decision"),
    [(459, 0, "pass"), (459, 1, "inconclusive"), (661, 1, "inconclusive"), (662, 1, "pass"),
     (837, 2, "inconclusive"), (838, 2, "pass"), (459, 14, "fail")],
)  # fmt: skip
def test_a_p99_bound_is_the_binomial_rule_of_loadgen(samples: int, over: int, decision: str):
    ordered = [1.0] * (samples - over) + [9.0] * over
    found = percentile(ordered, 0.99)
    assert decide(P99, interval(found.low, found.value, found.high), 5.0) == decision


@pytest.mark.parametrize(
    ("figure", "decision"), [(10.4, "pass"), (10.5, "pass"), (10.6, "fail"), (20.0, "fail")]
)
def test_a_cost_is_compared_with_the_worsened_baseline(figure: float, decision: str):
    kept = interval(10.0, 10.0, 10.0)
    assert decide_relative(COST, interval(figure, figure, figure), kept, 5.0) == decision


@pytest.mark.parametrize(("figure", "decision"), [(9.6, "pass"), (9.4, "fail"), (99.0, "pass")])
def test_a_gain_is_compared_with_the_worsened_baseline(figure: float, decision: str):
    kept = interval(10.0, 10.0, 10.0)
    assert decide_relative(GAIN, interval(figure, figure, figure), kept, 5.0) == decision


def test_both_uncertainties_count_against_a_decision():
    kept = interval(9.0, 10.0, 11.0)
    assert decide_relative(COST, interval(8.0, 8.5, 9.4), kept, 5.0) == "pass"
    assert decide_relative(COST, interval(9.0, 10.0, 11.0), kept, 5.0) == "inconclusive"
    assert decide_relative(COST, interval(11.5, 12.0, 12.5), kept, 5.0) == "inconclusive"
    assert decide_relative(COST, interval(11.6, 12.0, 12.5), kept, 5.0) == "fail"
    assert decide_relative(GAIN, interval(8.5, 8.8, 9.0), kept, 5.0) == "inconclusive"
    assert decide_relative(GAIN, interval(8.0, 8.2, 8.5), kept, 5.0) == "fail"
    assert decide_relative(GAIN, interval(10.5, 10.8, 11.0), kept, 5.0) == "pass"
