import random

import msgspec
import pytest

from trt_nemotron.measure.bench.figures.percentiles import CONFIDENCE, rank_limits
from trt_nemotron.measure.bench.figures.request_figures import measure_request
from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget
from trt_nemotron.measure.gate.family import is_missed_for_all, shared_confidence
from trt_nemotron.measure.gate.judge import judge
from trt_nemotron.measure.gate.metrics import METRICS


def bounds(limit: float, count: int, extra: tuple[AbsoluteBound, ...] = ()) -> Budget:
    names = [f"{short}_p50_ms" for short in ("tpot", "ttft", "ttfa", "e2e")]
    places = [(name, streams) for streams in (1, 4) for name in names][:count]
    first = AbsoluteBound(metric="tpot_p50_ms", concurrency=1, at_most=limit)
    rest = (AbsoluteBound(metric=m, concurrency=c, at_most=1e6) for m, c in places[1:])
    return Budget(target="cpu", bounds=(first, *rest, *extra))


def test_the_rate_is_shared_out_over_percentiles_alone():
    gain = AbsoluteBound(metric="tokens_per_s", concurrency=1, at_least=1.0)
    assert shared_confidence(bounds(1.0, 1)) == CONFIDENCE
    assert shared_confidence(bounds(1.0, 5, (gain,))) == pytest.approx(1 - 0.01 / 5)
    assert shared_confidence(Budget(target="cpu", bounds=(gain,))) == CONFIDENCE


def test_what_one_bound_alone_would_fail_is_not_decided_among_many(make_measurement):
    """Of eight requests none kept the bound: 1 in 256, rare for one bound, not for eight."""
    run = make_measurement(requests=8, spread=0.0001, seed=3)
    alone = judge(bounds(0.49, 1), run)
    assert (alone.decision, alone.results[0].samples) == ("invalid", 8)
    lax = {"minimum_samples": 8}
    one = msgspec.structs.replace(bounds(0.49, 1), **lax)
    many = msgspec.structs.replace(bounds(0.49, 8), **lax)
    assert judge(one, run).results[0].decision == "fail"
    result = judge(many, run).results[0]
    assert result.decision == "inconclusive"
    assert "not with all the others" in result.reason


def test_what_is_plain_fails_among_many(make_measurement):
    run = make_measurement(requests=48)
    assert judge(bounds(0.3, 8), run).results[0].decision == "fail"
    assert judge(bounds(5.0, 8), run).decision == "pass"


def test_a_value_without_limits_is_not_asked_twice(make_measurement):
    gain = AbsoluteBound(metric="tokens_per_s", concurrency=1, at_least=1e9)
    verdict = judge(bounds(5.0, 8, (gain,)), make_measurement(requests=48))
    assert verdict.results[-1].decision == "fail"


def test_only_good_requests_of_the_concurrency_count(make_measurement):
    run = make_measurement(requests=48)
    at_four = Budget(
        target="cpu",
        bounds=tuple(
            AbsoluteBound(metric=f"{short}_p50_ms", concurrency=4, at_most=limit)
            for short, limit in (("tpot", 0.65), ("ttft", 1e6))
        ),
    )
    assert judge(at_four, run).results[0].decision == "fail"
    at_one = Budget(target="cpu", bounds=(bounds(0.65, 1).bounds[0], at_four.bounds[1]))
    assert judge(at_one, run).results[0].decision == "pass"


def test_a_server_that_just_keeps_all_bounds_is_failed_no_more_than_stated():
    """By ranks alone: the chance that any of eight medians is found missed."""
    rng, rounds, requests = random.Random(2), 3000, 40
    low, _ = rank_limits(requests, 0.5, shared_confidence(bounds(1.0, 8)))
    failed = sum(
        any(sum(rng.random() < 0.5 for _ in range(requests)) < low for _ in range(8))
        for _ in range(rounds)
    )
    assert failed / rounds <= 0.01 + 3 * (0.01 / rounds) ** 0.5


def test_the_limit_is_the_very_sample_that_the_rank_names(make_measurement):
    run = make_measurement(requests=40, concurrencies=(1,))
    ordered = sorted(measure_request(record).tpot_ms for record in run.records)
    low, _ = rank_limits(40, 0.5, 0.999)
    metric = METRICS["tpot_p50_ms"]
    for limit, is_missed in ((ordered[low - 1], False), (ordered[low - 1] - 1e-7, True)):
        bound = AbsoluteBound(metric=metric.name, concurrency=1, at_most=limit)
        assert is_missed_for_all(metric, bound, run.records, 0.999) is is_missed
    bound = AbsoluteBound(metric=metric.name, concurrency=1, at_most=1e-6)
    assert not is_missed_for_all(metric, bound, run.records[:3], 0.999)
