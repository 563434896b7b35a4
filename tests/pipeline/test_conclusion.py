from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from trt_nemotron.document import write_document
from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.gate.outcome import WORST_FIRST, exit_code
from trt_nemotron.measure.gate.values import BoundResult, Decision, Verdict
from trt_nemotron.pipeline.conclusion import Concluded, conclude
from trt_nemotron.pipeline.record import CheckRecord, StageOutcome
from trt_nemotron.pipeline.telling import as_annotations, as_junit, as_markdown, as_outputs


def verdict_of(decision: Decision) -> Verdict:
    result = BoundResult(
        metric="tpot_p50_ms", direction="lower_is_better", concurrency=1, decision=decision,
        figure=1.0, bound=2.0, reason=f"a reason to {decision}",
    )  # fmt: skip
    return Verdict(budget="cpu", decision=decision, results=(result,), confidence=0.99)


def leave(
    folder: Path, code: int, verdict: Verdict | None, failed: tuple[str, str] | None = None
) -> None:
    stages = ()
    if failed:
        stages = (
            StageOutcome(name=failed[0], status="failed", duration_s=1, summary=failed[1]),  # type: ignore[arg-type]
        )
    record = CheckRecord(
        target="cpu", runtime="llamacpp", model="m", started_at="2026-11-23T12:00:00Z",
        decision="fail" if verdict is None else verdict.decision, exit_code=code, stages=stages,
        folder=str(folder),
    )  # fmt: skip
    write_document(folder / "check.json", record)
    if verdict is not None:
        write_document(folder / "verdict.json", verdict)


def ends(concluded: Concluded) -> tuple[str, int]:
    return concluded.conclusion.decision, concluded.conclusion.exit_code


@pytest.mark.parametrize("decision", WORST_FIRST)
def test_a_verdict_is_concluded_as_it_is(decision: Decision, tmp_path: Path):
    leave(tmp_path, exit_code(decision), verdict_of(decision))
    assert ends(conclude(tmp_path, exit_code(decision), None)) == (decision, exit_code(decision))


@pytest.mark.parametrize("first", WORST_FIRST)
@pytest.mark.parametrize("second", WORST_FIRST)
def test_baselines_decide_only_where_nothing_else_is_amiss(
    first: Decision, second: Decision, tmp_path: Path
):
    leave(tmp_path, exit_code(first), verdict_of(first))
    decided = second if first in {"pass", "no_baseline"} else first
    concluded = conclude(tmp_path, exit_code(first), lambda: verdict_of(second))
    assert ends(concluded) == (decided, exit_code(decided))


def test_nothing_at_all_is_no_pass(tmp_path: Path):
    assert ends(conclude(tmp_path, 0, None)) == ("broken", 3)
    assert ends(conclude(tmp_path / "none", 9, None)) == ("broken", 9)


@pytest.mark.parametrize("code", [0, 1, 3, 130])
def test_a_record_of_another_check_is_no_pass(code: int, tmp_path: Path):
    """The device was taken, and an earlier check's files lie there."""
    leave(tmp_path, 6, verdict_of("pass"))
    assert ends(conclude(tmp_path, code, None)) == ("broken", code or 3)


@pytest.mark.parametrize("decision", WORST_FIRST)
def test_a_check_that_broke_after_its_verdict_is_no_pass(decision: Decision, tmp_path: Path):
    leave(tmp_path, 3, verdict_of(decision), ("report", "the disk is full"))
    concluded = conclude(tmp_path, 3, None)
    assert ends(concluded) == ("broken", 3)
    assert "report failed: the disk is full" in concluded.conclusion.headline


def test_wrong_answers_are_a_failure(tmp_path: Path):
    leave(tmp_path, 1, None, ("smoke", "3 passed, 1 failed"))
    concluded = conclude(tmp_path, 1, None)
    assert ends(concluded) == ("fail", 1)
    assert concluded.conclusion.headline == "FAIL: smoke failed: 3 passed, 1 failed"


def test_a_server_that_did_not_start_is_broken(tmp_path: Path):
    leave(tmp_path, 9, None, ("serve", "the server died"))
    assert ends(conclude(tmp_path, 9, None)) == ("broken", 9)


def test_a_fault_of_our_own_is_broken_and_not_a_missed_bound(tmp_path: Path):
    """Python ends with 1 as well."""
    leave(tmp_path, 1, None, ("bench", "no attribute"))
    assert ends(conclude(tmp_path, 1, None)) == ("broken", 1)


def test_a_check_that_says_done_without_a_verdict_is_no_pass(tmp_path: Path):
    leave(tmp_path, 0, None)
    assert ends(conclude(tmp_path, 0, None)) == ("broken", 3)


def test_a_damaged_file_is_no_pass(tmp_path: Path):
    leave(tmp_path, 0, verdict_of("pass"))
    (tmp_path / "verdict.json").write_text("{")
    assert ends(conclude(tmp_path, 0, None)) == ("broken", 2)


def test_a_store_that_cannot_be_read_is_no_pass(tmp_path: Path):
    leave(tmp_path, 5, verdict_of("no_baseline"))

    def judge_again() -> Verdict:
        raise InvalidInput("the store is damaged")

    assert ends(conclude(tmp_path, 5, judge_again)) == ("broken", 5)


def test_every_ending_is_told_in_every_form(tmp_path: Path):
    leave(tmp_path, 9, None, ("serve", "</a>\n::error::% <b>| `x` @all\x00"))
    concluded = conclude(tmp_path, 9, None)
    case = ET.fromstring(as_junit(concluded)).find(".//error")
    assert case is not None
    assert case.get("type") == "broken"
    assert as_annotations(concluded, "").count("\n") == 1
    assert "%25" in as_annotations(concluded, "")
    assert as_outputs(concluded) == "decision=broken\nexit-code=9\n"
    *_, last = as_markdown(concluded).splitlines()
    assert last.startswith("    BROKEN: serve failed")


def test_wrong_answers_are_a_failure_in_junit(tmp_path: Path):
    leave(tmp_path, 1, None, ("smoke", "1 failed"))
    root = ET.fromstring(as_junit(conclude(tmp_path, 1, None)))
    assert (root.get("failures"), root.get("errors")) == ("1", "0")
    assert root.find(".//failure") is not None
