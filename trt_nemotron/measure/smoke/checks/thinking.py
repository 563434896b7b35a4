"""Checks of thinking: apart from the answer when on, really off when off, no tag left over."""

from trt_nemotron.measure.smoke.interview import Interview, Passed, Wrong, case_evidence
from trt_nemotron.measure.smoke.judge import shown

_TAGS = ("<think>", "</think>")


def check_thinking_on(interview: Interview) -> Passed:
    """With thinking on there is reasoning, and it stands apart from the content."""
    answers: dict[str, object] = {}
    for name, case in interview.cases("thinking_on").items():
        for answer in interview.expect_both_right(name):
            if not answer.reasoning.strip():
                raise Wrong(
                    f"case {name}: thinking is on and there is no reasoning",
                    **case_evidence(case, answer),
                )
            answers[name] = shown(answer)
    return Passed("reasoning is apart from the answer", answers)


def check_thinking_off(interview: Interview) -> Passed:
    """With thinking off there is no reasoning at all."""
    answers: dict[str, object] = {}
    for name, case in interview.cases("thinking_off").items():
        for answer in interview.expect_both_right(name):
            if answer.reasoning.strip():
                raise Wrong(
                    f"case {name}: thinking is off and there is reasoning",
                    **case_evidence(case, answer),
                )
            answers[name] = shown(answer)
    return Passed("no reasoning", answers)


def check_no_orphan_think(interview: Interview) -> Passed:
    """No think tag is left in the content, in either mode, with or without tools.

    A deployment without the right reasoning parser leaves `</think>` there, and a conversation
    that is fed back with it goes astray (https://github.com/NVIDIA/NemoClaw/pull/6992).
    """
    names = [
        *interview.cases("thinking_on"),
        *interview.cases("thinking_off"),
        *interview.suite.cases_of("tool_call"),
    ]
    for name in names:
        for is_streamed in (False, True):
            answer = interview.answer(name, is_streamed=is_streamed)
            found = [
                f"{tag} in {place}"
                for place, text in (("content", answer.content), ("reasoning", answer.reasoning))
                for tag in _TAGS
                if tag in text
            ]
            if found:
                raise Wrong(
                    f"case {name}: {', '.join(found)}",
                    **case_evidence(interview.suite.cases[name], answer),
                )
    return Passed(f"no tag in {2 * len(names)} answers")
