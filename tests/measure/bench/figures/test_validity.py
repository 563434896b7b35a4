"""What makes a run invalid: times that are not sound, and errors the client found in itself."""

import msgspec
import pytest

from trt_nemotron.measure.bench.client_health import FigureError, LoopLag
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.figures.validity import find_invalid_reasons, find_lateness_reasons
from trt_nemotron.measure.bench.values import Measurement


def voided(measurement: Measurement, count: int) -> Measurement:
    records = [
        msgspec.structs.replace(record, void="the wall clock was stepped") if n < count else record
        for n, record in enumerate(measurement.records)
    ]
    return msgspec.structs.replace(measurement, records=tuple(records))


def test_void_requests_give_no_latency_and_are_never_silent(make_measurement):
    measurement = make_measurement(concurrencies=(1,), requests=40)
    whole, part = summarise(measurement).at(1), summarise(voided(measurement, 2))
    level = part.at(1)
    assert (level.good, level.void, level.error_share) == (38, 2, 0.0)
    assert level.outcomes == {"ok": 40}
    assert level.ttft_ms.samples == 38
    assert level.tokens_per_s == pytest.approx(whole.tokens_per_s)
    assert part.notes == ("concurrency 1: 2 requests give no latency: the wall clock was stepped",)
    assert part.invalid_reasons == ()


def test_too_many_void_requests_make_a_run_invalid(make_measurement):
    measurement = voided(make_measurement(concurrencies=(1,), requests=40), 3)
    (reason,) = find_invalid_reasons(measurement)
    assert "3 of 40 answered requests" in reason
    assert find_lateness_reasons(measurement) == (), "nothing is known of such a request"


@pytest.mark.parametrize("figure", ["ttft_p50_ms", "tpot_p50_ms", "e2e_p50_ms"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_an_error_of_the_client_counts_against_the_runs_own_figure(
    make_measurement, change, figure, sign
):
    measurement = make_measurement(concurrencies=(1,))
    medians = summarise(measurement).at(1)
    median = getattr(medians, figure.replace("_p50", "")).p50
    for share, is_invalid in ((0.09, False), (0.11, True)):
        error = FigureError(figure=figure, error_ms=sign * share * median)
        changed = change(measurement, client={"measurement_error": (error,)})
        assert bool(find_lateness_reasons(changed)) is is_invalid


def test_an_error_of_a_figure_that_is_not_judged_is_only_shown(make_measurement, change):
    error = FigureError(figure="itl_p99_ms", error_ms=50.0)
    changed = change(make_measurement(), client={"measurement_error": (error,)})
    assert find_invalid_reasons(changed) == ()


@pytest.mark.parametrize(
    ("clock", "is_late"), [("user_read", True), ("kernel_receive", False), ("packet_ring", False)]
)
def test_a_late_reader_is_late_only_by_its_own_clock(make_measurement, change, clock, is_late):
    late = {"clock": clock, "loop_lag_p99_ms": 2.0}
    changed = change(make_measurement(concurrencies=(1,)), client=late)
    assert bool(find_lateness_reasons(changed)) is is_late


@pytest.mark.parametrize(
    ("clock", "lag", "is_invalid"),
    [
        ("user_read", {"queue_mean_ms": 0.09}, False),
        ("user_read", {"queue_mean_ms": 0.11}, True),
        ("kernel_receive", {"queue_mean_ms": 0.11}, False),
        ("packet_ring", {"queue_mean_ms": 0.11}, False),
        ("user_read", {"queue_mean_ms": 0.0, "p99_ms": 1.1}, False),
        ("user_read", {"p99_ms": 0.9}, False),
        ("user_read", {"p99_ms": 1.1}, True),
    ],
)
def test_waiting_for_a_processor_is_held_against_the_median_gap_of_our_own_clock(
    make_measurement, change, clock, lag, is_invalid
):
    measurement = make_measurement(concurrencies=(1,))
    gap_ms = summarise(measurement).at(1).itl_ms.p50
    scaled = {name: value * gap_ms for name, value in lag.items()}
    lags = (LoopLag(concurrency=1, **{"p99_ms": 0.0, **scaled}),)
    changed = change(measurement, client={"clock": clock, "loop_lags": lags})
    reasons = find_lateness_reasons(changed)
    assert any("median gap" in reason for reason in reasons) is is_invalid


@pytest.mark.parametrize(
    ("clock", "idle_share", "is_invalid"),
    [
        ("user_read", 0.0, True),
        ("user_read", 0.019, True),
        ("user_read", 0.021, False),
        ("user_read", -1.0, False),
        ("kernel_receive", 0.0, False),
        ("packet_ring", 0.0, False),
    ],
)
def test_our_own_clock_needs_a_processor_that_is_free_now_and_then(
    make_measurement, change, clock, idle_share, is_invalid
):
    lags = (LoopLag(concurrency=1, p99_ms=0.0, queue_mean_ms=0.0, idle_share=idle_share),)
    changed = change(
        make_measurement(concurrencies=(1,)), client={"clock": clock, "loop_lags": lags}
    )
    reasons = find_lateness_reasons(changed)
    assert any("all processors together" in reason for reason in reasons) is is_invalid


def test_steps_and_lost_packets_are_said(make_measurement, change):
    changed = change(make_measurement(), client={"clock_steps": 2, "lost_packets": 7})
    notes = " ".join(summarise(changed).notes)
    assert "stepped 2 times" in notes
    assert "7 packets" in notes
