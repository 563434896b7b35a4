"""Checks of form: characters of several bytes, and JSON that follows a schema."""

import json
from typing import Any

from trt_nemotron.measure.smoke.interview import Interview, Passed, Skipped, Wrong, case_evidence
from trt_nemotron.measure.smoke.judge import shown
from trt_nemotron.openai.answer import Answer

_REPLACEMENT = "\ufffd"


def check_unicode_split(interview: Interview) -> Passed:
    """Characters of several bytes, and so of several tokens, are never cut between two chunks."""
    answers: dict[str, object] = {}
    for name in interview.cases("unicode_split"):
        for is_streamed in (False, True):
            _expect_whole_characters(name, interview.answer(name, is_streamed=is_streamed))
        whole, _ = interview.expect_both_right(name)
        answers[name] = shown(whole)
    return Passed("every character is whole", answers)


def check_json_schema(interview: Interview) -> Passed:
    """The answer is JSON that the schema sent with the request accepts."""
    answers: dict[str, object] = {}
    for name, case in interview.cases("json_schema").items():
        if case.json_schema is None:
            raise Skipped(f"case {name} has no schema")
        for answer in interview.expect_both_right(name):
            fault = _schema_fault(answer.content, case.json_schema)
            if fault:
                raise Wrong(f"case {name}: {fault}", **case_evidence(case, answer))
            answers[name] = shown(answer)
    return Passed("output follows the schema", answers)


def _expect_whole_characters(name: str, answer: Answer) -> None:
    if _REPLACEMENT in answer.content:
        pieces = [chunk.content for chunk in answer.chunks if chunk.content]
        raise Wrong(
            f"case {name}: a character was cut (U+FFFD in the text)",
            content=answer.content,
            pieces=pieces[:20],
        )


def _schema_fault(text: str, schema: dict[str, Any]) -> str:
    import jsonschema

    try:
        value = json.loads(text)
    except ValueError as fault:
        return f"not JSON ({fault})"
    try:
        jsonschema.validate(value, schema)
    except jsonschema.ValidationError as fault:
        return f"against the schema: {fault.message}"
    return ""
