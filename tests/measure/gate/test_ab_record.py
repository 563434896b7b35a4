import datetime as dt
import math
import random
from pathlib import Path

import pytest

from trt_nemotron.errors import Inconclusive, InvalidInput
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.ab import AbRun, run_ab
from trt_nemotron.measure.gate.ab_record import (
    AbPlan,
    begin_record,
    judge_again,
    keep_round,
    keep_run,
    run_path,
)
from trt_nemotron.measure.gate.design import make_design

START = dt.datetime(2026, 11, 23, 12, tzinfo=dt.timezone.utc)


@pytest.fixture
def budget(make_budget):
    return make_budget(relative={"tpot_p50_ms": 3.0}, minimum_samples=8)


@pytest.fixture
def kept(tmp_path: Path, make_measurement, budget):
    """A gate that was measured and kept: `kept(1.06)` with B six percent slower."""

    def make(slower: float, noise: float = 0.004) -> AbRun:
        rng = random.Random(1)
        plan = AbPlan(
            a="a", b="b", budget=budget, seed=3, most_pairs=30, serving="urls", started_at="now"
        )
        begin_record(tmp_path, plan)

        def measure(arm: str, number: int) -> Measurement:
            factor = math.exp(rng.gauss(0, noise)) * (slower if arm == "b" else 1.0)
            run = make_measurement(
                tpot_ms=0.5 * factor, spread=0.01, requests=8, concurrencies=(1,), seed=number,
                started_at=(START + dt.timedelta(seconds=number)).isoformat(),
            )  # fmt: skip
            keep_run(tmp_path, arm, number, run)
            return run

        return run_ab(budget, make_design(1, most_pairs=30), measure, seed=3)

    return make


@pytest.mark.parametrize(("slower", "decision"), [(1.0, "pass"), (1.06, "fail")])
def test_a_kept_gate_is_judged_again_to_the_same_verdict(kept, tmp_path, slower, decision: str):
    run = kept(slower)
    plan, again = judge_again(tmp_path)
    assert again == run
    assert again.verdict.decision == decision
    assert plan.seed == 3


def test_another_budget_judges_the_same_runs(kept, tmp_path, make_budget):
    kept(1.06)
    wide = make_budget(relative={"tpot_p50_ms": 20.0}, minimum_samples=8)
    assert judge_again(tmp_path, wide)[1].verdict.decision == "pass"


def test_a_gate_that_was_cut_off_has_no_verdict(kept, tmp_path):
    kept(1.0)
    last = max((tmp_path / "runs").iterdir())
    last.unlink()
    with pytest.raises(Inconclusive, match="end before"):
        judge_again(tmp_path)


def test_a_run_that_was_put_in_place_of_the_other_arms_is_found(kept, tmp_path):
    run = kept(1.06)
    for number, pair in enumerate(run.pairs):
        a, b = (2 * number, 2 * number + 1)[:: 1 if pair.first == "a" else -1]
        better = run_path(tmp_path, "a", a).read_bytes()
        run_path(tmp_path, "b", b).write_bytes(better)
    verdict = judge_again(tmp_path)[1].verdict
    assert verdict.decision == "invalid"
    assert any("the same one" in reason for reason in verdict.invalid_reasons)


@pytest.mark.parametrize(("number", "source"), [(2, 0), (3, 1), (4, 3)])
def test_a_run_that_was_put_in_place_of_a_later_one_is_refused(
    kept, tmp_path, number: int, source: int
):
    kept(1.06)
    runs = {int(path.name.partition("-")[0]): path for path in (tmp_path / "runs").iterdir()}
    runs[number].write_bytes(runs[source].read_bytes())
    with pytest.raises(InvalidInput, match=f"{runs[number].name} is a copy of run {source}"):
        judge_again(tmp_path)


def test_what_an_earlier_gate_left_is_gone(kept, tmp_path, budget):
    kept(1.0)
    plan = AbPlan(a="a", b="b", budget=budget, seed=4, most_pairs=9, serving="urls", started_at="")
    begin_record(tmp_path, plan)
    assert not list((tmp_path / "runs").iterdir())


def test_a_folder_without_a_gate_is_refused(tmp_path):
    with pytest.raises(InvalidInput):
        judge_again(tmp_path)


def test_a_round_is_kept_as_two_runs_with_numbers_of_their_own(tmp_path, make_measurement):
    for number in (0, 3):
        keep_round(tmp_path, number, (make_measurement(seed=1), make_measurement(seed=2)))
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert names == ["0000-a.json.gz", "0001-b.json.gz", "0006-a.json.gz", "0007-b.json.gz"]
