"""The conclusion of a CI job: from what `check` left and how it ended to one decision.

`check` judges absolute bounds, physics and smoke; with a store of baselines the relative bounds are
judged here. Whatever happened, something is concluded: no verdict at all is `broken`, never a pass.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from trt_nemotron.document import Document, read_document
from trt_nemotron.errors import EnvironmentUnfit, TrtNemotronError
from trt_nemotron.measure.gate.outcome import exit_code, headline
from trt_nemotron.measure.gate.values import Decision, Verdict
from trt_nemotron.pipeline.record import CheckRecord

Ending = Literal["pass", "fail", "invalid", "no_baseline", "inconclusive", "broken"]

_WITHOUT_VERDICT = EnvironmentUnfit.exit_code


class Conclusion(Document, frozen=True, kw_only=True):
    """How a job ends.

    Attributes:
        decision: `broken` where nothing was judged.
        exit_code: what the job ends with; 0 for `pass` and nothing else.
        check_exit_code: what `check` ended with.
        headline: one line for people.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/conclusion/1"

    decision: Ending
    exit_code: int
    check_exit_code: int
    headline: str


@dataclass(frozen=True, slots=True)
class Concluded:
    """A conclusion and the verdict behind it, where there is one."""

    conclusion: Conclusion
    verdict: Verdict | None = None


def conclude(
    folder: Path, check_exit_code: int, judge_again: Callable[[], Verdict] | None
) -> Concluded:
    """What a job ends with.

    Args:
        folder: what `check` wrote into.
        check_exit_code: what it ended with.
        judge_again: the verdict with baselines; nothing where there is no store. It is asked only
            when nothing but a missing baseline stands in the way: whatever else `check` found
            (a missed bound, a figure better than physics allows) is not to be judged away.

    A damaged file or a store that cannot be read is `broken` as well.
    """
    try:
        return _conclude(folder, check_exit_code, judge_again)
    except TrtNemotronError as fault:
        return _broken(check_exit_code or fault.exit_code, fault.message)


def _conclude(
    folder: Path, check_exit_code: int, judge_again: Callable[[], Verdict] | None
) -> Concluded:
    record_path, verdict_path = folder / "check.json", folder / "verdict.json"
    if not record_path.is_file():
        return _broken(
            check_exit_code, "the check left no record: it did not run, or not to an end"
        )
    record = read_document(record_path, CheckRecord)
    if record.exit_code != check_exit_code:
        was = f"its record says {record.exit_code}, the job says {check_exit_code}"
        return _broken(check_exit_code, f"the record is not of this check: {was}")
    if not verdict_path.is_file():
        return _without_verdict(record)
    verdict = read_document(verdict_path, Verdict)
    if exit_code(verdict.decision) != check_exit_code:
        return _broken(check_exit_code, _failed_stage(record) or "the check broke off after gating")
    if judge_again is not None and verdict.decision in {"pass", "no_baseline"}:
        verdict = judge_again()
    return Concluded(
        _conclusion(verdict.decision, exit_code(verdict.decision), record, headline(verdict)),
        verdict,
    )


def _without_verdict(record: CheckRecord) -> Concluded:
    """Smoke that failed is a failure; anything else is a check that could not do its work."""
    why = _failed_stage(record)
    has_wrong_answers = record.exit_code == 1 and any(
        stage.name == "smoke" and stage.status == "failed" for stage in record.stages
    )
    if has_wrong_answers:
        return Concluded(_conclusion("fail", 1, record, f"FAIL: {why}"))
    return _broken(record.exit_code, why or "the check judged nothing")


def _failed_stage(record: CheckRecord) -> str:
    failed = [stage for stage in record.stages if stage.status == "failed"]
    return f"{failed[-1].name} failed: {failed[-1].summary}" if failed else ""


def _broken(check_exit_code: int, why: str) -> Concluded:
    return Concluded(
        Conclusion(
            decision="broken",
            exit_code=check_exit_code or _WITHOUT_VERDICT,
            check_exit_code=check_exit_code,
            headline=f"BROKEN: {why} (exit code {check_exit_code})",
        )
    )


def _conclusion(decision: Decision, code: int, record: CheckRecord, line: str) -> Conclusion:
    return Conclusion(
        decision=decision, exit_code=code, check_exit_code=record.exit_code, headline=line
    )
