from collections.abc import Callable

import pytest

from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.roofline import Roofline
from trt_nemotron.deploy.runtimes.protocol import LatencyGoal
from trt_nemotron.deploy.runtimes.trtllm.goals import (
    check_goal,
    expected_step_ms,
    judge_batch,
    largest_batch,
)
from trt_nemotron.errors import PlanRefused

MakePlan = Callable[..., Plan]
SPARK = Roofline(
    bandwidth_gb_s=273.0, weight_bytes=7_125_030_080, state_bytes=83_801_088, kv_token_bytes=16384
)


@pytest.mark.parametrize("goal", [LatencyGoal(tpot_ms=26.0), LatencyGoal(ttft_ms=26.0)])
def test_goal_below_physics_is_refused_with_the_least_that_is_not(goal: LatencyGoal):
    with pytest.raises(PlanRefused, match="cannot be kept on this board") as fault:
        check_goal(goal, SPARK)
    assert "26.71" in fault.value.next_step
    assert "7.13 GB" in fault.value.evidence


def test_goal_above_physics_passes():
    assert check_goal(LatencyGoal(ttft_ms=26.8, tpot_ms=26.8), SPARK) == ()
    assert check_goal(None, SPARK) == ()


def test_model_without_a_roofline_says_that_it_was_not_considered():
    assert "not considered" in check_goal(LatencyGoal(tpot_ms=1.0), None)[0]


def test_batch_is_the_largest_that_is_expected_to_keep_the_goal():
    goal = LatencyGoal(tpot_ms=60.0)
    batch = largest_batch(goal, SPARK, 64, 4096)
    assert 1 < batch < 64
    assert expected_step_ms(SPARK, batch, 4096) <= 60.0 < expected_step_ms(SPARK, batch + 1, 4096)
    assert largest_batch(LatencyGoal(ttft_ms=60.0), SPARK, 64, 4096) == 64
    assert largest_batch(None, SPARK, 64, 4096) == 64


def test_batch_that_may_miss_the_goal_is_warned_of_and_one_that_must_is_refused():
    goal = LatencyGoal(tpot_ms=30.0)
    assert judge_batch(LatencyGoal(tpot_ms=100.0), SPARK, 1, 4096) == ()
    assert "may be missed" in judge_batch(goal, SPARK, 1, 4096)[0]
    with pytest.raises(PlanRefused, match="32 sequences cannot keep") as fault:
        judge_batch(goal, SPARK, 32, 4096)
    assert "--max-concurrency 1" in fault.value.next_step


def test_goal_makes_the_batch_smaller_and_the_steps_shorter(make_plan: MakePlan):
    free = make_plan("spark", release="1.3.0rc14", profile="throughput")
    kept = make_plan(
        "spark", release="1.3.0rc14", profile="throughput", slo=LatencyGoal(tpot_ms=80.0)
    )
    assert kept.int_choice("max_batch_size") < free.int_choice("max_batch_size")
    assert kept.int_choice("max_num_tokens") == 2048
    assert free.int_choice("max_num_tokens") == 8192
