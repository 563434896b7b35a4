"""What a pair of requests in turn holds, how long it took, and when it may be judged."""

import datetime as dt
import math
from collections.abc import Callable

import msgspec
import pytest

from trt_nemotron.measure.gate.ab import order_of_arms
from trt_nemotron.measure.gate.ab_judge import count_pairs, judge_pairs, shift_and_worst
from trt_nemotron.measure.gate.ab_lateness import Compared
from trt_nemotron.measure.gate.ab_pair import Arm, Pair, compare, figure_faults, pair_faults
from trt_nemotron.measure.gate.design import make_design
from trt_nemotron.measure.gate.metrics import METRICS
from trt_nemotron.measure.gate.signed_rank import shift_of

START = dt.datetime(2026, 11, 23, 12, tzinfo=dt.timezone.utc)
DESIGN = make_design(1, most_pairs=240)
COST = METRICS["tpot_p50_ms"]
MakeRound = Callable[..., Pair]


@pytest.fixture
def budget(make_budget):
    return make_budget(relative={"tpot_p50_ms": 3.0}, minimum_samples=1)


@pytest.fixture
def round_of(make_measurement) -> MakeRound:
    """A round of so many pairs, a request each `gap_s`, over `span_s` in all."""

    def make(
        count: int = 12, *, gap_s: float = 0.5, span_s: float | None = None, number: int = 0,
    ) -> Pair:  # fmt: skip
        order: tuple[Arm, ...] = tuple(arm for pair in order_of_arms(1, count) for arm in pair)
        records: dict[Arm, list] = {"a": [], "b": []}
        for place, arm in enumerate(order):
            whole = make_measurement(
                requests=1, concurrencies=(1,), seed=1000 * number + place, spread=0.01
            )
            (record,) = whole.records
            at_ns = round((place + 1) * gap_s * 1e9)
            chunks = tuple(
                msgspec.structs.replace(c, received_ns=c.received_ns + at_ns) for c in record.chunks
            )
            records[arm].append(
                msgspec.structs.replace(
                    record, index=place, sent_ns=at_ns, chunks=chunks,
                    finished_ns=record.finished_ns + at_ns,
                )
            )  # fmt: skip
        if span_s is not None:
            first_ns = round(gap_s * 1e9)
            last = records[order[-1]]
            last[-1] = msgspec.structs.replace(last[-1], finished_ns=first_ns + round(span_s * 1e9))
        a, b = (
            msgspec.structs.replace(
                whole, records=tuple(records[arm]),
                workload=msgspec.structs.replace(whole.workload, requests_per_concurrency=count),
                started_at=(START + dt.timedelta(seconds=number)).isoformat(),
            )
            for arm in ("a", "b")
        )  # fmt: skip
        return Pair(first=order[0], a=a, b=b, order=order)

    return make


def with_b(pair: Pair, records: tuple) -> Pair:
    return Pair(pair.first, pair.a, msgspec.structs.replace(pair.b, records=records), pair.order)


def without_tpot(pair: Pair, count: int) -> Pair:
    """The first requests of A have all their tokens at once."""
    records = list(pair.a.records)
    for place in range(count):
        end = records[place].finished_ns
        chunks = tuple(msgspec.structs.replace(c, received_ns=end) for c in records[place].chunks)
        records[place] = msgspec.structs.replace(records[place], chunks=chunks)
    a = msgspec.structs.replace(pair.a, records=tuple(records))
    return Pair(pair.first, a, pair.b, pair.order)


def test_a_round_spans_from_its_first_request_to_its_last_ones_end(round_of):
    assert round_of(span_s=30.0).span_s == 30.0
    assert round_of(span_s=7.25, gap_s=0.25).span_s == 7.25


def test_a_pair_of_runs_or_a_round_without_requests_spans_nothing(round_of):
    pair = round_of()
    assert Pair(pair.first, pair.a, pair.b).span_s == 0.0
    empty = msgspec.structs.replace(pair.a, records=())
    assert Pair(pair.first, empty, empty, pair.order).span_s == 0.0


@pytest.mark.parametrize("count", [1, 2, 12])
def test_each_two_requests_are_a_pair_and_two_runs_are_one(round_of, count: int):
    pair = round_of(count)
    assert pair.size == count
    assert Pair(pair.first, pair.a, pair.b).size == 1


def test_a_request_that_has_no_neighbour_is_left_out(round_of, budget):
    pair = round_of(12)
    alone = with_b(pair, pair.b.records[:-1])
    assert len(compare(alone, budget.relative)) == 11


@pytest.mark.parametrize(("missing", "is_told"), [(0, False), (3, False), (4, True), (12, True)])
def test_a_quarter_of_a_round_may_lack_a_figure(round_of, budget, missing: int, is_told: bool):
    faults = figure_faults(without_tpot(round_of(12), missing), budget)
    told = (f"{missing} of 12 pairs of requests lack a bounded figure",)
    assert faults == (told if is_told else ())


def test_a_round_of_one_pair_is_whole(round_of, budget):
    assert not pair_faults(round_of(1), budget)
    assert not figure_faults(round_of(1), budget)


@pytest.mark.parametrize(("least", "decision"), [(12, "pass"), (13, "invalid")])
def test_the_least_number_of_samples_is_enough(round_of, make_budget, least: int, decision: str):
    budget = make_budget(relative={"tpot_p50_ms": 3.0}, minimum_samples=least)
    verdict = judge_pairs(budget, [round_of(12)], DESIGN, seed=1)
    assert verdict.decision == decision
    asked = [reason for reason in verdict.invalid_reasons if f"asks for {least}" in reason]
    assert bool(asked) == (decision == "invalid")


def test_a_result_counts_its_pairs_of_requests(round_of, budget):
    rounds = [round_of(12, number=0), without_tpot(round_of(12, number=1), 2)]
    assert count_pairs(budget, rounds) == (22, 24)
    (result,) = judge_pairs(budget, rounds, DESIGN, seed=1).results
    assert result.samples == 22
    broken = with_b(rounds[0], ())
    (result,) = judge_pairs(budget, [broken, rounds[1]], DESIGN, seed=1).results
    assert (result.decision, result.samples) == ("invalid", 2)


@pytest.mark.parametrize(("before", "after"), [(0.3, 0.0), (0.0, 0.3), (0.3, 0.3)])
def test_lateness_of_either_side_moves_the_worst(before: float, after: float):
    found = [Compared(10.0 + 0.01 * n, 10.1, before, after) for n in range(30)]
    shift, worst_high = shift_and_worst(COST, found, DESIGN)
    measured = [each.loss(COST) for each in found]
    worst = [each.worst_loss(COST) for each in found]
    miss = {"low_miss": DESIGN.fail_miss, "high_miss": DESIGN.pass_miss}
    assert shift == shift_of(measured, **miss)
    assert worst_high == shift_of(worst, **miss).high > shift.high


def test_without_lateness_the_worst_is_what_was_measured():
    found = [Compared(10.0 + 0.01 * n, 10.1) for n in range(30)]
    shift, worst_high = shift_and_worst(COST, found, DESIGN)
    assert worst_high == shift.high > shift.low
    assert math.isfinite(worst_high)
