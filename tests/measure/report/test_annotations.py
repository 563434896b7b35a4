import msgspec

from trt_nemotron.measure.gate.values import BoundResult, Verdict
from trt_nemotron.measure.report.annotations import render_annotations


def result(decision: str, reason: str = "the reason") -> BoundResult:
    return BoundResult(
        metric="tpot_p50_ms", direction="lower_is_better", concurrency=1, decision=decision,
        figure=1.0, bound=2.0, reason=reason,
    )  # fmt: skip


def verdict(*decisions: str) -> Verdict:
    results = tuple(result(decision) for decision in decisions)
    return Verdict(budget="cpu", decision=decisions[0], results=results, confidence=0.99)


def test_a_failure_is_an_error_and_names_the_bound():
    lines = render_annotations(verdict("fail", "pass"), "ci/budgets/cpu.yaml").splitlines()
    assert lines == [
        "::error file=ci/budgets/cpu.yaml,title=trt-nemotron gate::FAIL: the reason",
        "::error file=ci/budgets/cpu.yaml,title=tpot_p50_ms fail::the reason",
    ]


def test_what_was_not_decided_is_a_warning_and_a_pass_a_notice():
    assert render_annotations(verdict("inconclusive")).startswith("::warning title=")
    assert render_annotations(verdict("pass", "pass")).startswith("::notice title=")
    assert len(render_annotations(verdict("pass", "pass")).splitlines()) == 1


def test_text_of_a_server_is_no_command_of_its_own():
    evil = result("fail", "50 %\n::error::x\r::stop-commands::y")
    text = render_annotations(msgspec.structs.replace(verdict("fail"), results=(evil,)))
    assert len(text.splitlines()) == 2
    assert "50 %25%0A::error::x%0D" in text
    assert "file=a%3Ab%2Cc," in render_annotations(verdict("fail"), "a:b,c")


def test_no_more_lines_than_are_kept():
    assert len(render_annotations(verdict(*["fail"] * 30)).splitlines()) == 10
