"""Checks of whole answers: what they say, why they end, what they cost."""

from trt_nemotron.measure.smoke.interview import Interview, Passed, Skipped, Wrong, case_evidence
from trt_nemotron.measure.smoke.judge import shown
from trt_nemotron.openai.answer import Answer
from trt_nemotron.openai.chunk import Usage


def check_completion(interview: Interview) -> Passed:
    """Whole answers to plain questions are right."""
    cases = interview.cases("completion")
    answers = {name: interview.expect_right(name, is_streamed=False) for name in cases}
    return Passed(
        f"{len(answers)} right", {name: shown(answer) for name, answer in answers.items()}
    )


def check_stop_reasons(interview: Interview) -> Passed:
    """An answer that is over says `stop`, one that was cut says `length`; both ways of asking.

    The stop text of `stop_sequence` must not be in the answer.
    """
    missing = interview.client.dialect.missing.get("stop_text_removed", "")
    reasons: dict[str, object] = {}
    for name, case in interview.cases("stop_reasons").items():
        if case.stop and missing:
            reasons[name] = f"not asked: {missing}"
            continue
        whole, streamed = interview.expect_both_right(name)
        for answer in (whole, streamed):
            if any(text in answer.content for text in case.stop):
                raise Wrong(
                    f"case {name}: the stop text is in the answer", **case_evidence(case, answer)
                )
        reasons[name] = whole.finish_reason
    seen = {reason for reason in reasons.values() if reason in {"stop", "length"}}
    if len(seen) < 2:
        raise Skipped("the suite must have both a case that ends by itself and one that is cut")
    return Passed("stop and length where they should be", reasons)


def check_usage(interview: Interview) -> Passed:
    """Token counts are there, positive, add up, and are the same streamed and whole.

    A token chunk holds at least one token, so there are never more chunks than tokens; an answer
    that was cut by `max_tokens` has exactly so many.
    """
    counts: dict[str, object] = {}
    for name in interview.cases("usage"):
        whole = interview.expect_right(name, is_streamed=False)
        streamed = interview.expect_right(name, is_streamed=True)
        one = _expect_sum(name, "whole", whole)
        other = _expect_sum(name, "streamed", streamed)
        if (one.prompt_tokens, one.completion_tokens) != (
            other.prompt_tokens,
            other.completion_tokens,
        ):
            raise Wrong(
                f"case {name}: usage differs between whole and streamed",
                whole=shown(whole),
                streamed=shown(streamed),
            )
        _expect_no_more_chunks(name, streamed, other)
        counts[name] = shown(whole)["usage"]
    for name, case in interview.suite.cases_of("stop_reasons").items():
        if case.expect.finish_reason == "length":
            counts[name] = _expect_exactly(interview, name, case.max_tokens)
    return Passed("counts are positive and add up", counts)


def _expect_sum(name: str, mode: str, answer: Answer) -> Usage:
    usage = answer.usage
    place = f"case {name}, {mode}"
    if usage is None:
        raise Wrong(f"{place}: there is no usage", got=shown(answer))
    if usage.prompt_tokens <= 0 or usage.completion_tokens <= 0:
        raise Wrong(f"{place}: a token count is missing or zero", got=shown(answer))
    if usage.total_tokens != usage.prompt_tokens + usage.completion_tokens:
        raise Wrong(f"{place}: total_tokens is not the sum of the others", got=shown(answer))
    return usage


def _expect_no_more_chunks(name: str, streamed: Answer, usage: Usage) -> None:
    if streamed.token_chunks > usage.completion_tokens:
        raise Wrong(
            f"case {name}: {streamed.token_chunks} chunks with text came, "
            f"completion_tokens says {usage.completion_tokens}",
            got=shown(streamed),
        )


def _expect_exactly(interview: Interview, name: str, tokens: int) -> object:
    for is_streamed in (False, True):
        answer = interview.expect_right(name, is_streamed=is_streamed)
        usage = _expect_sum(name, "streamed" if is_streamed else "whole", answer)
        if usage.completion_tokens != tokens:
            raise Wrong(
                f"case {name}: cut at max_tokens {tokens}, completion_tokens says "
                f"{usage.completion_tokens}",
                got=shown(answer),
            )
    return {"completion_tokens": tokens}
