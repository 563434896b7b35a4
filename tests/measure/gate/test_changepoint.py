import math
import random

import pytest

from trt_nemotron.measure.gate.changepoint import FEWEST_RUNS, WINDOW, find_change
from trt_nemotron.measure.gate.history import creep_remarks
from trt_nemotron.measure.gate.metrics import METRICS

COST, GAIN = METRICS["tpot_p50_ms"], METRICS["tokens_per_s"]


def runs(count: int, level: float = 10.0, seed: int = 1, spread: float = 0.01) -> list[float]:
    rng = random.Random(seed)
    return [level * math.exp(rng.gauss(0, spread)) for _ in range(count)]


def test_a_step_is_found_at_its_place():
    change = find_change(COST, runs(15) + runs(15, 11.0, seed=2))
    assert change is not None
    assert change.place == 15
    assert (change.before, change.after) == (
        pytest.approx(10, rel=0.02), pytest.approx(11, rel=0.02),
    )  # fmt: skip
    assert 0.0 < change.chance <= 0.01


def test_getting_better_is_no_finding():
    assert find_change(COST, runs(15) + runs(15, 9.0)) is None
    assert find_change(GAIN, runs(15) + runs(15, 11.0)) is None
    assert find_change(GAIN, runs(15) + runs(15, 9.0)) is not None


def test_creep_of_one_percent_a_run_is_found():
    creep = [value * 1.01 ** max(0, place - 19) for place, value in enumerate(runs(30))]
    assert find_change(COST, creep) is not None


def test_what_is_too_small_to_matter_is_no_finding():
    history = runs(30, spread=1e-4) + runs(30, 10.25, spread=1e-4)
    assert find_change(COST, history) is None
    assert find_change(COST, history, floor_percent=2.0) is not None


def test_few_runs_show_nothing():
    history = [10.0] * 5 + [20.0] * 5
    assert len(history) == FEWEST_RUNS
    assert find_change(COST, history[1:], alarm_rate=0.5) is None
    assert find_change(COST, history, alarm_rate=0.5) is not None
    assert find_change(COST, []) is None


def test_one_stalled_run_is_no_change():
    history = runs(30)
    history[20] = 500.0
    assert find_change(COST, history) is None


def test_what_lies_before_the_window_is_another_life():
    assert WINDOW == 60
    assert find_change(COST, runs(30) + runs(WINDOW, 11.0)) is None
    change = find_change(COST, runs(30) + runs(15) + runs(WINDOW - 15, 12.0))
    assert change is not None
    assert change.place == 45


def test_equal_runs_are_no_change():
    assert find_change(COST, [10.0] * 40) is None


@pytest.mark.parametrize("count", [10, 30, 60])
def test_the_rate_is_kept_for_any_independent_noise(count: int):
    """By ranks the noise's shape does not matter; without the floor, which would hide alarms."""
    rng, rounds = random.Random(5), 30_000 // count
    alarms = sum(
        find_change(
            COST, [rng.paretovariate(1.2) for _ in range(count)], alarm_rate=0.05, floor_percent=0.0
        )
        is not None
        for _ in range(rounds)
    )
    assert alarms / rounds <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / rounds)
    assert alarms > 0 or count == 10


def test_creep_is_remarked_on_with_both_levels_and_the_day(make_measurement, make_budget, change):
    budget = make_budget(relative={"tpot_p50_ms": 3.0, "ttft_p50_ms": 3.0})
    history = [
        make_measurement(
            seed=day, tpot_ms=0.5 if day < 13 else 0.6, started_at=f"2026-11-{day:02}T12:00:00Z"
        )
        for day in range(1, 25)
    ]
    (remark,) = creep_remarks(budget, history)
    assert "tpot_p50_ms at concurrency 1 went from 0.49" in remark
    assert " to 0.59" in remark
    assert "2026-11-13" in remark
    assert "24 runs" in remark
    others = [change(run, environment={"cores": 4}) for run in history[12:]]
    assert list(creep_remarks(budget, [*history[:12], *others])) == []
    assert list(creep_remarks(make_budget(relative={"tpot_p50_ms": 3.0}, at=8), history)) == []


def test_runs_with_too_few_requests_are_left_out(make_measurement, make_budget):
    budget = make_budget(relative={"tpot_p50_ms": 3.0})
    history = [make_measurement(seed=day, tpot_ms=0.1 * day, requests=6) for day in range(1, 15)]
    assert list(creep_remarks(budget, history)) == []


def test_the_chance_is_pettitts():
    """Five and five, all the later ones worse: 25 pairs of ten runs."""
    change = find_change(COST, [10.0] * 5 + [20.0] * 5, alarm_rate=0.05)
    assert change is not None
    assert change.chance == pytest.approx(math.exp(-6 * 25**2 / 1100))
    assert change.place == 5
    assert find_change(COST, [10.0] * 5 + [20.0] * 5) is None
    assert find_change(COST, [10.0] * 10 + [20.0] * 10) is not None


def test_of_equal_splits_the_first_is_named():
    change = find_change(COST, [*[10.0] * 5, 15.0, *[20.0] * 5], alarm_rate=0.5)
    assert change is not None
    assert change.place == 5


def test_a_change_after_the_first_run_is_named():
    change = find_change(COST, [10.0, *[20.0] * 9], alarm_rate=1.0)
    assert change is not None
    assert (change.place, change.before, change.after) == (1, 10.0, 20.0)


def test_a_change_at_the_last_run_is_named_and_the_rate_itself_is_rare_enough():
    history = [*[10.0] * 9, 20.0]
    change = find_change(COST, history, alarm_rate=1.0)
    assert change is not None
    assert change.place == 9
    assert find_change(COST, history, alarm_rate=change.chance) == change
