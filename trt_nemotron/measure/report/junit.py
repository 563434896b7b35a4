"""The verdict as JUnit XML, which every CI system draws: a test case for each bound.

`fail` is a failure; `invalid`, `no_baseline` and `inconclusive` are errors: nothing was shown.
"""

import re
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from trt_nemotron.measure.gate.values import BoundResult, Verdict

_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped."""

_CLASS = "trt-nemotron.gate"


def render_junit(verdict: Verdict) -> bytes:
    """One suite with a case for each bound, and one for the run itself when it is not valid."""
    failures = sum(result.decision == "fail" for result in verdict.results)
    errors = sum(result.decision not in {"pass", "fail"} for result in verdict.results)
    faults = len(verdict.invalid_reasons)
    counts = {
        "tests": str(len(verdict.results) + faults),
        "failures": str(failures),
        "errors": str(errors + faults),
        "skipped": "0",
        "time": "0",
    }
    root = Element("testsuites", {"name": "trt-nemotron gate", **counts})
    root.attrib.pop("skipped")
    suite = SubElement(root, "testsuite", {"name": _clean(f"gate {verdict.budget}"), **counts})
    for place, reason in enumerate(verdict.invalid_reasons, 1):
        _add_problem(_add_case(suite, f"the run is valid ({place})"), "error", "invalid", reason)
    for result in verdict.results:
        _add_result(suite, result)
    indent(root)
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n{tostring(root, encoding="unicode")}\n'.encode()
    )


def _add_result(suite: Element, result: BoundResult) -> None:
    load = "rate" if result.rate_rps else "concurrency"
    at = f" at {load} {result.at}" if result.at else ""
    relative = ", relative" if result.kind == "relative" else ""
    case = _add_case(suite, f"{result.metric}{at}{relative}")
    if result.decision == "pass":
        SubElement(case, "system-out").text = _clean(result.reason)
        return
    tag = "failure" if result.decision == "fail" else "error"
    _add_problem(case, tag, result.decision, result.reason)


def _add_case(suite: Element, name: str) -> Element:
    return SubElement(suite, "testcase", {"name": _clean(name), "classname": _CLASS, "time": "0"})


def _add_problem(case: Element, tag: str, kind: str, reason: str) -> None:
    problem = SubElement(case, tag, {"message": _clean(reason), "type": kind})
    problem.text = _clean(reason)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
