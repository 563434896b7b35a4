"""How many smoke checks have to pass, and which in any case."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.gate.budget import Budget, read_budget
from trt_nemotron.measure.gate.demands import SmokeRule
from trt_nemotron.measure.gate.judge import judge
from trt_nemotron.measure.gate.smoke_rule import judge_smoke
from trt_nemotron.measure.smoke.values import SmokeReport

MakeSmoke = Callable[..., SmokeReport]


@pytest.mark.parametrize(
    ("counts", "share", "decision", "allowed"),
    [
        ((9, 1), 1.0, "fail", 0),
        ((10, 0), 1.0, "pass", 0),
        ((9, 1), 0.9, "pass", 1),
        ((8, 2), 0.9, "fail", 1),
        ((17, 1), 0.95, "fail", 0),
        ((19, 1), 0.95, "pass", 1),
        ((6, 3), 2 / 3, "pass", 3),
        ((5, 4), 2 / 3, "fail", 3),
        ((0, 4), 0.01, "fail", 3),
    ],
)
def test_as_many_may_fail_as_the_share_leaves(
    make_smoke: MakeSmoke, counts: tuple[int, int], share: float, decision: str, allowed: int
):
    passed, failed = counts
    smoke = make_smoke(*["pass"] * passed, *["skip"] * 5, *["fail"] * failed)
    result = judge_smoke(smoke, SmokeRule(pass_share_at_least=share))
    assert result.decision == decision
    assert (result.figure, result.bound, result.samples) == (failed, allowed, passed + failed)
    assert (f"{failed} of {passed + failed} smoke checks failed" in result.reason) == bool(failed)


@pytest.mark.parametrize(
    ("statuses", "decision", "said"),
    [
        (("pass", "pass", "pass"), "pass", "all 3 smoke checks passed"),
        (("pass", "fail", "pass"), "fail", "models failed, and has to pass"),
        (("fail", "pass", "pass"), "pass", "health, as 1 may"),
        (("pass", "skip", "pass"), "fail", "models was skipped, and has to pass"),
        (("pass",), "invalid", "does not hold what has to pass: models"),
    ],
)
def test_what_must_pass_is_passed_by_nothing_else(
    make_smoke: MakeSmoke, statuses: tuple[str, ...], decision: str, said: str
):
    rule = SmokeRule(pass_share_at_least=0.6, must_pass=("models",))
    result = judge_smoke(make_smoke(*statuses), rule)
    assert result.decision == decision
    assert said in result.reason
    assert result.kind == "smoke"


def test_of_several_that_must_pass_a_failed_one_is_told(make_smoke: MakeSmoke):
    rule = SmokeRule(pass_share_at_least=0.5, must_pass=("models", "tool_call"))
    result = judge_smoke(make_smoke("pass", "fail"), rule)
    assert result.decision == "fail"
    assert "models failed, tool_call was not asked, and has to pass" in result.reason


def test_without_a_rule_every_check_has_to_pass(make_smoke: MakeSmoke):
    assert judge_smoke(make_smoke("pass", "fail")).decision == "fail"
    assert judge_smoke(make_smoke("pass", "skip")).decision == "pass"
    assert judge_smoke(make_smoke("skip")).decision == "invalid"
    assert judge_smoke(None).decision == "invalid"


def test_a_check_that_must_pass_asks_for_a_report(make_measurement):
    budget = Budget(target="cpu", smoke=SmokeRule(must_pass=("completion",)), minimum_samples=10)
    verdict = judge(budget, make_measurement())
    assert verdict.decision == "invalid"
    assert "requires a smoke report" in verdict.results[0].reason


def test_a_verdict_keeps_to_the_floor_of_its_budget(
    make_measurement, make_smoke: MakeSmoke, make_budget
):
    smoke = make_smoke("pass", "pass", "pass", "fail")
    strict = make_budget(ttft_p50_ms=20)
    lax = msgspec.structs.replace(strict, smoke=SmokeRule(pass_share_at_least=0.75))
    assert judge(strict, make_measurement(), smoke=smoke).decision == "fail"
    assert judge(lax, make_measurement(), smoke=smoke).decision == "pass"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{required: true, pass_share_at_least: 0}", "0 is no share"),
        ("{required: true, pass_share_at_least: 1.01}", "1.01 is no share"),
        ("{required: true, pass_share_at_least: 90}", "90 is no share"),
        ("{must_pass: [tool_cal]}", "tool_cal"),
        ("{must_pass: tool_call}", "must_pass"),
        ("{pass_share: 0.9}", "pass_share_at_least"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(tmp_path: Path, rule: str, said: str):
    path = tmp_path / "budget.yaml"
    path.write_text(f"schema: trt-nemotron/budget/1\ntarget: cpu\nsmoke: {rule}\n")
    with pytest.raises(InvalidInput) as caught:
        read_budget(path)
    assert said in f"{caught.value.message} {caught.value.evidence} {caught.value.next_step}"


def test_naming_what_must_pass_is_a_budget(tmp_path: Path):
    path = tmp_path / "budget.yaml"
    path.write_text(
        "schema: trt-nemotron/budget/1\ntarget: cpu\nsmoke: {must_pass: [tool_call, completion]}\n"
    )
    assert read_budget(path).smoke.must_pass == ("tool_call", "completion")
