"""Every way to be wrong, and exactly which checks find it, no more and no less, and why."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from trt_nemotron.measure.smoke.registry import CHECKS, select_checks
from trt_nemotron.measure.smoke.runner import run_smoke
from trt_nemotron.measure.smoke.suite import load_suite
from trt_nemotron.measure.smoke.values import SmokeReport
from trt_nemotron.openai.client import Client
from trt_nemotron.openai.transport import Timeouts

Server = Callable[..., Any]

JUDGED = frozenset(
    {
        "completion", "stream_equals", "usage", "stop_reasons", "thinking_on", "thinking_off",
        "tool_call", "tool_result", "unicode_split", "json_schema", "parallel",
    }
)  # fmt: skip
"""Checks that compare an answer with the suite."""

STREAMED = (JUDGED - {"completion"}) | {"stream_framing", "no_orphan_think", "cancelled_stream"}
"""Checks that read a stream."""

CHATS = STREAMED | {"completion", "malformed_request", "overlong_prompt"}
"""Checks that ask the model anything."""

PATIENCE_S = 20.0
HASTE_S = 0.5


@dataclass(frozen=True)
class Row:
    """A fault: which checks fail, what one of them says, and the time-out that it needs."""

    failing: frozenset[str]
    check: str
    reason: str
    timeout_s: float = PATIENCE_S


def row(failing: set[str] | frozenset[str], check: str, reason: str, **fields: Any) -> Row:
    return Row(frozenset(failing), check, reason, **fields)


TABLE = {
    # --- answers
    "wrong_text": row(JUDGED, "completion", "content is not the expected text"),
    "empty_text": row(JUDGED, "completion", "content is not the expected text"),
    "always_stops": row(
        {"usage", "stop_reasons", "tool_call"},
        "stop_reasons",
        "finish_reason is 'stop' and should be 'length'",
    ),
    "always_length": row(JUDGED, "stop_reasons", "finish_reason is 'length' and should be 'stop'"),
    "no_finish_reason": row(
        (JUDGED | STREAMED) - {"cancelled_stream"}, "stream_framing", "without a finish reason"
    ),
    "wrong_role": row(JUDGED, "completion", "role is 'user'"),
    "mojibake": row({"unicode_split"}, "unicode_split", "content is not the expected text"),
    "json_not_json": row({"json_schema"}, "json_schema", "content is not JSON"),
    "json_against_schema": row({"json_schema"}, "json_schema", "not the expected JSON value"),
    # --- thinking
    "thinking_in_content": row(
        {"thinking_on", "no_orphan_think", "tool_call", "parallel"},
        "no_orphan_think",
        "<think> in content, </think> in content",
    ),
    "orphan_think_end": row(
        JUDGED | {"no_orphan_think"}, "no_orphan_think", "case thinking_on: </think> in content"
    ),
    "thinking_stays_on": row(
        {"thinking_off", "completion", "stream_equals", "usage"},
        "thinking_off",
        "reasoning should be empty",
    ),
    "thinking_never_on": row(
        {"thinking_on", "tool_call", "parallel"}, "thinking_on", "reasoning is not the expected"
    ),
    "all_in_reasoning": row(JUDGED - {"thinking_on"}, "thinking_off", "reasoning should be empty"),
    # --- tools
    "tool_arguments_are_strings": row(
        {"tool_call"}, "tool_call", "argument 'days' is '3' and should be 3"
    ),
    "tool_name_wrong": row({"tool_call"}, "tool_call", "'launch_rocket' was called"),
    "tool_arguments_cut": row({"tool_call"}, "tool_call", "arguments are not JSON"),
    "tool_call_as_text": row({"tool_call"}, "tool_call", "stands in the content as text"),
    "tool_called_twice": row({"tool_call"}, "tool_call", "2 tool calls where one"),
    "tool_without_id": row({"tool_call"}, "tool_call", "has no id"),
    "tool_always_called": row(
        {"tool_call", "tool_result"}, "tool_result", "a tool was called and none should be"
    ),
    # --- streams
    "stream_differs": row(
        JUDGED - {"completion"}, "stream_equals", "streamed: content is not the expected text"
    ),
    "split_characters": row({"unicode_split"}, "unicode_split", "a character was cut"),
    "one_chunk": row({"stream_equals", "cancelled_stream"}, "stream_equals", "came in one chunk"),
    "stream_without_usage": row(
        {"stream_framing", "usage"}, "usage", "streamed: there is no usage"
    ),
    "finish_twice": row({"stream_framing"}, "stream_framing", "finish_reason is given 2 times"),
    "text_after_finish": row(
        (JUDGED | {"stream_framing"}) - {"completion"},
        "stream_framing",
        "text comes after the finish reason",
    ),
    "missing_done": row({"stream_framing"}, "stream_framing", r"ends without \[DONE\]"),
    "data_after_done": row({"stream_framing"}, "stream_framing", r"1 events come after \[DONE\]"),
    "wrong_content_type": row({"stream_framing"}, "stream_framing", "content type is 'text/plain'"),
    "ignores_stream": row(STREAMED, "stream_equals", "without a finish reason"),
    "in_band_error": row(STREAMED, "stream_equals", "an error came inside the stream"),
    "broken_event": row(STREAMED, "stream_equals", "an error came inside the stream"),
    "fin_mid_stream": row(STREAMED, "stream_equals", "broke before the answer was whole"),
    "fin_unframed": row(STREAMED, "stream_equals", "without a finish reason"),
    "reset_mid_stream": row(STREAMED, "stream_equals", "broke before the answer was whole"),
    # --- counts
    "usage_missing": row({"usage", "stream_framing"}, "usage", "whole: there is no usage"),
    "usage_prompt_zero": row({"usage"}, "usage", "missing or zero"),
    "usage_wrong_sum": row({"usage"}, "usage", "not the sum"),
    "usage_counts_one": row({"usage"}, "usage", "chunks with text came, completion_tokens says 1"),
    # --- several at once
    "parallel_mixed": row({"parallel"}, "parallel", "asked with 3 others"),
    "parallel_garbled": row({"parallel"}, "parallel", "with 3 others: reasoning differs"),
    "cancelled_keeps_slot": row({"cancelled_stream"}, "cancelled_stream", "the next request took"),
    # --- refusals
    "overlong_accepted": row({"overlong_prompt"}, "overlong_prompt", "was accepted"),
    "overlong_is_500": row({"overlong_prompt"}, "overlong_prompt", "status 500, not with"),
    "overlong_is_unclear": row({"overlong_prompt"}, "overlong_prompt", "does not say"),
    "overlong_kills": row({"overlong_prompt"}, "overlong_prompt", "broke before|nothing listens"),
    "overlong_refused_then_dies": row(
        {"overlong_prompt"}, "overlong_prompt", "fails after an overlong prompt"
    ),
    "malformed_is_500": row({"malformed_request"}, "malformed_request", "status 500, not with"),
    "malformed_is_200": row({"malformed_request"}, "malformed_request", "status 200, not with"),
    "malformed_kills": row(
        {"malformed_request", "overlong_prompt"}, "overlong_prompt", "not asked: .* malformed"
    ),
    # --- time
    "slow": row(CHATS, "completion", "silent|did not end", timeout_s=HASTE_S),
    "hang_before_headers": row(CHATS, "completion", "silent|did not end", timeout_s=HASTE_S),
    "drips_headers": row(CHATS, "completion", "did not end within 0.5 s", timeout_s=HASTE_S),
    "hang_after_headers": row(
        CHATS - {"completion"}, "stream_framing", "silent|did not end", timeout_s=HASTE_S
    ),
    "hang_mid_stream": row(
        CHATS - {"completion"}, "stream_framing", "silent|did not end", timeout_s=HASTE_S
    ),
    "never_ends": row(
        CHATS - {"completion"}, "stream_framing", "did not end within 0.5", timeout_s=HASTE_S
    ),
    "drips_for_ever": row(
        CHATS - {"completion"}, "stream_framing", "did not end within 0.5", timeout_s=HASTE_S
    ),
    # --- the server itself
    "dies_after_five": row(
        CHATS - {"completion", "stream_framing"}, "parallel", "not asked: .* stream_equals"
    ),
    "status_400": row(CHATS, "malformed_request", "a plain request fails: .*status 400"),
    "status_429": row(CHATS, "malformed_request", "status 429"),
    "status_503": row(CHATS, "overlong_prompt", "status 503"),
    "status_500": row(CHATS, "cancelled_stream", "status 500"),
    "error_with_200": row(CHATS, "completion", "status 200 with an error in it"),
    "redirects": row(CHECKS.keys(), "health", "sends us elsewhere"),
    "web_page": row(CHECKS.keys(), "health", "a web page stands"),
    "model_list_empty": row({"model_list"}, "model_list", "is empty"),
    "model_list_wrong": row({"model_list"}, "model_list", "lacks 'double'"),
    "model_list_malformed": row({"model_list"}, "model_list", "no list `data`"),
    "health_500": row({"health"}, "health", "status 500"),
}

QUICK = frozenset({"wrong_text", "missing_done", "fin_mid_stream", "usage_wrong_sum", "status_429"})
"""One of each kind, for the inner loop; all others are `slow` together."""


def smoke(url: str, timeout_s: float = PATIENCE_S) -> SmokeReport:
    timeouts = Timeouts(read_s=timeout_s, total_s=timeout_s)
    client = Client(url, model="double", timeouts=timeouts)
    return run_smoke(client, load_suite("embedded"), select_checks(()), cancelled_tokens=400)


def failures(report: SmokeReport) -> dict[str, str]:
    return {result.name: result.reason for result in report.results if result.status == "fail"}


def test_a_right_server_passes_every_check(fault_server: Server) -> None:
    report = smoke(fault_server().url)
    assert failures(report) == {}
    assert [result.status for result in report.results] == ["pass"] * len(CHECKS)
    assert report.passed


@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, marks=() if fault in QUICK else pytest.mark.slow) for fault in TABLE],
)
def test_a_fault_fails_exactly_the_checks_it_must(fault_server: Server, fault: str) -> None:
    expected = TABLE[fault]
    report = smoke(fault_server(fault).url, expected.timeout_s)
    failed = failures(report)
    assert failed.keys() == expected.failing
    assert re.search(expected.reason, failed[expected.check])
    assert not report.passed
    assert len(report.results) == len(CHECKS)


def test_the_table_knows_every_fault_the_server_can_have(faults: tuple[str, ...]) -> None:
    assert sorted(TABLE) == sorted(faults)
    assert TABLE.keys() >= QUICK


def test_every_check_is_failed_by_a_fault_of_its_own() -> None:
    alone = {expected.check for expected in TABLE.values()}
    few = {name for expected in TABLE.values() if len(expected.failing) <= 4
           for name in expected.failing}  # fmt: skip
    assert CHECKS.keys() - alone == set()
    assert few >= CHECKS.keys() - {"completion", "tool_result"} - {"no_orphan_think"}
