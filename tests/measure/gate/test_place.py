"""Bounds at a rate and at a prompt length: each names one leg of the run, or is no bound at all."""

from collections.abc import Callable, Sequence

import msgspec
import pytest

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.figures.summary import Slo
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget, RelativeBound, check_budget
from trt_nemotron.measure.gate.family import is_missed_for_all
from trt_nemotron.measure.gate.judge import judge
from trt_nemotron.measure.gate.metrics import METRICS
from trt_nemotron.measure.gate.place import Place, legs_at

MakeRun = Callable[..., Measurement]
replace = msgspec.structs.replace


def merged(*runs: Measurement) -> Measurement:
    records = [record for run in runs for record in run.records]
    return replace(
        runs[0],
        records=tuple(replace(record, index=place) for place, record in enumerate(records)),
    )


def at_rate(run: Measurement, rate: float, queue_ms: Sequence[float] = ()) -> Measurement:
    """The same requests as an open loop's: meant to be sent earlier by what each waited."""
    waits = list(queue_ms) or [0.0] * len(run.records)
    return replace(
        run,
        records=tuple(
            replace(
                record,
                rate_rps=rate,
                concurrency=256,
                sent_ns=record.sent_ns + 10**9,
                finished_ns=record.finished_ns + 10**9,
                intended_ns=record.sent_ns + 10**9 - round(wait * 1e6),
                chunks=tuple(
                    replace(chunk, received_ns=chunk.received_ns + 10**9) for chunk in record.chunks
                ),
            )
            for record, wait in zip(run.records, waits, strict=True)
        ),
    )


def with_prompts(run: Measurement, tokens: int) -> Measurement:
    return replace(run, records=tuple(replace(r, leg_input_tokens=tokens) for r in run.records))


def budget(**fields: object) -> Budget:
    bound = {"metric": "ttft_p50_ms", "at_most": 10.0, **fields}
    return Budget(target="cpu", bounds=(AbsoluteBound(**bound),))


@pytest.mark.parametrize(
    ("place", "leg", "is_held"),
    [
        (Place(concurrency=4), Leg(concurrency=4), True),
        (Place(concurrency=4), Leg(concurrency=5), False),
        (Place(concurrency=4), Leg(concurrency=4, rate_rps=2.0), False),
        (Place(rate_rps=2.0), Leg(concurrency=4, rate_rps=2.0), True),
        (Place(rate_rps=0.3), Leg(concurrency=4, rate_rps=0.1 + 0.2), True),
        (Place(rate_rps=2.0), Leg(concurrency=4, rate_rps=2.001), False),
        (Place(rate_rps=2.0), Leg(concurrency=2), False),
        (Place(concurrency=4, input_tokens=1024), Leg(concurrency=4, input_tokens=1024), True),
        (Place(concurrency=4, input_tokens=1024), Leg(concurrency=4, input_tokens=128), False),
        (Place(concurrency=4, input_tokens=128), Leg(concurrency=4), True),
        (Place(concurrency=4, input_tokens=1024), Leg(concurrency=4), False),
        (Place(concurrency=4), Leg(concurrency=4, input_tokens=1024), True),
    ],
)
def test_a_place_picks_its_leg(place: Place, leg: Leg, is_held: bool):
    assert place.holds(leg, 128) is is_held


def test_legs_are_those_that_were_measured(make_measurement: MakeRun):
    run = make_measurement(requests=2)
    assert legs_at(Place(concurrency=4), run) == (Leg(concurrency=4),)
    warm = replace(run, records=tuple(replace(r, is_warmup=True) for r in run.records))
    assert legs_at(Place(concurrency=4), warm) == ()


def test_a_bound_at_a_rate_is_judged_by_the_figures_of_that_rate(make_measurement: MakeRun):
    run = merged(
        at_rate(make_measurement(concurrencies=(1,)), 2.0),
        at_rate(make_measurement(concurrencies=(1,), ttft_ms=40.0), 8.0),
    )
    assert judge(budget(rate_rps=2.0), run).decision == "pass"
    missed = judge(budget(rate_rps=8.0), run)
    assert missed.decision == "fail"
    result = missed.results[0]
    assert (result.concurrency, result.rate_rps, result.at) == (0, 8.0, "8/s")
    assert "at 8 requests/s is 39.88" in result.reason
    for other in (budget(rate_rps=4.0), budget(concurrency=256)):
        nowhere = judge(other, run)
        assert nowhere.decision == "invalid"
        assert "nothing was measured at" in nowhere.results[0].reason


def test_a_bound_at_a_prompt_length_is_judged_by_the_figures_of_that_length(
    make_measurement: MakeRun,
):
    run = merged(
        with_prompts(make_measurement(concurrencies=(1,)), 128),
        with_prompts(make_measurement(concurrencies=(1,), ttft_ms=40.0), 1024),
    )
    assert judge(budget(concurrency=1, input_tokens=128), run).decision == "pass"
    missed = judge(budget(concurrency=1, input_tokens=1024), run).results[0]
    assert (missed.decision, missed.at, missed.input_tokens) == ("fail", "1, 1024 in", 1024)
    assert "at concurrency 1 and 1024 tokens in" in missed.reason
    vague = judge(budget(concurrency=1), run)
    assert vague.decision == "invalid"
    assert "2 legs" in vague.results[0].reason


def test_one_prompt_length_may_be_named(make_measurement: MakeRun):
    run = make_measurement()
    assert judge(budget(concurrency=1, input_tokens=128), run).decision == "pass"
    assert judge(budget(concurrency=1, input_tokens=1024), run).decision == "invalid"


def test_a_relative_bound_over_several_legs_is_no_verdict(make_measurement: MakeRun):
    run = merged(
        with_prompts(make_measurement(concurrencies=(1,)), 128),
        with_prompts(make_measurement(concurrencies=(1,)), 1024),
    )
    wish = Budget(
        target="cpu",
        relative=(RelativeBound(metric="ttft_p50_ms", concurrency=1, worse_by_at_most_percent=5),),
    )
    baseline = replace(run, started_at="2026-11-22T12:00:00Z")
    assert judge(wish, run, baseline=baseline).decision == "invalid"


def test_errors_are_tolerated_only_at_the_bounded_rate(make_measurement: MakeRun):
    run = merged(*(at_rate(make_measurement(concurrencies=(1,)), rate) for rate in (2.0, 8.0)))
    broken = replace(run, records=(*run.records[:-1], replace(run.records[-1], outcome="timeout")))
    wish = {"metric": "error_share", "at_most": 0.1}
    assert judge(budget(**wish, rate_rps=8.0), broken).decision == "pass"
    assert judge(budget(**wish, rate_rps=2.0), broken).decision == "invalid"


def test_latency_counts_from_when_a_request_was_meant(make_measurement: MakeRun):
    run = make_measurement(concurrencies=(1,))
    assert judge(budget(rate_rps=2.0), at_rate(run, 2.0, [5.0] * 24)).decision == "fail"


def test_a_server_that_falls_behind_keeps_no_latency(make_measurement: MakeRun):
    """Short enough a run, and any queue is short: the bound is kept by no run that goes on."""
    run = at_rate(
        make_measurement(concurrencies=(1,), requests=48), 60.0, [9.0 * i for i in range(48)]
    )
    loose = {"rate_rps": 60.0, "at_most": 1e4}
    verdict = judge(budget(**loose), run)
    assert verdict.decision == "invalid"
    assert "more than it served" in verdict.results[0].reason
    assert judge(budget(**loose, metric="tpot_p50_ms"), run).decision == "pass"
    assert judge(budget(rate_rps=60.0, at_most=1.0), run).decision == "fail"


@pytest.mark.parametrize(
    ("place", "hint"),
    [
        ({}, "neither given"),
        ({"concurrency": 1, "rate_rps": 2.0}, "both given"),
        ({"rate_rps": float("inf")}, ""),
        ({"rate_rps": float("nan")}, ""),
    ],
)
def test_a_bound_without_one_load_is_refused(place: dict[str, float], hint: str):
    with pytest.raises(InvalidInput) as caught:
        check_budget(budget(**place), origin="it")
    assert hint in caught.value.evidence


def test_the_same_bound_twice_is_refused_and_another_place_is_not():
    first = AbsoluteBound(metric="ttft_p50_ms", rate_rps=2.0, at_most=1.0)
    for other, is_twin in (
        (first, True),
        (replace(first, rate_rps=3.0), False),
        (replace(first, input_tokens=9), False),
        (replace(first, rate_rps=None, concurrency=2), False),
    ):
        both = Budget(target="cpu", bounds=(first, other))
        if is_twin:
            with pytest.raises(InvalidInput, match="at 2 requests/s is bounded 2 times"):
                check_budget(both, origin="it")
        else:
            check_budget(both, origin="it")


def goodput(at_least: float, limit: float = 8.2, extra: int = 0) -> Budget:
    more = (AbsoluteBound(metric="e2e_p50_ms", concurrency=4, at_most=1e6),) * min(extra, 1)
    bound = AbsoluteBound(metric="goodput_share", concurrency=1, at_least=at_least)
    return Budget(target="cpu", bounds=(bound, *more), slo=Slo(ttft_ms=limit))


def test_a_share_of_goodput_is_judged_with_its_limits(make_measurement: MakeRun):
    run = make_measurement(requests=100)
    assert judge(goodput(0.9, 100.0), run).decision == "pass"
    assert judge(goodput(0.99, 100.0), run).decision == "inconclusive"
    result = judge(goodput(0.95), run).results[0]
    assert result.decision == "fail"
    assert result.low < result.figure < result.high < 0.95
    assert result.samples == 100


def test_a_share_that_one_bound_alone_would_fail_is_not_decided_among_several(
    make_measurement: MakeRun,
):
    run = make_measurement(requests=100)
    limit = judge(goodput(0.95), run).results[0].high
    assert judge(goodput(limit + 1e-6), run).results[0].decision == "fail"
    shared = judge(goodput(limit + 1e-6, extra=1), run).results[0]
    assert shared.decision == "inconclusive"
    assert judge(goodput(0.99, extra=1), run).results[0].decision == "fail"


@pytest.mark.parametrize("metric", ["goodput_share", "goodput_rps"])
def test_goodput_without_an_slo_is_refused(metric: str):
    bound = AbsoluteBound(metric=metric, concurrency=1, at_least=0.5)
    with pytest.raises(InvalidInput, match=f"{metric} without an SLO"):
        check_budget(Budget(target="cpu", bounds=(bound,)), origin="it")


def test_a_share_of_one_can_never_be_shown():
    bound = AbsoluteBound(metric="goodput_share", concurrency=1, at_least=1.0)
    with pytest.raises(InvalidInput, match="never be shown"):
        check_budget(Budget(target="cpu", bounds=(bound,), slo=Slo(ttft_ms=1.0)), origin="it")


def test_a_request_without_sound_times_is_not_counted_in_a_share(make_measurement: MakeRun):
    figures = summarise(make_measurement(), Slo(ttft_ms=1.0)).at(1)
    half = replace(figures, kept=40, requests=100, void=50)
    bound = AbsoluteBound(metric="goodput_share", concurrency=1, at_least=0.5)
    assert not is_missed_for_all(METRICS["goodput_share"], bound, (), 0.99, half)


def test_a_place_of_a_rate_has_no_streams_and_one_of_streams_no_rate():
    assert Place(rate_rps=2.0).concurrency == 0
    assert Place(concurrency=2).rate_rps == 0.0
