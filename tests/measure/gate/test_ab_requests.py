"""Requests in turn: what is a pair, what is dropped, and what a late client takes from a pass."""

import datetime as dt
import math
import random
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.client_health import FigureError, LoopLag
from trt_nemotron.measure.bench.values import Measurement, RequestRecord
from trt_nemotron.measure.gate.ab import (
    LEAST_SPAN_S,
    LONG_ROUND,
    SHORT_ROUND,
    SHORT_ROUNDS,
    order_of_arms,
    order_of_round,
    run_ab,
    run_ab_by_requests,
)
from trt_nemotron.measure.gate.ab_judge import judge_pairs
from trt_nemotron.measure.gate.ab_lateness import Compared
from trt_nemotron.measure.gate.ab_pair import Arm, Pair, compare, figure_faults, pair_faults
from trt_nemotron.measure.gate.ab_record import AbPlan, begin_record, judge_again, keep_round
from trt_nemotron.measure.gate.design import make_design
from trt_nemotron.measure.gate.metrics import METRICS

START = dt.datetime(2026, 11, 23, 12, tzinfo=dt.timezone.utc)
DESIGN = make_design(2, most_pairs=240)
COST = METRICS["tpot_p50_ms"]
SWAP = {"a": "b", "b": "a"}
MeasureRound = Callable[[int, tuple[Arm, ...]], tuple[Measurement, Measurement]]


@pytest.fixture
def budget(make_budget):
    return make_budget(relative={"tpot_p50_ms": 3.0, "ttft_p50_ms": 3.0}, minimum_samples=8)


@pytest.fixture
def rig(make_measurement) -> Callable[..., MeasureRound]:
    """Two servers of known speed whose requests are sent in the order that was drawn."""

    def make(
        *, b_tpot: float = 1.0, noise: float = 0.01, lasting: float = 0.0, gap_s: float = 0.5,
        seed: int = 1,
    ) -> MeasureRound:  # fmt: skip
        rng, state = random.Random(seed), [0.0]

        def request(arm: Arm, index: int, at_ns: int) -> tuple[Measurement, RequestRecord]:
            state[0] = 0.99 * state[0] + rng.gauss(0, lasting) * math.sqrt(1 - 0.99**2)
            factor = math.exp(rng.gauss(0, noise) + (state[0] if arm == "b" else 0.0))
            one = make_measurement(
                ttft_ms=8.0 * factor, tpot_ms=0.5 * factor * (b_tpot if arm == "b" else 1.0),
                requests=1, concurrencies=(1,), seed=index, spread=0.0,
            )  # fmt: skip
            (record,) = (r for r in one.records if not r.is_warmup)
            late = at_ns - record.sent_ns
            chunks = tuple(
                msgspec.structs.replace(c, received_ns=c.received_ns + late) for c in record.chunks
            )
            return one, msgspec.structs.replace(
                record, index=index, sent_ns=at_ns, chunks=chunks,
                finished_ns=record.finished_ns + late,
            )  # fmt: skip

        def measure(number: int, order: tuple[Arm, ...]) -> tuple[Measurement, Measurement]:
            records: dict[str, list] = {"a": [], "b": []}
            for place, arm in enumerate(order):
                index = 1000 * number + place
                whole, record = request(arm, index, int((place + 1) * gap_s * 1e9))
                records[arm].append(record)
            workload = msgspec.structs.replace(
                whole.workload, requests_per_concurrency=len(order) // 2, warmup_requests=0
            )
            runs = (
                msgspec.structs.replace(
                    whole, records=tuple(records[arm]), workload=workload,
                    started_at=(START + dt.timedelta(seconds=number)).isoformat(),
                )
                for arm in ("a", "b")
            )  # fmt: skip
            a, b = runs
            return a, b

        return measure

    return make


@pytest.fixture
def round_of(rig) -> Callable[..., Pair]:
    def make(**speeds: float) -> Pair:
        order = order_of_round(0, iter(order_of_arms(1, SHORT_ROUND)))
        a, b = rig(**speeds)(0, order)
        return Pair(first=order[0], a=a, b=b, order=order)

    return make


def swapped(pair: Pair) -> Pair:
    """The same with the labels of the arms exchanged, as the other side of the coin gives it."""
    order = tuple(SWAP[arm] for arm in pair.order)
    return Pair(first=SWAP[pair.first], a=pair.b, b=pair.a, order=order)


def changed(run: Measurement, **client: object) -> Measurement:
    return msgspec.structs.replace(run, client=msgspec.structs.replace(run.client, **client))


def with_record(run: Measurement, place: int, **fields: object) -> Measurement:
    records = list(run.records)
    records[place] = msgspec.structs.replace(records[place], **fields)
    return msgspec.structs.replace(run, records=tuple(records))


def test_each_two_neighbours_have_a_coin_of_their_own():
    coins = iter(order_of_arms(5, 1000))
    first, second = order_of_round(0, coins), order_of_round(1, coins)
    drawn = [arm for pair in order_of_arms(5, 2 * SHORT_ROUND) for arm in pair]
    assert [*first, *second] == drawn
    assert {tuple(first[place : place + 2]) for place in range(0, len(first), 2)} == {
        ("a", "b"), ("b", "a"),
    }  # fmt: skip
    later = order_of_round(SHORT_ROUNDS, coins)
    assert len(later) == 2 * LONG_ROUND


@pytest.mark.parametrize(
    ("speeds", "decision"), [({}, "pass"), ({"b_tpot": 1.05}, "fail"), ({"b_tpot": 0.9}, "pass")]
)
def test_a_change_is_judged_by_pairs_of_requests(rig, budget, speeds, decision: str):
    run = run_ab_by_requests(budget, DESIGN, rig(**speeds), seed=3)
    assert run.verdict.decision == decision
    assert run.verdict.paired is not None
    assert run.verdict.paired.unit == "request"
    assert run.verdict.paired.pairs == SHORT_ROUND
    assert f"{SHORT_ROUND} pairs" in run.verdict.results[0].reason


def test_no_look_comes_before_ten_seconds_of_measuring(rig, budget):
    run = run_ab_by_requests(budget, DESIGN, rig(gap_s=0.05), seed=3)
    assert run.verdict.paired is not None
    seconds = sum(pair.span_s for pair in run.pairs)
    assert seconds >= LEAST_SPAN_S > seconds - run.pairs[-1].span_s
    assert run.verdict.paired.pairs > SHORT_ROUND


def test_no_look_comes_before_the_samples_that_the_budget_asks_for(rig, make_budget):
    strict = make_budget(relative={"tpot_p50_ms": 3.0}, minimum_samples=30)
    run = run_ab_by_requests(strict, DESIGN, rig(), seed=3)
    assert run.verdict.decision == "pass"
    assert run.verdict.paired.pairs == 3 * SHORT_ROUND
    over = make_budget(relative={"tpot_p50_ms": 3.0}, minimum_samples=300)
    verdict = run_ab_by_requests(over, DESIGN, rig(), seed=3).verdict
    assert verdict.decision == "invalid"
    assert "the budget asks for 300" in verdict.invalid_reasons[0]


def test_noise_is_measured_on_until_the_cap(rig, budget):
    run = run_ab_by_requests(budget, DESIGN, rig(noise=0.6), seed=3)
    assert run.verdict.decision == "inconclusive"
    assert DESIGN.most_pairs <= run.verdict.paired.pairs < DESIGN.most_pairs + LONG_ROUND


def test_swapping_the_arms_turns_a_failure_into_a_pass(rig, budget):
    made = list(run_ab_by_requests(budget, DESIGN, rig(b_tpot=1.06), seed=3).pairs)
    assert judge_pairs(budget, made, DESIGN, seed=3).decision == "fail"
    turned = [swapped(pair) for pair in made]
    assert judge_pairs(budget, turned, DESIGN, seed=3).decision == "pass"


SPOILS = {
    "nothing": lambda run: run,
    "bottleneck": lambda run: changed(run, cpu_share=0.99),
    "unmeasured": lambda run: changed(run, cpu_share=math.nan),
    "late": lambda run: changed(
        run, clock="user_read", loop_lags=(LoopLag(concurrency=1, p99_ms=7.0),)
    ),
    "wrong": lambda run: changed(
        run, measurement_error=(FigureError(figure="ttft_p50_ms", error_ms=9.0),)
    ),
    "failed": lambda run: with_record(run, 0, outcome="timeout"),
    "short": lambda run: with_record(run, 1, completion_tokens=3),
    "void": lambda run: with_record(run, 2, void="the wall clock was stepped"),
    "no tokens counted": lambda run: with_record(run, 2, completion_tokens=-1),
    "backwards": lambda run: with_record(run, 3, finished_ns=0),
}


@given(
    one=st.sampled_from(sorted(SPOILS)), other=st.sampled_from(sorted(SPOILS)),
    is_by_requests=st.booleans(),
)  # fmt: skip
@pytest.mark.slow
def test_the_coin_never_decides_which_pairs_are_kept(one: str, other: str, is_by_requests: bool):
    """Whatever is wrong with either run, the exchanged pair has the same fate."""
    budget, pair = SAMPLES[is_by_requests]
    spoilt = msgspec_pair(pair, a=SPOILS[one](pair.a), b=SPOILS[other](pair.b))
    turned = swapped(spoilt)
    assert bool(pair_faults(spoilt, budget)) == bool(pair_faults(turned, budget))
    assert len(figure_faults(spoilt, budget)) == len(figure_faults(turned, budget))
    if pair_faults(spoilt, budget) or figure_faults(spoilt, budget):
        return
    here, there = compare(spoilt, budget.relative), compare(turned, budget.relative)
    for mine, yours in zip(here, there, strict=True):
        for compared, mirrored in zip(mine, yours, strict=True):
            assert compared.loss(COST) == pytest.approx(-mirrored.loss(COST))


def msgspec_pair(pair: Pair, **runs: Measurement) -> Pair:
    return Pair(first=pair.first, a=runs["a"], b=runs["b"], order=pair.order)


SAMPLES: dict[bool, tuple] = {}


@pytest.fixture(autouse=True)
def _samples(rig, round_of, budget) -> None:
    """Of the property test: a pair of runs, and one of requests in turn."""
    by_requests = round_of()
    runs = {arm: rig()(number, (arm, SWAP[arm]) * 8) for number, arm in enumerate("ab")}
    SAMPLES[True] = (budget, by_requests)
    SAMPLES[False] = (budget, Pair(first="a", a=runs["a"][0], b=runs["b"][1]))


@pytest.mark.parametrize(
    "parts",
    [
        {"loop_lags": (LoopLag(concurrency=1, p99_ms=9.0),), "clock": "user_read"},
        {"stamp_delay_p50_ms": 3.0},
        {"measurement_error": (FigureError(figure="tpot_p50_ms", error_ms=0.2),)},
    ],
)
def test_a_late_client_drops_nothing_and_takes_the_pass(rig, budget, parts):
    measure = rig()

    def late(number: int, order: tuple[Arm, ...]) -> tuple[Measurement, Measurement]:
        a, b = measure(number, order)
        return changed(a, **parts), changed(b, **parts)

    run = run_ab_by_requests(budget, DESIGN, late, seed=3)
    assert not run.dropped
    assert run.verdict.decision == "inconclusive"
    assert any("the client hid all" in result.reason for result in run.verdict.results)
    assert any("client itself was late" in remark for remark in run.verdict.remarks)


def test_a_late_client_lets_a_failure_stand(rig, budget):
    measure = rig(b_tpot=1.1)

    def late(number: int, order: tuple[Arm, ...]) -> tuple[Measurement, Measurement]:
        a, b = measure(number, order)
        lag = (LoopLag(concurrency=1, p99_ms=9.0),)
        return (
            changed(a, loop_lags=lag, clock="user_read"),
            changed(b, loop_lags=lag, clock="user_read"),
        )

    assert run_ab_by_requests(budget, DESIGN, late, seed=3).verdict.decision == "fail"


def test_a_little_lateness_leaves_a_pass(rig, budget):
    measure = rig()

    def late(number: int, order: tuple[Arm, ...]) -> tuple[Measurement, Measurement]:
        a, b = measure(number, order)
        return changed(a, stamp_delay_p50_ms=0.02), changed(b, stamp_delay_p50_ms=0.02)

    assert run_ab_by_requests(budget, DESIGN, late, seed=3).verdict.decision == "pass"


@given(
    before=st.floats(0.01, 1e4), after=st.floats(0.01, 1e4), one=st.floats(0, 1e4),
    other=st.floats(0, 1e4),
)  # fmt: skip
def test_the_worst_is_never_better_than_what_was_measured(before, after, one, other):
    compared = Compared(before, after, one, other)
    assert math.isfinite(compared.worst_loss(COST))
    assert compared.worst_loss(COST) >= compared.loss(COST)
    assert Compared(before, after).worst_loss(COST) == compared.loss(COST)


@given(true=st.floats(1.03, 3.0), late=st.floats(0.0, 30.0))
def test_no_lateness_hides_a_true_loss_from_the_worst(true: float, late: float):
    """Common to both, or whole slots of time: the worst holds what the servers truly did."""
    common = Compared(10.0 + late, 10.0 * true + late, late, late)
    assert common.worst_loss(COST) >= math.log(true) - 1e-9
    slot = max(late, 1e-6)
    seen = [math.ceil(figure / slot) * slot for figure in (10.0, 10.0 * true)]
    slotted = Compared(seen[0], seen[1], slot, slot)
    assert slotted.worst_loss(COST) >= math.log(true) - 1e-9


def test_a_process_that_is_disturbed_for_long_decides_nothing(rig, budget):
    decisions = [
        run_ab_by_requests(budget, DESIGN, measure, seed=3).verdict
        for measure in (rig(lasting=0.2, gap_s=0.03, seed=seed) for seed in range(6))
    ]
    assert {verdict.decision for verdict in decisions} == {"inconclusive"}
    reasons = [result.reason for verdict in decisions for result in verdict.results]
    assert any("neighbouring pairs are alike" in reason for reason in reasons)
    assert any("taskset" in reason for reason in reasons)


def test_a_request_without_a_figure_costs_its_pair_and_no_more(round_of, budget):
    pair = round_of()
    spoilt = msgspec_pair(pair, a=with_record(pair.a, 2, void="stepped"), b=pair.b)
    assert len(compare(spoilt, budget.relative)) == SHORT_ROUND - 1
    left_out = compare(pair, budget.relative)[2]
    assert left_out not in compare(spoilt, budget.relative)
    verdict = judge_pairs(budget, [pair, spoilt], DESIGN, seed=1)
    assert (verdict.paired.pairs, verdict.paired.dropped) == (2 * SHORT_ROUND - 1, 1)


def test_too_many_requests_without_a_figure_drop_the_round(round_of, budget):
    pair = round_of()
    bare = pair.a
    for place in range(4):
        chunks = tuple(
            msgspec.structs.replace(c, received_ns=bare.records[place].finished_ns)
            for c in bare.records[place].chunks
        )
        bare = with_record(bare, place, chunks=chunks)
    assert "4 of 12" in figure_faults(msgspec_pair(pair, a=bare, b=pair.b), budget)[0]


def test_requests_in_another_order_than_drawn_are_invalid(round_of, budget):
    pair = round_of()
    order = (*pair.order[:2][::-1], *pair.order[2:])
    wrong = Pair(first=order[0], a=pair.a, b=pair.b, order=order)
    assert any("order that was drawn" in fault for fault in pair_faults(wrong, budget))
    assert not pair_faults(pair, budget)


def test_rounds_that_cannot_be_compared_end_in_invalid(rig, budget):
    measure, made = rig(), []

    def failing(number: int, order: tuple[Arm, ...]) -> tuple[Measurement, Measurement]:
        made.append(number)
        a, b = measure(number, order)
        return a, with_record(b, 0, outcome="http_error")

    run = run_ab_by_requests(budget, DESIGN, failing, seed=3)
    assert run.verdict.decision == "invalid"
    assert len(made) == 3, "one bad round is no reason to give up, three are"
    assert "36 of 36 pairs" in run.verdict.invalid_reasons[1]


def test_one_bad_round_is_measured_again(rig, budget):
    measure = rig()

    def failing(number: int, order: tuple[Arm, ...]) -> tuple[Measurement, Measurement]:
        a, b = measure(number, order)
        return (a, with_record(b, 0, outcome="http_error")) if number == 0 else (a, b)

    run = run_ab_by_requests(budget, DESIGN, failing, seed=3)
    assert run.verdict.decision == "pass"
    assert len(run.dropped) == 1


def test_a_kept_gate_is_judged_again_to_the_same_verdict(rig, budget, make_budget, tmp_path):
    plan = AbPlan(
        a="a", b="b", budget=budget, seed=3, most_pairs=240, serving="urls", started_at="now",
        turns="requests",
    )  # fmt: skip
    begin_record(tmp_path, plan)
    measure = rig(b_tpot=1.06)

    def keep(number: int, order: tuple[Arm, ...]) -> tuple[Measurement, Measurement]:
        runs = measure(number, order)
        keep_round(tmp_path, number, runs)
        return runs

    run = run_ab_by_requests(budget, DESIGN, keep, seed=3)
    assert judge_again(tmp_path)[1] == run
    wide = make_budget(relative={"tpot_p50_ms": 30.0}, minimum_samples=8)
    assert judge_again(tmp_path, wide)[1].verdict.decision == "pass"


def test_a_budget_without_relative_bounds_measures_nothing(rig, make_budget):
    with pytest.raises(InvalidInput):
        run_ab_by_requests(make_budget(tpot_p50_ms=1), DESIGN, rig(), seed=1)


def test_runs_in_turn_are_kept_when_the_client_was_late(make_measurement, budget):
    def measure(arm: Arm, number: int) -> Measurement:
        run = make_measurement(
            requests=8, concurrencies=(1,), seed=number, spread=0.01,
            started_at=(START + dt.timedelta(seconds=number)).isoformat(),
        )  # fmt: skip
        return changed(run, stamp_delay_p50_ms=40.0)

    run = run_ab(budget, make_design(2, most_pairs=12), measure, seed=3)
    assert not run.dropped
    assert run.verdict.decision == "inconclusive"
