"""A failure against a stored run has to exceed what unchanged runs differ by."""

import random
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.between_runs import (
    UNKNOWN_SCATTER,
    Farthest,
    farthest_of,
    is_beyond,
    runs_needed,
)
from trt_nemotron.measure.gate.budget import Budget, RelativeBound
from trt_nemotron.measure.gate.history import comparable_figures
from trt_nemotron.measure.gate.judge import judge
from trt_nemotron.measure.gate.metrics import METRICS

MakeRun = Callable[..., Measurement]
MakeBudget = Callable[..., Budget]
COST, GAIN = METRICS["tpot_p50_ms"], METRICS["tokens_per_s"]
LATER = "2026-11-24T12:00:00Z"


@pytest.mark.parametrize(
    ("bounds", "rate", "runs"), [(1, 0.01, 99), (2, 0.01, 199), (3, 0.05, 59), (1, 0.49, 2)]
)
def test_the_worst_of_so_many_runs_keeps_the_rate(bounds: int, rate: float, runs: int):
    assert runs_needed(bounds, rate) == runs
    assert bounds / (runs + 1) <= rate < bounds / runs


def test_with_too_few_runs_the_farthest_is_a_factor_away():
    assert farthest_of(COST, 2.0, [9.0] * 98, 1) == Farthest(pytest.approx(2 * UNKNOWN_SCATTER))
    assert farthest_of(GAIN, 2.0, [0.1] * 98, 1) == Farthest(pytest.approx(2 / UNKNOWN_SCATTER))
    assert farthest_of(COST, 2.0, [9.0] * 99, 2).runs == 0


def test_with_runs_enough_it_is_the_worst_of_them_or_the_baseline():
    others = [1.0 + place / 100 for place in range(98)]
    assert farthest_of(COST, 1.5, [*others, 2.5], 1) == Farthest(2.5, 99)
    assert farthest_of(GAIN, 1.5, [*others, 0.5], 1) == Farthest(0.5, 99)
    assert farthest_of(COST, 4.0, [*others, 2.5], 1) == Farthest(4.0, 99)
    assert farthest_of(GAIN, 0.1, [*others, 0.5], 1) == Farthest(0.1, 99)


@pytest.mark.parametrize(("figure", "is_so"), [(2.0, False), (2.1, False), (2.11, True)])
def test_beyond_is_more_than_the_bound_from_the_farthest(figure: float, is_so: bool):
    assert is_beyond(COST, figure, 5.0, Farthest(2.0)) is is_so
    assert is_beyond(GAIN, 4.0 - figure, 5.0, Farthest(2.0)) is is_so


@given(st.integers(0, 2**32), st.sampled_from([1.0, 1.5, 4.0]))
def test_a_worse_run_is_never_less_beyond(seed: int, tail: float):
    rng = random.Random(seed)
    earlier = [1.0 + rng.paretovariate(tail) for _ in range(99)]
    farthest = farthest_of(COST, earlier[0], earlier, 1)
    assert not any(is_beyond(COST, figure, 3.0, farthest) for figure in earlier)
    assert is_beyond(COST, 1.04 * max(earlier), 3.0, farthest)


def test_the_rank_rule_keeps_its_rate_under_the_heaviest_tails():
    rng, alarms = random.Random(1), 0
    for _ in range(4000):
        figures = [1.0 + rng.paretovariate(0.5) for _ in range(100)]
        alarms += is_beyond(COST, figures[-1], 3.0, farthest_of(COST, 1.5, figures[:-1], 1))
    assert 20 <= alarms <= 60  # 40 expected at most, less what the bound leaves


@pytest.fixture
def judged(make_measurement: MakeRun, make_budget: MakeBudget) -> Callable[..., tuple[str, str]]:
    """Decision and reason for a TPOT in ms, against 0.5 ms and so many earlier runs."""

    def judge_it(tpot_ms: float, earlier: int = 0, **options: object) -> tuple[str, str]:
        def made(tpot: float, seed: int, **more: object) -> Measurement:
            return make_measurement(
                tpot_ms=tpot, spread=0.002, seed=seed, requests=10, tokens=4, **more
            )

        past = made(0.5, 1, **options)
        run = made(tpot_ms, 2, started_at=LATER)
        kept = made(0.5, 3)
        budget = make_budget(relative={"tpot_p50_ms": 10.0})
        verdict = judge(budget, run, baseline=kept, history=[past] * earlier)
        return verdict.decision, verdict.results[0].reason

    return judge_it


def test_without_a_history_a_coarse_loss_fails_and_a_small_one_is_undecided(
    judged: Callable[..., tuple[str, str]],
):
    decision, reason = judged(0.7)
    assert decision == "inconclusive"
    assert "factor of 2.5" in reason
    assert "fewer than 99 earlier runs" in reason
    assert "`gate --ab` decides" in reason
    assert judged(1.42)[0] == "fail"


def test_with_a_history_its_worst_run_is_what_a_loss_is_held_against(
    judged: Callable[..., tuple[str, str]],
):
    assert judged(0.7, 98)[0] == "inconclusive"
    assert judged(0.7, 99)[0] == "fail"


def test_runs_of_another_key_tell_nothing(
    make_measurement: MakeRun, make_budget: MakeBudget, change: MakeRun
):
    kept, run = (
        make_measurement(tpot_ms=tpot, spread=0.002, requests=10, tokens=4, **more)
        for tpot, more in ((0.5, {}), (0.7, {"started_at": LATER, "seed": 2}))
    )
    other = change(kept, environment={"processor": "another"})
    budget = make_budget(relative={"tpot_p50_ms": 10.0})
    assert judge(budget, run, baseline=kept, history=[other] * 99).decision == "inconclusive"
    assert judge(budget, run, baseline=kept, history=[kept] * 99).decision == "fail"


def test_the_bounds_of_a_budget_share_the_rate(make_measurement: MakeRun, make_budget: MakeBudget):
    kept, run = (
        make_measurement(tpot_ms=tpot, spread=0.002, requests=10, tokens=4, **more)
        for tpot, more in ((0.5, {}), (0.7, {"started_at": LATER, "seed": 2}))
    )
    budget = make_budget(relative={"tpot_p50_ms": 10.0, "ttft_p50_ms": 10.0})
    assert judge(budget, run, baseline=kept, history=[kept] * 198).decision == "inconclusive"
    assert judge(budget, run, baseline=kept, history=[kept] * 199).decision == "fail"


def test_an_open_loop_with_as_many_under_way_is_no_earlier_run_of_a_closed_one(
    make_measurement: MakeRun,
):
    kept = make_measurement(spread=0.002, requests=10, tokens=4, concurrencies=(1,))
    records = tuple(msgspec.structs.replace(record, rate_rps=5.0) for record in kept.records)
    open_loop = msgspec.structs.replace(kept, records=records)
    bound = RelativeBound(metric="tpot_p50_ms", concurrency=1, worse_by_at_most_percent=3.0)
    assert len(comparable_figures(bound, [kept, open_loop], kept)) == 1


def test_a_verdict_against_a_stored_run_says_how_coarse_it_is(
    make_measurement: MakeRun, make_budget: MakeBudget
):
    kept = make_measurement(tpot_ms=0.5)
    run = make_measurement(tpot_ms=0.5, started_at=LATER, seed=2)
    relative = make_budget(relative={"tpot_p50_ms": 10.0})
    (remark,) = judge(relative, run, baseline=kept).remarks
    assert "tpot_p50_ms" in remark
    assert "gate --ab" in remark
    assert judge(relative, run).remarks == ()
    assert judge(make_budget(tpot_p50_ms=9.0), run, baseline=kept).remarks == ()
