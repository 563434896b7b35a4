"""A late client: lateness has a direction; a bound can be kept in spite of it, never missed."""

from collections.abc import Callable

import msgspec
import pytest

from trt_nemotron.measure.bench.client_health import LoopLag
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget, RelativeBound
from trt_nemotron.measure.gate.judge import judge

TOKENS = 16


@pytest.fixture
def late_run(make_measurement: Callable[..., Measurement]) -> Measurement:
    """TTFT 8 ms and TPOT 0.5 ms, but the first ten tokens of each answer were read at once."""
    run = make_measurement(concurrencies=(1,), tokens=TOKENS)
    records = tuple(
        msgspec.structs.replace(
            record,
            chunks=tuple(
                msgspec.structs.replace(chunk, received_ns=record.chunks[9].received_ns)
                if place < 10
                else chunk
                for place, chunk in enumerate(record.chunks)
            ),
        )
        for record in run.records
    )
    lag = LoopLag(concurrency=1, p99_ms=50.0)
    client = msgspec.structs.replace(run.client, loop_lags=(lag,))
    return msgspec.structs.replace(run, records=records, client=client)


def budget(**bounds: float) -> Budget:
    return Budget(
        target="cpu",
        bounds=tuple(
            AbsoluteBound(metric=name, concurrency=1, at_most=limit)
            for name, limit in bounds.items()
        ),
    )


def test_bound_that_is_kept_even_at_worst_is_kept_and_says_so(late_run: Measurement):
    verdict = judge(budget(ttft_p50_ms=100, tpot_p50_ms=10), late_run)
    assert verdict.decision == "pass"
    assert "too busy" in verdict.notes[0]


def test_worst_case_of_tpot_counts_from_the_sending(late_run: Measurement):
    verdict = judge(budget(tpot_p50_ms=10), late_run)
    sent_to_last_ms = 8 + (TOKENS - 1) * 0.5
    assert verdict.results[0].figure == pytest.approx(sent_to_last_ms / (TOKENS - 1), rel=0.05)


@pytest.mark.parametrize("bound", [{"ttft_p50_ms": 9.0}, {"tpot_p50_ms": 0.7}])
def test_bound_that_is_not_kept_at_worst_is_invalid_and_no_failure(
    late_run: Measurement, bound: dict[str, float]
):
    verdict = judge(budget(**bound), late_run)
    assert verdict.decision == "invalid"
    assert "too busy" in verdict.results[0].reason


def test_bound_that_no_lateness_explains_is_still_not_called_a_failure(late_run: Measurement):
    assert judge(budget(ttft_p50_ms=0.001), late_run).decision == "invalid"


def test_figure_that_is_no_time_is_judged_as_ever(late_run: Measurement):
    failed = tuple(
        msgspec.structs.replace(record, outcome="http_error") if record.index < 12 else record
        for record in late_run.records
    )
    run = msgspec.structs.replace(late_run, records=failed)
    assert judge(budget(error_share=0.1), run).decision == "fail"
    assert judge(budget(error_share=0.9), run).decision == "pass"


def test_relative_bound_needs_the_figure_itself(
    late_run: Measurement, make_measurement: Callable[..., Measurement]
):
    earlier = make_measurement(concurrencies=(1,), tokens=TOKENS, seed=2)
    bound = RelativeBound(metric="ttft_p50_ms", concurrency=1, worse_by_at_most_percent=500)
    relative = Budget(target="cpu", relative=(bound,))
    assert judge(relative, late_run, baseline=earlier).decision == "invalid"


def test_goodput_has_no_worst_case(late_run: Measurement):
    bound = AbsoluteBound(metric="goodput_rps", concurrency=1, at_least=0.001)
    rule = msgspec.convert({"target": "cpu", "slo": {"tpot_ms": 100.0}}, Budget)
    assert judge(msgspec.structs.replace(rule, bounds=(bound,)), late_run).decision == "invalid"


def test_same_run_with_a_client_in_time_is_judged_by_its_own_figures(late_run: Measurement):
    client = msgspec.structs.replace(late_run.client, loop_lags=())
    run = msgspec.structs.replace(late_run, client=client)
    verdict = judge(budget(ttft_p50_ms=9.0), run)
    assert verdict.decision == "fail"
    assert verdict.notes == ()
