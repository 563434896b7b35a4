"""By how much a late client may have made one request's figure wrong, clock by clock."""

import dataclasses

import msgspec
import pytest

from trt_nemotron.measure.bench.client_health import FigureError, LoopLag
from trt_nemotron.measure.bench.figures.request_figures import measure_request
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.ab_lateness import Compared, lateness_ms
from trt_nemotron.measure.gate.budget import RelativeBound
from trt_nemotron.measure.gate.metrics import METRICS

LAG_MS = 7.5
COST = METRICS["tpot_p50_ms"]


def lateness(
    run: Measurement, metric: str, *, doubt: float = 0.0, output_tokens: int = 16, **client: object
) -> float:
    """Of the first request, whose TTFT is 8 ms, one stream, with that health of the client."""
    health = {"loop_lags": (LoopLag(concurrency=1, p99_ms=LAG_MS),), **client}
    run = msgspec.structs.replace(
        run,
        client=msgspec.structs.replace(run.client, **health),
        workload=msgspec.structs.replace(run.workload, output_tokens=output_tokens),
    )
    figures = dataclasses.replace(measure_request(run.records[0]), ttft_ms=8.0, first_doubt=doubt)
    bound = RelativeBound(metric=metric, concurrency=1, worse_by_at_most_percent=3.0)
    return lateness_ms(bound, figures, run)


@pytest.fixture
def run(make_measurement) -> Measurement:
    return make_measurement(concurrencies=(1,), requests=1)


@pytest.mark.parametrize(
    ("metric", "tokens", "late_ms"),
    [
        ("ttft_p50_ms", 16, LAG_MS),
        ("ttfa_p50_ms", 16, LAG_MS),
        ("e2e_p50_ms", 16, LAG_MS),
        ("tpot_p50_ms", 16, LAG_MS / 15),
        ("tpot_p50_ms", 2, LAG_MS),
        ("tpot_p50_ms", 1, LAG_MS),
    ],
)
def test_by_its_own_clock_a_client_is_late_by_its_lag(run, metric, tokens, late_ms: float):
    late = lateness(run, metric, clock="user_read", output_tokens=tokens)
    assert late == pytest.approx(late_ms)


@pytest.mark.parametrize(
    ("metric", "doubt", "late_ms"),
    [
        ("ttft_p50_ms", 0.25, 2.0),
        ("ttfa_p50_ms", 0.25, 2.0),
        ("ttft_p50_ms", float("inf"), LAG_MS),
        ("ttft_p50_ms", 0.0, 0.0),
        ("tpot_p50_ms", 0.25, 0.0),
        ("e2e_p50_ms", 0.25, 0.0),
    ],
)
def test_stamps_of_reads_leave_a_doubt_of_the_first_token_only(run, metric, doubt, late_ms: float):
    late = lateness(run, metric, clock="kernel_receive", doubt=doubt)
    assert late == pytest.approx(late_ms)


@pytest.mark.parametrize("metric", ["ttft_p50_ms", "tpot_p50_ms", "e2e_p50_ms"])
def test_packets_are_stamped_whoever_reads_them(run, metric: str):
    assert lateness(run, metric, clock="packet_ring", doubt=5.0) == 0.0


@pytest.mark.parametrize(
    ("metric", "late_ms"),
    [("ttft_p50_ms", 0.4), ("ttfa_p50_ms", 0.4), ("tpot_p50_ms", 0.2), ("e2e_p50_ms", 0.0)],
)
def test_the_error_that_was_measured_counts_for_its_figure(run, metric, late_ms: float):
    errors = (
        FigureError(figure="ttft_p50_ms", error_ms=-0.4),
        FigureError(figure="ttft_p99_ms", error_ms=9.0),
        FigureError(figure="tpot_p50_ms", error_ms=0.2),
    )
    late = lateness(run, metric, clock="packet_ring", measurement_error=errors)
    assert late == pytest.approx(late_ms)


@pytest.mark.parametrize(
    ("metric", "late_ms"), [("ttft_p50_ms", 3.0), ("e2e_p50_ms", 3.0), ("tpot_p50_ms", 0.2)]
)
def test_a_delay_of_all_stamps_makes_moments_late_and_no_gaps(run, metric, late_ms: float):
    errors = tuple(
        FigureError(figure=f"{base}_p50_ms", error_ms=0.2) for base in ("ttft", "tpot", "e2e")
    )
    late = lateness(
        run, metric, clock="packet_ring", measurement_error=errors, stamp_delay_p50_ms=3.0
    )
    assert late == pytest.approx(late_ms)


def test_the_lag_is_that_of_as_many_streams_or_else_of_the_whole_run(run):
    lags = (LoopLag(concurrency=8, p99_ms=90.0), LoopLag(concurrency=1, p99_ms=2.0))
    assert lateness(run, "ttft_p50_ms", clock="user_read", loop_lags=lags) == 2.0
    others = {"loop_lags": lags[:1], "loop_lag_p99_ms": 4.0}
    assert lateness(run, "ttft_p50_ms", clock="user_read", **others) == 4.0


def test_the_worst_takes_from_the_one_and_gives_to_the_other():
    assert Compared(10.0, 10.0, 2.0, 3.0).worst_loss(COST) == pytest.approx(COST.loss(8.0, 13.0))
    assert Compared(10.0, 12.0, 2.0, 3.0).loss(COST) == pytest.approx(COST.loss(10.0, 12.0))


def test_lateness_beyond_the_figure_itself_leaves_a_thousandth_of_it():
    for late in (9.995, 10.0, 1e6):
        assert Compared(10.0, 10.0, late).worst_loss(COST) == pytest.approx(COST.loss(0.01, 10.0))
