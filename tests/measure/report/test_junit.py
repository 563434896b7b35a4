from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.measure.gate.values import BoundResult, Decision, Verdict
from trt_nemotron.measure.report.junit import render_junit


def parsed(text: bytes) -> ET.Element:
    return ET.fromstring(text)


DECISIONS: tuple[Decision, ...] = ("pass", "fail", "invalid", "no_baseline", "inconclusive")


def verdict(reason: str = "why", *, invalid: tuple[str, ...] = (), budget: str = "cpu") -> Verdict:
    results = tuple(
        BoundResult(
            metric="ttft_p50_ms", direction="lower_is_better", concurrency=place,
            decision=decision, figure=1.0, bound=2.0, reason=reason,
        )
        for place, decision in enumerate(DECISIONS)
    )  # fmt: skip
    return Verdict(
        budget=budget, decision="fail", results=results, confidence=0.99, invalid_reasons=invalid
    )


def test_counts_agree_with_the_cases():
    root = parsed(render_junit(verdict(invalid=("slow client",))))
    (suite,) = root
    assert root.tag == "testsuites"
    assert suite.tag == "testsuite"
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "6", "failures": "1", "errors": "4", "skipped": "0",
    }  # fmt: skip
    assert len(suite) == 6
    assert len(suite.findall("testcase/failure")) == 1
    assert len(suite.findall("testcase/error")) == 4
    for key in ("tests", "failures", "errors"):
        assert root.get(key) == suite.get(key)


def test_every_case_has_what_readers_of_junit_require():
    (suite,) = parsed(render_junit(verdict()))
    assert set(suite.attrib) == {"name", "tests", "failures", "errors", "skipped", "time"}
    cases = list(suite)
    assert all({"name", "classname", "time"} == set(case.attrib) for case in cases)
    assert len({case.get("name") for case in cases}) == len(cases)
    problems = [problem for case in cases for problem in case if problem.tag != "system-out"]
    assert all(problem.get("message") and problem.get("type") for problem in problems)


@given(st.text(max_size=60))
def test_any_text_gives_xml_that_can_be_read(text: str):
    root = parsed(render_junit(verdict(text, invalid=(text,), budget=text or "x")))
    assert len(root.findall("testsuite/testcase")) == 6


def test_text_is_escaped_and_not_lost():
    text = "a < b & \"c\" ]]> 'd' \x00"
    root = parsed(render_junit(verdict(text)))
    failure = root.find("testsuite/testcase/failure")
    assert failure is not None
    assert failure.text == text.replace("\x00", "\ufffd")
