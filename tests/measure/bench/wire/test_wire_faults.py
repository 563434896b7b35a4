"""The eighteen shapes and faults of docs/wire-faults.md, each among sound requests in one run."""

import re
from pathlib import Path

import pytest

from tests.measure.bench.conftest import TOKENS, Ask, Truth
from trt_nemotron.measure.bench.figures.request_figures import measure_request, token_chunks
from trt_nemotron.measure.bench.figures.summarise import summarise_leg
from trt_nemotron.measure.bench.leg import Leg

FAULTS = {
    "role-only first chunk": ("plain", "ok"),
    "empty chunks": ("blank before the first token", "ok"),
    "reasoning first": ("reasoning first", "ok"),
    "several tokens per chunk": ("several tokens a chunk", "ok"),
    "several events per segment": ("two events a segment", "ok"),
    "one event over many segments": ("events split over segments", "ok"),
    "bytes split inside UTF-8": ("bytes split inside a character", "ok"),
    "keep-alive comments": ("comments between events", "ok"),
    "CRLF and LF": ("crlf and lf", "ok"),
    "missing `[DONE]`": ("no done", "truncated"),
    "usage in the last content chunk": ("usage in the last content chunk", "ok"),
    "in-band error mid-stream": ("error in band", "stream_error"),
    "FIN mid-stream": ("fin in the middle", "truncated"),
    "reset": ("reset in the middle", "disconnected"),
    "429 with Retry-After": ("429", "http_error"),
    "503": ("503", "http_error"),
    "never-ending stream": ("never ending", "timeout"),
    "header-only hang": ("head, then nothing", "timeout"),
}
"""By the name in the page: the server's name for it, and the outcome."""
EVENTS = {"several tokens per chunk": TOKENS // 2}
"""Token events of a good answer, where they are not one for each token."""
EACH = 4


def test_the_page_says_the_same(repository: Path):
    text = (repository / "docs" / "wire-faults.md").read_text()
    rows = re.findall(r"^\| (.+) \| `(\w+)` \|$", text, re.MULTILINE)
    assert dict(rows) == {name: outcome for name, (_, outcome) in FAULTS.items()}
    assert len(rows) == len(FAULTS) == 18


@pytest.mark.parametrize("name", FAULTS)
def test_fault_keeps_to_itself(truth: Truth, ask: Ask, name: str):
    scenario, outcome = FAULTS[name]
    asked = ["plain", scenario] * EACH
    records = ask(truth.url, *asked, concurrency=2, timeout_s=0.3, ttft_ms=20)
    sound, strange = records[::2], records[1::2]
    assert [(r.outcome, r.error) for r in sound] == [("ok", "")] * EACH
    assert [r.outcome for r in strange] == [outcome] * EACH, strange[0].error
    if outcome == "ok":
        assert {len(token_chunks(r)) for r in strange} == {EVENTS.get(name, TOKENS)}
        assert {r.completion_tokens for r in strange} == {TOKENS}
    summary = summarise_leg(Leg(concurrency=2), records, None)
    good = 2 * EACH if outcome == "ok" else EACH
    assert summary.good == summary.ttft_ms.samples == good
    assert sum(summary.outcomes.values()) == 2 * EACH
    assert summary.outcomes[outcome] == (good if outcome == "ok" else EACH)
    _check_figures(truth, records)


def _check_figures(truth: Truth, records: list) -> None:
    """What is good agrees with the server's log; generous, since this machine may be busy."""
    log = truth.requests()
    assert len(log) == len(records), "nothing is sent twice"
    late = []
    for record in records:
        if record.outcome != "ok":
            continue
        sent = min(log, key=lambda one: abs(one["received_ns"] - record.sent_ns))
        true_ms = (sent["tokens_ns"][0] - sent["received_ns"]) / 1e6
        late.append(measure_request(record).ttft_ms - true_ms)
    late.sort()
    assert late[0] > -0.3, "no first token may come before it was sent"
    assert late[len(late) // 2] < 2.0
