"""An interview: one run of a suite against one server, and what the checks ask it through."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from trt_nemotron.errors import CheckFailed, EndpointUnfit
from trt_nemotron.measure.smoke.judge import differences, expected_shown, faults_of, shown
from trt_nemotron.measure.smoke.suite import Case, Suite
from trt_nemotron.openai.answer import Answer
from trt_nemotron.openai.client import Client
from trt_nemotron.openai.request import ChatRequest

Clock = Callable[[], float]
Evidence = dict[str, Any]


class Wrong(CheckFailed):
    """A check found that the server is wrong; `details` is what was seen."""

    def __init__(self, reason: str, **details: Any) -> None:
        super().__init__(reason)
        self.details: Evidence = details


class Skipped(Exception):
    """A check cannot be given to this server or suite; the text says why."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A check found the server right: one sentence, and what was seen."""

    reason: str
    evidence: Evidence = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Interview:
    """A server under questions.

    Attributes:
        clock: seconds of a monotonic clock.
        context_tokens: how long a request may be, where the server tells it.
        cancelled_tokens: how long an answer is that is going to be cancelled.
    """

    client: Client
    suite: Suite
    clock: Clock
    context_tokens: int | None = None
    cancelled_tokens: int = 4096
    _answers: dict[tuple[str, bool], Answer] = field(default_factory=dict)

    def cases(self, check: str) -> dict[str, Case]:
        """The cases of a check.

        Raises:
            Skipped: the suite has none.
        """
        cases = self.suite.cases_of(check)
        if not cases:
            raise Skipped(f"the suite {self.suite.name} has no case for it")
        return cases

    def request(self, case: Case) -> ChatRequest:
        """The request that a case makes."""
        return ChatRequest(
            messages=case.messages,
            max_tokens=case.max_tokens,
            is_thinking_enabled=case.thinking,
            temperature=self.suite.sampling.temperature,
            stop=case.stop,
            tools=case.tools,
            json_schema=case.json_schema,
        )

    def ask(self, case: Case, *, is_streamed: bool) -> Answer:
        """Ask now."""
        request = self.request(case)
        return self.client.stream(request) if is_streamed else self.client.chat(request)

    def answer(self, name: str, *, is_streamed: bool) -> Answer:
        """The answer to a case of the suite; the same question is asked once in a run."""
        key = (name, is_streamed)
        if key not in self._answers:
            try:
                self._answers[key] = self.ask(self.suite.cases[name], is_streamed=is_streamed)
            except EndpointUnfit as fault:
                mode = "streamed" if is_streamed else "whole"
                fault.message = f"case {name}, {mode}: {fault.message}"
                raise
        return self._answers[key]

    def expect_right(self, name: str, *, is_streamed: bool) -> Answer:
        """The answer to a case.

        Raises:
            Wrong: it is not what the suite expects.
        """
        answer = self.answer(name, is_streamed=is_streamed)
        case = self.suite.cases[name]
        faults = faults_of(answer, case.expect)
        if faults:
            raise Wrong(
                f"case {name}, {'streamed' if is_streamed else 'whole'}: {'; '.join(faults)}",
                **case_evidence(case, answer),
            )
        return answer

    def expect_both_right(self, name: str) -> tuple[Answer, Answer]:
        """The answers to a case, whole and streamed, right and equal to each other.

        Raises:
            Wrong: one is not what the suite expects, or they differ.
        """
        whole = self.expect_right(name, is_streamed=False)
        streamed = self.expect_right(name, is_streamed=True)
        strict = self.client.dialect.strips_stream_whitespace
        faults = differences(whole, streamed, is_white_space_strict=strict)
        if faults:
            raise Wrong(
                f"case {name}: {'; '.join(faults)} between whole and streamed",
                whole=shown(whole),
                streamed=shown(streamed),
            )
        return whole, streamed

    def expect_alive(self, after: str = "") -> None:
        """One short answer, to see that the server works, or still does after something.

        Raises:
            Wrong: it does not.
        """
        try:
            self.client.chat(short_request())
        except EndpointUnfit as fault:
            place = f" after {after}" if after else ""
            raise Wrong(
                f"a plain request fails{place}: {fault.message}", seen=fault.evidence
            ) from fault


def short_request() -> ChatRequest:
    """A request whose answer takes as little as possible: one token."""
    return ChatRequest(
        messages=({"role": "user", "content": "Say hello."},),
        max_tokens=1,
        is_thinking_enabled=False,
    )


def case_evidence(case: Case, answer: Answer) -> Evidence:
    """What was asked, what should have come and what came."""
    return {
        "sent": case.messages[-1].get("content"),
        "thinking": case.thinking,
        "expected": expected_shown(case.expect),
        "got": shown(answer),
    }
