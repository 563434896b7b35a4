"""The smoke report as a bound: a wrong answer is a failure however fast it came."""

from trt_nemotron.measure.gate.result import smoke_result
from trt_nemotron.measure.gate.values import BoundResult
from trt_nemotron.measure.smoke.values import SmokeReport


def judge_smoke(smoke: SmokeReport | None) -> BoundResult:
    """The bound that a report is; none at all, where one is asked for, is `invalid`."""
    if smoke is None:
        return smoke_result("invalid", None, 0, "the budget requires a smoke report")
    passed = [result.name for result in smoke.results if result.status == "pass"]
    failed = [result.name for result in smoke.results if result.status == "fail"]
    count = len(passed) + len(failed)
    if failed:
        reason = f"{len(failed)} of {count} smoke checks failed: {', '.join(failed)}"
        return smoke_result("fail", len(failed), count, reason)
    if not passed:
        return smoke_result("invalid", None, 0, "the smoke report holds no check that was run")
    return smoke_result("pass", 0, count, f"all {count} smoke checks passed")
