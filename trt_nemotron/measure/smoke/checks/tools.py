"""Checks of tools: the call with its types, and the turn after it."""

from trt_nemotron.measure.smoke.interview import Interview, Passed
from trt_nemotron.measure.smoke.judge import shown


def check_tool_call(interview: Interview) -> Passed:
    """The right tool is called, arguments have their JSON types, streamed fragments are the same.

    Where no tool is needed, none is called.
    """
    calls: dict[str, object] = {}
    for name in interview.cases("tool_call"):
        whole, _ = interview.expect_both_right(name)
        calls[name] = shown(whole).get("tool_calls", "none, rightly")
    return Passed(f"{len(calls)} cases right", calls)


def check_tool_result(interview: Interview) -> Passed:
    """The result of a tool is used in the answer that follows."""
    answers: dict[str, object] = {}
    for name in interview.cases("tool_result"):
        whole, _ = interview.expect_both_right(name)
        answers[name] = shown(whole)
    return Passed("the result is in the answer", answers)
