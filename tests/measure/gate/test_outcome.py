import pytest

from trt_nemotron.measure.gate.outcome import exit_code, headline, worst
from trt_nemotron.measure.gate.values import BoundResult, Verdict


def verdict(decision: str, *decisions: str, invalid: tuple[str, ...] = ()) -> Verdict:
    results = tuple(
        BoundResult(
            metric="ttft_p50_ms", direction="lower_is_better", concurrency=1, decision=each,
            figure=1.0, bound=2.0, reason=f"reason {place}",
        )
        for place, each in enumerate(decisions)
    )  # fmt: skip
    return Verdict(
        budget="cpu", decision=decision, results=results, confidence=0.99, invalid_reasons=invalid
    )


@pytest.mark.parametrize(
    ("decision", "code"),
    [("pass", 0), ("fail", 1), ("invalid", 4), ("no_baseline", 5), ("inconclusive", 6)],
)
def test_exit_code_of_each_decision(decision: str, code: int):
    assert exit_code(decision) == code


def test_the_worst_stands_first_in_the_documented_order():
    order = ["fail", "invalid", "no_baseline", "inconclusive", "pass"]
    for place, decision in enumerate(order):
        assert worst(reversed(order[place:])) == decision


def test_nothing_judged_is_no_pass():
    assert worst([]) == "invalid"


def test_headline_says_the_worst_reason_and_how_many_more():
    assert headline(verdict("fail", "pass", "fail")) == "FAIL: reason 1"
    assert headline(verdict("fail", "fail", "fail")) == "FAIL: reason 0 (and 1 more)"
    assert headline(verdict("no_baseline", "no_baseline")).startswith("NO BASELINE: ")
    assert headline(verdict("invalid", invalid=("why",))) == "INVALID: why"
    both = verdict("invalid", "invalid", invalid=("why", "and why"))
    assert headline(both) == "INVALID: why (and 1 more)"
    assert headline(verdict("fail", "fail", invalid=("why",))) == "FAIL: reason 0"
    assert headline(verdict("invalid", "invalid")) == "INVALID: reason 0"
    assert headline(verdict("pass", "pass")).startswith("PASS: the one bound is kept")
    assert headline(verdict("pass", "pass", "pass")).startswith("PASS: all 2 bounds")
