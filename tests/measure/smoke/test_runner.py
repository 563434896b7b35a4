from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from msgspec import structs

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.smoke.interview import Interview, Passed, Skipped, Wrong
from trt_nemotron.measure.smoke.registry import CHECKS, Check, select_checks
from trt_nemotron.measure.smoke.runner import is_responding, run_check, run_smoke
from trt_nemotron.measure.smoke.suite import Expectation, Suite, TextExpectation, load_suite
from trt_nemotron.measure.smoke.values import SmokeReport, SmokeResult
from trt_nemotron.openai.client import Client
from trt_nemotron.openai.dialect import OPENAI, TRANSFORMERS_SERVE
from trt_nemotron.openai.transport import Timeouts

Server = Callable[..., Any]
QUICK = Timeouts(read_s=5, total_s=5)


def smoke(client: Client, *names: str, **options: Any) -> SmokeReport:
    suite = options.pop("suite", None) or load_suite("embedded")
    return run_smoke(client, suite, select_checks(names), cancelled_tokens=400, **options)


def statuses(report: SmokeReport) -> dict[str, str]:
    return {result.name: result.status for result in report.results}


def test_a_server_like_transformers_serve_passes_all_but_what_it_is_known_to_lack(
    fault_server: Server,
) -> None:
    client = Client(fault_server(is_transformers=True, slots=1).url, timeouts=QUICK)
    assert client.detect_dialect() is TRANSFORMERS_SERVE
    report = smoke(client.having(dialect=TRANSFORMERS_SERVE))
    skipped = {result.name: result.reason for result in report.results if result.status == "skip"}
    assert [result.reason for result in report.results if result.status == "fail"] == []
    assert skipped.keys() == {"model_list", "json_schema", "malformed_request", "overlong_prompt"}
    assert all("5.23.0" in reason for reason in skipped.values())
    assert report.passed


def test_such_a_server_taken_for_another_fails(fault_server: Server) -> None:
    client = Client(fault_server(is_transformers=True).url, timeouts=QUICK)
    assert client.dialect is OPENAI
    failed = {name for name, status in statuses(smoke(client)).items() if status == "fail"}
    assert failed >= {"model_list", "stream_framing", "stream_equals", "malformed_request"}


@pytest.mark.parametrize("tells_slots", [True, False])
def test_a_server_with_one_slot_frees_it(fault_server: Server, tells_slots: bool) -> None:
    client = Client(fault_server(slots=1, tells_slots=tells_slots).url, timeouts=QUICK)
    (result,) = smoke(client, "cancelled_stream").results
    assert result.status == "pass", result
    assert result.evidence["streams"] == (1 if tells_slots else 16)


def test_a_context_of_unknown_length_that_takes_the_whole_prompt_is_simply_longer(
    fault_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(fault_server("model_list_empty").url, timeouts=QUICK)
    (refused,) = smoke(client, "overlong_prompt").results
    assert (refused.status, refused.evidence["context_tokens"]) == ("pass", None)
    client = Client(fault_server(is_transformers=True).url, timeouts=QUICK)
    (accepted,) = smoke(client, "overlong_prompt").results
    assert accepted.status == "pass"
    assert "longer than 300000 tokens" in accepted.reason


def test_only_the_checks_asked_for_are_run_and_in_the_order_of_the_registry(
    fault_server: Server,
) -> None:
    report = smoke(Client(fault_server().url), "usage", "health")
    assert list(statuses(report)) == ["health", "usage"]


def test_results_are_told_as_they_come(fault_server: Server) -> None:
    told: list[SmokeResult] = []
    report = smoke(Client(fault_server().url), "health", "model_list", listener=told.append)
    assert tuple(told) == report.results


def test_two_runs_differ_in_nothing_but_durations(fault_server: Server) -> None:
    client = Client(fault_server().url)
    noon = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
    names = [name for name in CHECKS if name != "cancelled_stream"]
    options: dict[str, Any] = {"clock": lambda: 0.0, "now": lambda: noon}
    one, other = (smoke(client, *names, **options) for _ in range(2))
    assert one == other
    assert one.started_at == "2026-11-23T12:00:00+00:00"


def test_every_result_has_a_reason_and_every_wrong_answer_its_evidence(
    fault_server: Server,
) -> None:
    report = smoke(Client(fault_server("wrong_text").url))
    assert all(result.reason for result in report.results)
    (completion,) = [result for result in report.results if result.name == "completion"]
    assert completion.evidence["sent"] == "Where is New York?"
    assert completion.evidence["got"]["content"] == "Bananas."
    assert "New York is a city" in completion.evidence["expected"]["content"]["equals"]


def test_a_suite_without_a_check_s_cases_skips_it_and_says_so(fault_server: Server) -> None:
    empty = Suite(name="empty", about="asks nothing", cases={})
    report = smoke(Client(fault_server().url), suite=empty)
    skipped = {name for name, status in statuses(report).items() if status == "skip"}
    assert skipped == CHECKS.keys() - {
        "health", "model_list", "cancelled_stream", "malformed_request", "overlong_prompt"
    }  # fmt: skip
    assert "fail" not in statuses(report).values()


@pytest.mark.parametrize(
    ("fault", "case", "expected"),
    [
        ("json_against_schema", "json_schema", "against the schema: '36' is not of type 'integer'"),
        ("json_not_json", "json_schema", "not JSON"),
        ("thinking_stays_on", "thinking_off", "thinking is off and there is reasoning"),
        ("thinking_never_on", "thinking_on", "thinking is on and there is no reasoning"),
    ],
)
def test_a_suite_that_expects_little_does_not_let_a_fault_pass(
    fault_server: Server, fault: str, case: str, expected: str
) -> None:
    embedded = load_suite("embedded")
    anything = Expectation(content=TextExpectation(non_empty=True))
    tolerant = structs.replace(embedded.cases[case], expect=anything)
    suite = Suite(name="tolerant", about="expects little", cases={case: tolerant})
    (right,) = smoke(Client(fault_server().url), case, suite=suite).results
    assert right.status == "pass"
    (wrong,) = smoke(Client(fault_server(fault).url), case, suite=suite).results
    assert wrong.status == "fail"
    assert expected in wrong.reason


def test_nothing_asked_is_not_passed() -> None:
    report = SmokeReport(url="", model="", suite="", started_at="", results=())
    assert not report.passed


def test_an_outcome_is_told_from_how_a_check_ends(fault_server: Server) -> None:
    interview = Interview(
        client=Client(fault_server().url), suite=load_suite("embedded"), clock=lambda: 0.0
    )

    def fails(_: Interview) -> Passed:
        raise Wrong("it is wrong", got=3)

    def skips(_: Interview) -> Passed:
        raise Skipped("not for you")

    check = Check("one", "for the test", lambda _: Passed("right", {"got": 4}))
    assert run_check(check, interview) == SmokeResult(
        name="one", status="pass", reason="right", evidence={"got": 4}, duration_ms=0.0
    )
    assert run_check(replace(check, run=fails), interview).evidence == {"got": 3}
    assert run_check(replace(check, run=skips), interview).status == "skip"
    lacking = Interview(
        client=interview.client.having(dialect=TRANSFORMERS_SERVE),
        suite=interview.suite,
        clock=lambda: 0.0,
    )
    result = run_check(replace(check, feature="json_schema"), lacking)
    assert (result.status, result.reason) == (
        "skip",
        TRANSFORMERS_SERVE.missing["json_schema"],
    )


@pytest.mark.parametrize(
    ("fault", "answers"),
    [("", True), ("status_500", True), ("web_page", True), ("hang_before_headers", False)],
)
def test_a_server_that_answers_anything_is_responding(
    fault_server: Server, fault: str, answers: bool
) -> None:
    client = Client(fault_server(fault).url, timeouts=Timeouts(read_s=0.5, total_s=0.5))
    assert is_responding(client) is answers


def test_a_name_that_no_check_has_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidInput, match="Did you mean `tool_call`"):
        select_checks(["tool_cal"])
