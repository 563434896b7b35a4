from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.document import parse_document, to_json
from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.client_health import FigureError
from trt_nemotron.measure.bench.figures.summary import Reading, Slo
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.compare import (
    ComparedFigure,
    Comparison,
    _explained,
    compare,
)

MakeRun = Callable[..., Measurement]
Change = Callable[..., Measurement]


def figure(comparison: Comparison, metric: str, run: int = 1, leg: int = 0) -> ComparedFigure:
    found = next(m for m in comparison.legs[leg].metrics if m.metric == metric)
    return found.figures[run]


def test_a_run_beside_itself_differs_in_nothing(make_measurement: MakeRun):
    run = make_measurement()
    result = compare([("a", run), ("b", run)])
    assert result.is_comparable
    for leg in result.legs:
        for metric in leg.metrics:
            assert metric.figures[1].explained in {"within_noise", "no_limits"}
            assert metric.figures[1].ratio in {1.0, None}


def test_a_slower_run_is_worse_beyond_noise_and_a_faster_one_better(make_measurement: MakeRun):
    runs = [("a", make_measurement()), ("b", make_measurement(tpot_ms=0.7, seed=2))]
    slower = figure(compare(runs), "tpot_p50_ms")
    assert slower.ratio == pytest.approx(1.4, rel=0.05)
    assert (slower.explained, slower.is_worse) == ("beyond_noise", True)
    faster = figure(compare(runs[::-1]), "tpot_p50_ms")
    assert (faster.explained, faster.is_worse) == ("beyond_noise", False)
    rate = figure(compare(runs), "tokens_per_s")
    assert (rate.explained, rate.is_worse) == ("no_limits", True)


def test_a_difference_within_the_client_s_error_is_noise(make_measurement: MakeRun, change: Change):
    error = (FigureError(figure="tpot_p50_ms", error_ms=-0.2),)
    runs = [
        (name, change(run, client={"measurement_error": error}))
        for name, run in (("a", make_measurement()), ("b", make_measurement(tpot_ms=0.7, seed=2)))
    ]
    assert figure(compare(runs), "tpot_p50_ms").explained == "within_noise"


def test_what_makes_runs_incomparable_is_said(make_measurement: MakeRun, change: Change):
    run = make_measurement()
    other = change(run, environment={"image": "sha256:1"}, client={"clock": "user_read"})
    result = compare([("a", run), ("b", other)])
    assert not result.is_comparable
    assert result.runs[0].differences == ()
    assert result.runs[1].differences == (
        "image sha256:1 instead of none", "clock user_read instead of kernel_receive",
    )  # fmt: skip


def test_an_invalid_run_is_said(make_measurement: MakeRun, change: Change):
    run = make_measurement()
    result = compare([("a", run), ("b", change(run, client={"cpu_share": 1.0}))])
    assert not result.is_comparable
    assert result.runs[1].invalid_reasons


def test_a_leg_that_one_run_lacks_is_shown_as_missing(make_measurement: MakeRun):
    runs = [
        ("a", make_measurement(concurrencies=(1, 4))),
        ("b", make_measurement(concurrencies=(4, 8))),
    ]
    result = compare(runs)
    assert [(leg.title, leg.missing) for leg in result.legs] == [
        ("concurrency 1", ("b",)), ("concurrency 4", ()), ("concurrency 8", ("a",)),
    ]  # fmt: skip
    assert figure(result, "ttft_p50_ms").reason == "this leg was not measured"
    lacking = figure(result, "ttft_p50_ms", leg=2)
    assert (lacking.ratio, lacking.explained) == (None, "missing")


def test_a_percentile_from_too_few_says_why_it_has_none(make_measurement: MakeRun):
    runs = [("a", make_measurement(requests=500)), ("b", make_measurement(requests=20, seed=3))]
    lacking = figure(compare(runs), "ttft_p99_ms")
    assert lacking.value is None
    assert lacking.reason == "needs 459 samples, there are 20"


def test_goodput_is_there_with_limits(make_measurement: MakeRun):
    runs = [("a", make_measurement()), ("b", make_measurement(seed=2))]
    assert not any(m.metric == "goodput_rps" for m in compare(runs).legs[0].metrics)
    assert figure(compare(runs, Slo(ttft_ms=100.0)), "goodput_rps").value


@pytest.mark.parametrize("names", [["a"], ["a", "a"]])
def test_fewer_than_two_or_two_of_one_name_are_refused(make_measurement: MakeRun, names: list[str]):
    with pytest.raises(InvalidInput, match="two or more measurements"):
        compare([(name, make_measurement()) for name in names])


def test_a_comparison_is_a_document(make_measurement: MakeRun):
    result = compare([("a", make_measurement()), ("b", make_measurement(seed=5))])
    again = parse_document(to_json(result), Comparison, origin="test")
    assert again == result
    assert again.schema == "trt-nemotron/comparison/1"
    assert "gate --ab" in again.caveat


LIMITS = st.tuples(st.floats(0, 100), st.floats(0, 100)).map(sorted)


@given(LIMITS, LIMITS, st.floats(0, 50))
def test_noise_is_the_same_from_both_sides_and_never_grows_with_certainty(
    here: list[float], there: list[float], slack: float
):
    first, second = (
        Reading(metric="x", value=low, low=low, high=high) for low, high in (here, there)
    )
    assert _explained(first, second, slack) == _explained(second, first, slack)
    if _explained(first, second, slack) == "beyond_noise":
        assert _explained(first, second, 0.0) == "beyond_noise"
    assert _explained(first, first, slack) == "within_noise"
    bare = msgspec.structs.replace(second, low=None)
    assert _explained(bare, first, slack) == "no_limits"
