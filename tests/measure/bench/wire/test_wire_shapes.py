"""Every shape and every fault of a stream, from a real server over real sockets."""

import gc
import time
from itertools import pairwise

import pytest

from tests.measure.bench.conftest import TOKENS, Ask, Truth
from trt_nemotron.measure.bench.figures.request_figures import measure_request, token_chunks
from trt_nemotron.measure.bench.figures.summarise import summarise_leg
from trt_nemotron.measure.bench.leg import Leg

pytestmark = pytest.mark.slow

GOOD = [
    "plain",
    "reasoning first",
    "several tokens a chunk",
    "two events a segment",
    "events split over segments",
    "bytes split inside a character",
    "comments between events",
    "crlf",
    "crlf and lf",
    "blank before the first token",
    "usage beside the finish reason",
    "usage in the last content chunk",
    "usage in every chunk",
    "tool call",
    "stall",
    "null finish reasons and no usage",
]
BAD = {
    "no done": "truncated",
    "no finish reason": "truncated",
    "nothing said": "truncated",
    "error in band": "stream_error",
    "not json": "stream_error",
    "fin in the middle": "truncated",
    "fin before anything": "disconnected",
    "reset in the middle": "disconnected",
    "429": "http_error",
    "503": "http_error",
    "never ending": "timeout",
    "head, then nothing": "timeout",
    "not even a head": "timeout",
    "too short": "wrong_length",
    "web page": "stream_error",
    "not http": "http_error",
    "broken chunk framing": "http_error",
    "end never told": "timeout",
}
EVIDENCE = {
    "error in band": "CUDA out of memory",
    "429": "Retry-After: 3",
    "503": "loading",
    "too short": f"{TOKENS - 2} tokens where {TOKENS} were asked for",
    "web page": "<html>",
    "no done": "no [DONE]",
    "no finish reason": "no finish reason",
}


@pytest.mark.parametrize("scenario", GOOD)
def test_good_stream_is_counted_as_good(shared_truth: Truth, ask: Ask, scenario: str):
    (record,) = ask(shared_truth.url, scenario)
    assert (record.outcome, record.error) == ("ok", "")
    assert record.status_code == 200
    assert record.finish_reason == "length"
    counted = -1 if scenario == "null finish reasons and no usage" else TOKENS
    assert record.completion_tokens == counted


@pytest.mark.parametrize("scenario", BAD)
def test_fault_is_counted_under_its_own_name(shared_truth: Truth, ask: Ask, scenario: str):
    (record,) = ask(shared_truth.url, scenario, timeout_s=0.3)
    assert record.outcome == BAD[scenario], record.error
    assert EVIDENCE.get(scenario, "") in record.error
    assert record.error


def test_faults_shift_no_figure_of_the_good_requests(truth: Truth, ask: Ask):
    scenarios = [name for bad in BAD for name in ("plain", bad)]
    records = ask(truth.url, *scenarios, concurrency=2, timeout_s=0.3)
    plain = [r for name, r in zip(scenarios, records, strict=True) if name == "plain"]
    assert [(r.outcome, r.error) for r in plain] == [("ok", "")] * len(BAD)
    summary = summarise_leg(Leg(concurrency=1), records, None)
    assert summary.good == len(BAD)
    assert summary.requests == 2 * len(BAD)
    assert summary.error_share == 0.5
    assert dict(summary.outcomes) == {
        "ok": len(BAD), **{name: list(BAD.values()).count(name) for name in BAD.values()}
    }  # fmt: skip
    assert summary.ttft_ms.samples == len(BAD)
    assert len(truth.requests()) == 2 * len(BAD), "nothing is sent twice"


@pytest.mark.parametrize("body", ["chunked", "length", "until close"])
@pytest.mark.parametrize("is_closing", [False, True])
def test_framing_and_keep_alive_change_nothing(truth: Truth, ask: Ask, body: str, is_closing: bool):
    records = ask(truth.url, *["plain"] * 4, body=body, is_closing=is_closing)
    assert [record.outcome for record in records] == ["ok"] * 4
    is_new_each_time = is_closing or body == "until close"
    assert truth.told()["connections"] == (4 if is_new_each_time else 1) + 1  # and our question
    assert [bool(record.connect_ns) for record in records[1:]] == [is_new_each_time] * 3


def test_missing_done_is_right_where_the_dialect_has_none(shared_truth: Truth, ask: Ask):
    (record,) = ask(shared_truth.url, "no done", sends_done=False)
    assert record.outcome == "ok"


def test_role_empty_and_blank_events_are_no_first_token(truth: Truth, ask: Ask):
    (record,) = ask(truth.url, "blank before the first token", ttft_ms=80)
    kinds = [chunk.kind for chunk in record.chunks]
    assert kinds[:3] == ["empty", "blank", "empty"]
    assert measure_request(record).ttft_ms >= 79.9
    assert len(token_chunks(record)) == TOKENS


def test_first_answer_comes_after_the_reasoning(truth: Truth, ask: Ask):
    (record,) = ask(truth.url, "reasoning first", ttft_ms=20, interval_ms=10)
    figures = measure_request(record)
    sent = truth.requests()[0]["tokens_ns"]
    assert figures.ttfa_ms is not None
    reasoning_ms = (sent[TOKENS // 2] - sent[0]) / 1e6
    assert figures.ttfa_ms - figures.ttft_ms == pytest.approx(reasoning_ms, abs=5)
    kinds = [chunk.kind for chunk in token_chunks(record)]
    assert kinds == ["reasoning"] * (TOKENS // 2) + ["content"] * (TOKENS // 2)


def test_tokens_are_counted_by_usage_and_not_by_chunks(truth: Truth, ask: Ask):
    (one,) = ask(truth.url, "several tokens a chunk", interval_ms=10)
    assert len(token_chunks(one)) == TOKENS // 2
    figures = measure_request(one)
    span = sum(figures.gaps_ms)
    assert figures.tpot_ms == pytest.approx(span / (TOKENS - 1))


def test_tokens_of_the_first_chunk_are_known_from_running_usage(truth: Truth, ask: Ask):
    asked = ask(truth.url, *["usage in every chunk"] * 12, interval_ms=10)
    in_time = [figures for figures in map(measure_request, asked) if 0.0 not in figures.gaps_ms]
    assert in_time, "every answer was read late: this machine is too busy for this test"
    figures = in_time[0]
    assert figures.tpot_ms == pytest.approx(sum(figures.gaps_ms) / (TOKENS - 4))


def test_figures_agree_with_what_the_server_says_it_sent(truth: Truth, ask: Ask):
    """Generous for single stamps, since this machine may be busy; strict for their medians."""
    shapes = [name for name in GOOD if name != "two events a segment"]
    records = ask(truth.url, *shapes * 2, interval_ms=8, ttft_ms=20)
    told = truth.requests()
    late = []
    for record, sent in zip(records, told, strict=True):
        chunks = token_chunks(record)
        assert len(chunks) == len(sent["tokens_ns"])
        late += [c.received_ns - t for c, t in zip(chunks, sent["tokens_ns"], strict=True)]
        assert record.sent_ns <= sent["received_ns"] + 200_000
    late.sort()
    assert late[0] > -200_000, "a stamp may not come before the sending, but for two clocks' error"
    assert late[len(late) // 2] < 1_000_000
    ttft_errors = sorted(
        measure_request(record).ttft_ms - (sent["tokens_ns"][0] - sent["received_ns"]) / 1e6
        for record, sent in zip(records, told, strict=True)
    )
    assert abs(ttft_errors[len(ttft_errors) // 2]) < 2.0


def test_a_stall_is_seen_in_the_gaps(truth: Truth, ask: Ask):
    (record,) = ask(truth.url, "stall")
    sent = truth.requests()[0]["tokens_ns"]
    longest_ms = max(late - early for early, late in pairwise(sent)) / 1e6
    assert max(measure_request(record).gaps_ms) == pytest.approx(longest_ms, abs=5)


def test_no_connection_and_no_collector_setting_is_left_behind(truth: Truth, ask: Ask):
    before = truth.open_sockets()
    ask(truth.url, *["plain", "never ending", "reset in the middle"] * 2, timeout_s=0.2)
    end = time.monotonic() + 5
    while truth.open_sockets() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert truth.open_sockets() == before
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
