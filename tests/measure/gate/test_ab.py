import datetime as dt
import itertools
import math
import random
from collections.abc import Callable

import msgspec
import pytest

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.ab import order_of_arms, run_ab
from trt_nemotron.measure.gate.ab_judge import decide_shift, judge_pairs
from trt_nemotron.measure.gate.ab_pair import MOST_DROPPED_SHARE, Pair, pair_faults
from trt_nemotron.measure.gate.design import make_design
from trt_nemotron.measure.gate.metrics import METRICS
from trt_nemotron.measure.gate.signed_rank import Shift
from trt_nemotron.measure.gate.values import Verdict

START = dt.datetime(2026, 11, 23, 12, tzinfo=dt.timezone.utc)
DESIGN = make_design(2, most_pairs=30)
COST, GAIN = METRICS["tpot_p50_ms"], METRICS["tokens_per_s"]
Rig = Callable[..., Callable[[str, int], Measurement]]


@pytest.fixture
def budget(make_budget):
    return make_budget(relative={"tpot_p50_ms": 3.0, "ttft_p50_ms": 3.0}, minimum_samples=8)


@pytest.fixture
def rig(make_measurement) -> Rig:
    """Two servers of known speed on a machine that drifts: `rig(b_tpot=1.05)`."""

    def make(
        *, b_tpot: float = 1.0, b_ttft: float = 1.0, noise: float = 0.004, seed: int = 1
    ) -> Callable[[str, int], Measurement]:
        rng = random.Random(seed)

        def measure(arm: str, number: int) -> Measurement:
            machine = (1 + 0.01 * number) * math.exp(rng.gauss(0, noise))
            return make_measurement(
                ttft_ms=8.0 * machine * (b_ttft if arm == "b" else 1.0),
                tpot_ms=0.5 * machine * (b_tpot if arm == "b" else 1.0),
                spread=0.01,
                requests=8,
                concurrencies=(1,),
                seed=number,
                started_at=(START + dt.timedelta(seconds=number)).isoformat(),
            )

        return measure

    return make


@pytest.fixture
def pairs(rig) -> Callable[..., list[Pair]]:
    """Pairs in the order that seed 1 draws."""

    def make(count: int = 10, **speeds: float) -> list[Pair]:
        measure, made = rig(**speeds), []
        for place, (first, second) in enumerate(order_of_arms(1, count)):
            runs = {first: measure(first, 2 * place), second: measure(second, 2 * place + 1)}
            made.append(Pair(first=first, a=runs["a"], b=runs["b"]))
        return made

    return make


def test_the_order_is_a_fair_coin_that_the_seed_repeats():
    order = order_of_arms(7, 4000)
    assert order == order_of_arms(7, 4000)
    assert order[:100] == order_of_arms(7, 100)
    assert order != order_of_arms(8, 4000)
    # A recorded seed has to give the same order in every later version.
    assert "".join(first for first, _ in order_of_arms(1, 16)) == "baaaabbbbabbabab"
    assert set(order) == {("a", "b"), ("b", "a")}
    assert 1850 < sum(first == "a" for first, _ in order) < 2150
    changes = sum(one != other for one, other in itertools.pairwise(order))
    assert 1850 < changes < 2150


@pytest.mark.parametrize(
    ("speeds", "decision"),
    [({}, "pass"), ({"b_tpot": 1.05}, "fail"), ({"b_ttft": 1.05}, "fail"),
     ({"b_tpot": 0.8, "b_ttft": 0.8}, "pass"), ({"b_tpot": 1.01}, "pass")],
)  # fmt: skip
def test_a_change_is_judged_by_which_metric_it_made_worse(rig, budget, speeds, decision: str):
    run = run_ab(budget, DESIGN, rig(**speeds), seed=3)
    assert run.verdict.decision == decision
    assert len(run.pairs) == 10
    assert run.verdict.paired is not None
    assert (run.verdict.paired.seed, run.verdict.paired.pairs) == (3, 10)
    assert run.verdict.paired.looks == DESIGN.looks
    assert run.verdict.confidence == 0.99


def test_swapping_the_arms_turns_a_failure_into_a_pass(pairs, budget):
    made = pairs(b_tpot=1.06)
    turned = [Pair(first="b" if p.first == "a" else "a", a=p.b, b=p.a) for p in made]
    assert judge_pairs(budget, made, DESIGN, seed=1).decision == "fail"
    assert judge_pairs(budget, turned, DESIGN, seed=1).decision == "pass"


def test_noise_is_measured_on_until_the_cap_and_then_told(rig, budget):
    run = run_ab(budget, DESIGN, rig(noise=0.3), seed=3)
    assert run.verdict.decision == "inconclusive"
    assert len(run.pairs) == DESIGN.most_pairs
    assert "30 pairs" in run.verdict.results[0].reason


def test_the_result_says_figure_limits_baseline_bound_and_direction(pairs, budget):
    result = judge_pairs(budget, pairs(b_tpot=1.06), DESIGN, seed=1).results[0]
    assert result.metric == "tpot_p50_ms"
    assert result.decision == "fail"
    assert result.direction == "lower_is_better"
    assert result.kind == "relative"
    assert result.samples == 10
    assert result.figure == pytest.approx(1.06 * result.baseline, rel=0.01)
    assert result.bound == pytest.approx(1.03 * result.baseline)
    assert result.baseline < result.low < result.figure < result.high
    assert "at most 3 % worse (lower is better)" in result.reason
    assert "10 pairs" in result.reason
    assert "+6" in result.reason or "+5.9" in result.reason


@pytest.mark.parametrize(
    ("low", "estimate", "high", "decision"),
    [
        (0.01, 0.05, 0.09, "fail"),
        (0.0, 0.05, 0.09, "inconclusive"),
        (-0.01, 0.05, 0.09, "inconclusive"),
        (0.01, 0.02, 0.09, "inconclusive"),
        (0.01, 0.02, 0.029, "pass"),
        (-0.5, -0.2, 0.029, "pass"),
        (-math.inf, 0.05, math.inf, "inconclusive"),
    ],
)
def test_a_failure_is_beyond_doubt_and_over_the_bound(low, estimate, high, decision: str):
    assert decide_shift(COST, Shift(estimate, low, high, 9), 3.0) == decision


def test_the_bound_itself_is_kept():
    limit = math.log(1.03)
    assert decide_shift(COST, Shift(limit, 0.01, limit, 9), 3.0) == "pass"
    assert decide_shift(COST, Shift(limit, 0.01, 1.0, 9), 3.0) == "inconclusive"


def test_of_a_gain_losing_is_worse():
    assert GAIN.loss(10.0, 9.0) > 0 > COST.loss(10.0, 9.0)
    just = -math.log(0.97)
    assert decide_shift(GAIN, Shift(0.02, 0.01, just, 9), 3.0) == "pass"
    assert decide_shift(GAIN, Shift(just + 1e-6, 0.01, 1.0, 9), 3.0) == "fail"


def test_a_budget_without_relative_bounds_is_refused(pairs, make_budget):
    with pytest.raises(InvalidInput, match="no relative bound"):
        judge_pairs(make_budget(tpot_p50_ms=1), pairs(), DESIGN, seed=1)


def test_no_pairs_are_no_pass(budget):
    assert judge_pairs(budget, [], DESIGN, seed=1).decision == "invalid"


def changed(pair: Pair, arm: str, **parts: object) -> Pair:
    run = getattr(pair, arm)
    for name, fields in parts.items():
        value = getattr(run, name)
        new = msgspec.structs.replace(value, **fields) if isinstance(fields, dict) else fields
        run = msgspec.structs.replace(run, **{name: new})
    return Pair(first=pair.first, a=run, b=pair.b) if arm == "a" else Pair(pair.first, pair.a, run)


@pytest.mark.parametrize("arm", ["a", "b"])
@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        ({"client": {"cpu_share": 0.99}}, "bottleneck"),
        ({"client": {"cpu_share": math.nan}}, "not measured"),
        ({"environment": {"cores": 64}}, "cores"),
        ({"environment": {"power_mode": "unknown"}}, "unknown power_mode"),
        ({"environment": {"target": "spark"}}, "target"),
        ({"workload": {"output_tokens": 99}}, "99"),
        ({"workload": {"requests_per_concurrency": 99}}, "equally long"),
        ({"workload": {"concurrencies": (1, 2)}}, "equally long"),
        ({"records": ()}, "no measured request"),
        ({"started_at": "never"}, "order that was drawn"),
    ],
)
def test_a_run_that_is_not_valid_makes_its_pair_invalid(pairs, budget, arm, parts, fault: str):
    made = pairs()
    made[4] = changed(made[4], arm, **parts)
    assert any(fault in reason for reason in pair_faults(made[4], budget))
    verdict = judge_pairs(budget, made, DESIGN, seed=1)
    assert verdict.decision == "invalid"
    assert {result.decision for result in verdict.results} == {"invalid"}
    assert any(fault in reason for reason in verdict.invalid_reasons)


def test_the_bundles_may_differ_in_what_is_under_test(pairs, budget):
    other = {"image": "sha256:b", "release": "2"}
    made = [changed(pair, "b", environment=other) for pair in pairs()]
    assert judge_pairs(budget, made, DESIGN, seed=1).decision == "pass"


@pytest.mark.parametrize("place", [0, 1, 9])
def test_a_bundle_may_not_change_between_its_runs(pairs, budget, place: int):
    made = pairs()
    made[place] = changed(made[place], "b", environment={"image": "sha256:b"})
    verdict = judge_pairs(budget, made, DESIGN, seed=1)
    assert verdict.decision == "invalid"
    assert "B changed between its runs: image" in verdict.invalid_reasons[0]


def test_the_same_run_on_both_sides_is_no_comparison(pairs, budget):
    made = pairs()
    made[0] = Pair(first=made[0].first, a=made[0].a, b=made[0].a)
    assert judge_pairs(budget, made, DESIGN, seed=1).decision == "invalid"


def test_runs_in_another_order_than_drawn_are_invalid(pairs, budget):
    made = pairs()
    made[0] = Pair(first="b" if made[0].first == "a" else "a", a=made[0].a, b=made[0].b)
    assert "order that was drawn" in judge_pairs(budget, made, DESIGN, seed=1).invalid_reasons[0]


def test_too_few_requests_in_a_run_are_invalid(pairs, make_budget):
    strict = make_budget(relative={"tpot_p50_ms": 3.0}, minimum_samples=9)
    verdict = judge_pairs(strict, pairs(), DESIGN, seed=1)
    assert "the budget asks for 9" in verdict.invalid_reasons[0]
    few = make_budget(relative={"tpot_p50_ms": 3.0}, at=4, minimum_samples=8)
    assert judge_pairs(few, pairs(), DESIGN, seed=1).decision == "invalid"


def test_a_percentile_that_a_run_cannot_have_is_invalid(rig, make_budget, make_measurement):
    short = [
        Pair(
            first="a",
            a=make_measurement(requests=6, seed=2 * n),
            b=make_measurement(requests=6, seed=2 * n + 1),
        )
        for n in range(10)
    ]
    lax = make_budget(relative={"tpot_p50_ms": 3.0}, minimum_samples=1)
    (result,) = judge_pairs(lax, short, DESIGN, seed=1).results
    assert result.decision == "invalid"
    assert "needs 7 samples" in result.reason


def spoiled(measure, which):
    """The rig with every run for which `which(number)` says so made by a busy client."""

    def make(arm: str, number: int) -> Measurement:
        run = measure(arm, number)
        busy = msgspec.structs.replace(run.client, cpu_share=0.99)
        return msgspec.structs.replace(run, client=busy) if which(number) else run

    return make


def test_a_pair_that_is_not_valid_is_measured_again(rig, budget):
    run = run_ab(budget, DESIGN, spoiled(rig(), lambda number: number in {4, 9}), seed=3)
    assert run.verdict.decision == "pass"
    assert (len(run.pairs), len(run.dropped)) == (10, 2)
    assert run.verdict.paired is not None
    assert run.verdict.paired.dropped == 2


def test_a_pair_without_a_bounded_figure_is_measured_again(rig, budget, make_measurement):
    """A busy machine now and then leaves a run without a TPOT of seven requests."""
    measure = rig()

    def sometimes_without(arm: str, number: int) -> Measurement:
        run = measure(arm, number)
        if number != 5:
            return run
        instant = make_measurement(ttft_ms=0.0, requests=8, concurrencies=(1,), seed=number)
        return msgspec.structs.replace(run, records=instant.records)

    run = run_ab(budget, DESIGN, sometimes_without, seed=3)
    assert run.verdict.decision == "pass"
    assert (len(run.pairs), len(run.dropped)) == (10, 1)


def test_too_many_pairs_that_are_not_valid_are_told_and_end_it(rig, budget):
    run = run_ab(budget, DESIGN, spoiled(rig(), lambda number: number % 4 == 0), seed=3)
    assert run.verdict.decision == "invalid"
    assert len(run.pairs) + len(run.dropped) == 8
    assert "bottleneck" in run.verdict.invalid_reasons[0]


def test_a_dropped_pair_now_and_then_does_not_keep_it_from_the_cap(rig, budget):
    """Every fifth pair is not valid, so it takes more pairs than the cap to reach it."""
    short = make_design(2, most_pairs=11)
    noisy = spoiled(rig(noise=0.3), lambda number: number % 10 == 8)
    run = run_ab(budget, short, noisy, seed=3)
    assert (len(run.pairs), len(run.dropped)) == (11, 2)
    assert run.verdict.decision == "inconclusive"
    longer = run_ab(budget, make_design(2), noisy, seed=3)
    assert len(longer.pairs) == 120
    assert len(longer.dropped) == 29


@pytest.mark.parametrize(("dropped", "decision"), [(4, "pass"), (5, "invalid")])
def test_a_quarter_may_be_dropped_and_no_more(pairs, budget, dropped: int, decision: str):
    made = pairs(12 + dropped)
    spoilt = [changed(pair, "a", client={"cpu_share": 0.99}) for pair in made[12:]]
    assert MOST_DROPPED_SHARE == 0.25
    verdict = judge_pairs(budget, made[:12], DESIGN, seed=1, dropped=spoilt)
    assert verdict.decision == decision


def test_each_run_is_told_its_own_number(rig, budget):
    told = []
    measure = rig()

    def listen(arm: str, number: int) -> Measurement:
        told.append((arm, number))
        return measure(arm, number)

    run_ab(budget, DESIGN, listen, seed=3)
    assert [number for _, number in told] == list(range(20))
    drawn = [arm for pair in order_of_arms(3, 10) for arm in pair]
    assert [arm for arm, _ in told] == drawn


def test_an_alarm_is_as_rare_as_stated_through_the_whole_path(rig, budget):
    verdicts = [run_ab(budget, DESIGN, rig(seed=seed), seed=seed).verdict for seed in range(12)]
    assert {verdict.decision for verdict in verdicts} == {"pass"}


def test_every_output_can_show_it(pairs, budget):
    from trt_nemotron.document import parse_document, to_json
    from trt_nemotron.measure.report.contents import ReportContents
    from trt_nemotron.measure.report.html import render_report
    from trt_nemotron.measure.report.junit import render_junit
    from trt_nemotron.measure.report.markdown import render_markdown
    from trt_nemotron.measure.report.openmetrics import render_openmetrics

    verdict = judge_pairs(budget, pairs(b_tpot=1.06), DESIGN, seed=1)
    assert parse_document(to_json(verdict), Verdict, origin="here") == verdict
    assert "tpot_p50_ms" in render_markdown(verdict)
    assert b"10 pairs" in render_junit(verdict)
    assert "FAIL" in render_report(ReportContents(tool_version="1", verdict=verdict))
    assert 'kind="relative"' in render_openmetrics(verdict)


def test_few_pairs_have_an_estimate_and_no_limits(pairs, budget):
    result = judge_pairs(budget, pairs(4, b_tpot=1.06), DESIGN, seed=1).results[0]
    assert result.decision == "inconclusive"
    assert (result.low, result.high) == (None, None)
    assert result.figure == pytest.approx(1.06 * result.baseline, rel=0.02)
    assert "(no limit to no limit)" in result.reason


def test_a_figure_of_nothing_is_no_figure(pairs, budget, make_measurement):
    made = pairs()
    instant = make_measurement(
        ttft_ms=0.0, requests=8, concurrencies=(1,), seed=99, started_at=made[0].b.started_at
    )
    made[0] = Pair(first=made[0].first, a=made[0].a, b=instant)
    verdict = judge_pairs(budget, made, DESIGN, seed=1)
    assert verdict.results[1].decision == verdict.decision == "invalid"
    assert "ttft_p50_ms of 0 ms cannot be" in verdict.results[1].reason
    assert verdict.results[0].decision == "pass"


def test_what_is_lost_can_be_taken_back():
    for metric in (COST, GAIN):
        assert metric.after(10.0, metric.loss(10.0, 9.0)) == pytest.approx(9.0)
