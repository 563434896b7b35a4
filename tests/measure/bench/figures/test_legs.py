"""Legs: open loops from the meant start, goodput, falling behind, ceilings and energy."""

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.figures.binomial import chance_of_at_most, share_of
from trt_nemotron.measure.bench.figures.percentiles import samples_needed
from trt_nemotron.measure.bench.figures.request_figures import measure_request
from trt_nemotron.measure.bench.figures.roofline import Ceiling
from trt_nemotron.measure.bench.figures.summarise import summarise, summarise_leg
from trt_nemotron.measure.bench.figures.summary import Slo
from trt_nemotron.measure.bench.health import HealthLog
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import ChunkRecord, Energy, Measurement, RequestRecord

MS = 1_000_000
OPEN = Leg(concurrency=64, rate_rps=10.0)


def request(
    index: int,
    intended_ms: float,
    sent_ms: float,
    ttft_ms: float = 10.0,
    *,
    leg: Leg = OPEN,
    **fields: object,
) -> RequestRecord:
    """Three tokens."""
    stamps = [round((sent_ms + ttft_ms + place * 10.0) * MS) for place in range(3)]
    base = RequestRecord(
        index=index,
        concurrency=leg.concurrency,
        rate_rps=leg.rate_rps,
        leg_input_tokens=leg.input_tokens,
        is_warmup=False,
        outcome="ok",
        connect_ns=0,
        sent_ns=round(sent_ms * MS),
        intended_ns=round(intended_ms * MS) if leg.rate_rps else -1,
        finished_ns=stamps[-1],
        chunks=tuple(ChunkRecord(received_ns=s, kind="content", characters=1) for s in stamps),
        completion_tokens=3,
    )
    return msgspec.structs.replace(base, **fields)


def measured(base: Measurement, *records: RequestRecord) -> Measurement:
    return msgspec.structs.replace(base, records=records)


def test_latency_of_an_open_loop_counts_from_the_meant_start():
    figures = measure_request(request(0, intended_ms=100, sent_ms=350))
    assert figures.queue_ms == 250.0
    assert figures.ttft_ms == 260.0
    assert figures.service_ttft_ms == 10.0
    assert figures.e2e_ms == 280.0
    assert figures.service_e2e_ms == 30.0
    assert figures.tpot_ms == 10.0


def test_a_stalled_server_is_not_spared_the_requests_it_kept_waiting():
    """One stall of a second: by sending times alone, one request of ten saw it."""
    records = [request(i, i * 100, max(i * 100, 1000)) for i in range(1, 20)]
    summary = summarise_leg(OPEN, records, None)
    assert summary.service_ttft_ms.maximum == 10.0
    assert summary.ttft_ms.maximum == 910.0
    assert summary.queue_ms.maximum == 900.0
    assert summary.queue_ms.samples == 19


def test_a_closed_loop_has_no_queue_and_no_offered_rate():
    leg = Leg(concurrency=2)
    summary = summarise_leg(leg, [request(i, 0, i * 100, leg=leg) for i in range(9)], None)
    assert summary.queue_ms.samples == 0
    assert summary.offered_rps is None
    assert summary.achieved_rps == pytest.approx(10.0)
    assert summary.ttft_ms == summary.service_ttft_ms
    assert not summary.is_behind


def test_legs_have_figures_of_their_own(make_measurement):
    legs = (Leg(concurrency=4), Leg(concurrency=4, input_tokens=2048), OPEN)
    records = [request(i, i * 100, i * 100, 10.0 * (n + 1), leg=leg)
               for n, leg in enumerate(legs) for i in range(8)]  # fmt: skip
    summary = summarise(measured(make_measurement(), *records))
    assert [found.leg for found in summary.legs] == list(legs)
    assert [found.ttft_ms.p50 for found in summary.legs] == [10.0, 20.0, 30.0]
    assert summary.at_leg(legs[1]).ttft_ms.p50 == 20.0
    assert summary.at(64).leg == OPEN
    with pytest.raises(InvalidInput, match="concurrency 4 was measured in 2 legs") as caught:
        summary.at(4)
    assert "concurrency 4, 2048 tokens in" in caught.value.evidence
    with pytest.raises(InvalidInput, match="9 requests/s was not measured"):
        summary.at_leg(Leg(concurrency=64, rate_rps=9.0))


def test_a_server_that_serves_less_than_is_offered_is_told(make_measurement):
    """Ten a second are offered, eight served: each waits longer than the one before."""
    rng = random.Random(1)
    late = [request(i, i * 100, i * 125, rng.uniform(50, 150)) for i in range(200)]
    summary = summarise(measured(make_measurement(), *late))
    (leg,) = summary.legs
    assert leg.is_behind
    assert leg.offered_rps == pytest.approx(10.0)
    assert leg.achieved_rps == pytest.approx(8.0, rel=0.02)
    assert any(note.startswith("10 requests/s: overloaded") for note in summary.notes)
    assert not any("drifted" in note for note in summary.notes)


def test_a_small_creep_is_a_drift_and_no_overload():
    """Three percent behind: the medians of its thirds tell, the rate was nearly served."""
    records = [request(i, i * 100, i * 103) for i in range(400)]
    assert not summarise_leg(OPEN, records, None).is_behind


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 9999), wait=st.floats(0, 500))
def test_a_steady_server_is_not_called_overloaded(seed: int, wait: float):
    rng = random.Random(seed)
    records = [request(i, i * 100, i * 100 + rng.uniform(0, wait)) for i in range(100)]
    assert not summarise_leg(OPEN, records, None).is_behind


def test_goodput_counts_every_request_and_says_how_sure_it_is():
    records = [request(i, i * 100, i * 100, 10.0 if i % 10 else 90.0) for i in range(100)]
    records[5] = msgspec.structs.replace(records[5], outcome="timeout")
    records[7] = msgspec.structs.replace(records[7], void="the wall clock was stepped")
    summary = summarise_leg(OPEN, records, Slo(ttft_ms=50))
    assert summary.kept == 88
    assert summary.goodput_share == pytest.approx(88 / 99)
    assert summary.goodput_rps == pytest.approx(88 / summary.duration_s)
    reading = summary.reading("goodput_share")
    assert reading.low is not None
    assert reading.high is not None
    assert reading.low < 88 / 99 < reading.high
    assert reading.samples == 100
    assert summary.at_worst().reading("goodput_share").value is None
    assert summarise_leg(OPEN, records, None).reading("goodput_share").reason == "no SLO was given"


@given(trials=st.integers(1, 400), data=st.data())
def test_share_limits_are_exact(trials: int, data: st.DataObject):
    """At each limit, as extreme a count as was seen comes once in a hundred times."""
    hits = data.draw(st.integers(0, trials))
    share = share_of(hits, trials)
    assert share is not None
    assert 0.0 <= share.low <= share.value <= share.high <= 1.0
    if hits < trials:
        assert chance_of_at_most(hits, trials, share.high) == pytest.approx(0.01, rel=1e-6)
    if hits:
        at_least = 1.0 - chance_of_at_most(hits - 1, trials, share.low)
        assert at_least == pytest.approx(0.01, rel=1e-6)


@given(trials=st.integers(1, 60), chance=st.floats(0.01, 0.99))
def test_binomial_chances_add_up(trials: int, chance: float):
    steps = [chance_of_at_most(k, trials, chance) for k in range(-1, trials + 1)]
    assert steps == sorted(steps)
    assert steps[0] == 0.0
    assert steps[-1] == 1.0
    assert steps[1] == pytest.approx((1 - chance) ** trials, rel=1e-9)


def test_share_agrees_with_the_numbers_of_samples_that_percentiles_need():
    for quantile in (0.90, 0.95, 0.99):
        enough = samples_needed(quantile)
        sure, unsure = share_of(enough, enough), share_of(enough - 1, enough - 1)
        assert sure is not None
        assert unsure is not None
        assert sure.low >= quantile > unsure.low
    assert share_of(0, 0) is None


def test_ratio_to_a_ceiling_where_one_was_handed_over(make_measurement):
    measurement = make_measurement(concurrencies=(1, 4))
    plain = summarise(measurement).at(4)
    assert plain.roofline_ratio is None
    assert "no roofline" in plain.reading("roofline_ratio").reason
    rate = plain.tokens_per_s
    assert rate is not None
    ceilings = (Ceiling(concurrency=4, most_tokens_s=2 * rate),)
    bounded = summarise(measurement, ceilings=ceilings)
    assert bounded.at(4).roofline_ratio == pytest.approx(0.5)
    assert bounded.at(1).roofline_ratio is None


def test_energy_is_shared_by_the_tokens_of_warm_up_too(make_measurement):
    leg = Leg(concurrency=4)
    records = [request(i, 0, i * 100, leg=leg, is_warmup=i < 2) for i in range(10)]
    base = measured(make_measurement(), *records)
    spent = Energy(leg=leg, joules=60.0, duration_s=2.0, source="INA3221 VDD_IN (the whole module)")
    summary = summarise(msgspec.structs.replace(base, energy=(spent,)))
    assert summary.at(4).watts == 30.0
    assert summary.at(4).joules_per_token == pytest.approx(60 / 30)
    assert "energy by INA3221 VDD_IN (the whole module), idle power included" in summary.notes
    unknown = Energy(leg=leg, joules=None, duration_s=2.0, reason="nobody knows")
    missing = summarise(msgspec.structs.replace(base, energy=(unknown,)))
    assert missing.at(4).joules_per_token is None
    assert "no energy: nobody knows" in missing.notes


def test_lags_are_kept_apart_by_leg_though_the_concurrency_is_the_same():
    slow, fast = (Leg(concurrency=4, rate_rps=rate) for rate in (1.0, 8.0))
    log, other = HealthLog(lags_ns={slow: [1]}), HealthLog(lags_ns={slow: [3], fast: [2]})
    log.merge(other)
    assert log.lags_ns == {slow: [1, 3], fast: [2]}
