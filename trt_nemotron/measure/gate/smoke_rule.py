"""The smoke report as a bound: a wrong answer is a failure however fast it came."""

import math

from trt_nemotron.measure.gate.demands import SmokeRule
from trt_nemotron.measure.gate.result import smoke_result
from trt_nemotron.measure.gate.values import BoundResult
from trt_nemotron.measure.smoke.values import SmokeReport

EVERY_CHECK = SmokeRule()


def judge_smoke(smoke: SmokeReport | None, rule: SmokeRule = EVERY_CHECK) -> BoundResult:
    """The bound that a report is; none at all, where one is asked for, is `invalid`.

    Args:
        smoke: the report; a check that it does not hold was not asked.
        rule: how many checks have to pass, and which in any case.
    """
    if smoke is None:
        return smoke_result("invalid", None, 0, "the budget requires a smoke report")
    passed = [result.name for result in smoke.results if result.status == "pass"]
    failed = [result.name for result in smoke.results if result.status == "fail"]
    count = len(passed) + len(failed)
    allowed = math.floor(count * (1.0 - rule.pass_share_at_least) + 1e-9)
    told = f"{len(failed)} of {count} smoke checks failed: {', '.join(failed)}"
    if len(failed) > allowed:
        floor = f", and at most {allowed} may" if allowed else ""
        return smoke_result("fail", len(failed), count, told + floor, allowed)
    if not passed:
        return smoke_result("invalid", None, 0, "the smoke report holds no check that was run")
    missing = [name for name in rule.must_pass if name not in passed]
    if missing:
        return _judge_missing(smoke, missing, len(failed), count, allowed)
    if failed:
        return smoke_result("pass", len(failed), count, f"{told}, as {allowed} may", allowed)
    return smoke_result("pass", 0, count, f"all {count} smoke checks passed", allowed)


def _judge_missing(
    smoke: SmokeReport, missing: list[str], failed: int, count: int, allowed: int
) -> BoundResult:
    """Checks that had to pass and did not; where nobody asked any of them it is left open."""
    found = {result.name: result.status for result in smoke.results if result.name in missing}
    if not found:
        reason = f"the smoke report does not hold what has to pass: {', '.join(missing)}"
        return smoke_result("invalid", None, count, reason, allowed)
    words = {"fail": "failed", "skip": "was skipped"}
    told = ", ".join(
        f"{name} {words.get(found.get(name, ''), 'was not asked')}" for name in missing
    )
    return smoke_result("fail", failed, count, f"{told}, and has to pass", allowed)
