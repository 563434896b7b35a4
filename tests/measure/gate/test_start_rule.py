"""Start-up time and planned memory as bounds: figures that whoever started it hands over."""

from collections.abc import Callable

import pytest

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget, check_budget
from trt_nemotron.measure.gate.judge import judge
from trt_nemotron.measure.gate.values import StartFigures

MakeRun = Callable[..., Measurement]
OURS = "ab" * 32


def budget(metric: str = "startup_s", at_most: float = 60.0, **place: float) -> Budget:
    bound = AbsoluteBound(metric=metric, at_most=at_most, **place)
    return Budget(target="cpu", bounds=(bound,))


@pytest.mark.parametrize(
    ("metric", "value", "limit", "decision"),
    [
        ("startup_s", 12.0, 60.0, "pass"),
        ("startup_s", 60.0, 60.0, "pass"),
        ("startup_s", 61.0, 60.0, "fail"),
        ("startup_s", 0.0, 60.0, "pass"),
        ("startup_s", float("nan"), 60.0, "invalid"),
        ("startup_s", float("inf"), 60.0, "invalid"),
        ("startup_s", -1.0, 60.0, "invalid"),
        ("memory_gap_share", 0.01, 0.02, "pass"),
        ("memory_gap_share", 0.03, 0.02, "fail"),
        ("memory_gap_share", 0.0, 0.0, "pass"),
    ],
)
def test_a_start_is_judged_as_it_is(
    make_measurement: MakeRun, metric: str, value: float, limit: float, decision: str
):
    start = StartFigures(configuration_sha256=OURS, **{metric: value})
    verdict = judge(budget(metric, limit), make_measurement(), start=start)
    assert verdict.decision == decision
    result = verdict.results[0]
    assert result.reason.startswith(f"{metric} is ")
    assert result.samples == 1
    assert (result.concurrency, result.at, result.unit) == (
        0,
        "",
        "s" if value > 1 else result.unit,
    )


def test_a_start_that_nobody_saw_is_no_pass(make_measurement: MakeRun):
    verdict = judge(budget(), make_measurement())
    assert verdict.decision == "invalid"
    assert "handed over" in verdict.results[0].reason


def test_a_start_that_does_not_show_it_says_why(make_measurement: MakeRun):
    start = StartFigures(configuration_sha256=OURS, why_none="it was not timed")
    verdict = judge(budget(), make_measurement(), start=start)
    assert verdict.decision == "invalid"
    assert "it was not timed" in verdict.results[0].reason


def test_the_start_of_another_server_is_not_judged(make_measurement: MakeRun):
    start = StartFigures(configuration_sha256="cd" * 32, startup_s=1.0)
    verdict = judge(budget(), make_measurement(), start=start)
    assert verdict.decision == "invalid"
    assert "configuration cdcdcdcdcdcd, the run of abababababab" in verdict.results[0].reason


@pytest.mark.parametrize("place", [{"concurrency": 1}, {"rate_rps": 1.0}, {"input_tokens": 9}])
def test_a_start_has_no_load(place: dict[str, float]):
    with pytest.raises(InvalidInput, match="has no load"):
        check_budget(budget(**place), origin="it")


def test_a_start_bounded_twice_is_refused():
    twice = Budget(target="cpu", bounds=budget().bounds * 2)
    with pytest.raises(InvalidInput, match="startup_s is bounded 2 times"):
        check_budget(twice, origin="it")
