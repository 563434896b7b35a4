"""Kinds of load against a real server that logs what it received: schedules, conversations,
ladders, soaks and ramps.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.measure.bench.conftest import Truth
from trt_nemotron.errors import InvalidInput, NoValidMeasurement
from trt_nemotron.measure.bench.environment import describe_environment
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.figures.summary import Slo
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.ramp import RampChooser, order_of
from trt_nemotron.measure.bench.replay import read_measurement, write_measurement
from trt_nemotron.measure.bench.runner import run_bench
from trt_nemotron.measure.bench.trace import read_trace
from trt_nemotron.measure.bench.values import Measurement, RequestRecord, Workload
from trt_nemotron.measure.bench.workload import change_workload
from trt_nemotron.openai.dialect import OPENAI

WORKLOAD = Workload(
    concurrencies=(2,),
    requests_per_concurrency=8,
    warmup_requests=2,
    input_tokens=40,
    output_tokens=5,
    seed=7,
    timeout_s=10.0,
    total_timeout_s=60.0,
)
REHEARSAL = 3
MS = 1_000_000


def bench(url: str, more: Any = None, **changes: Any) -> Measurement:
    workload = change_workload(WORKLOAD, **changes)
    return run_bench(
        url, "truth", workload, OPENAI, describe_environment(target="test"), **(more or {})
    )


def contents(request: dict[str, Any]) -> list[str]:
    return [message["content"] for message in request["ask"]["messages"]]


def open_loop(rate: float, **changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {"arrivals": "constant", "rates_rps": (rate,), "concurrencies": (32,)}
    return {**fields, **changes}


@pytest.mark.slow
def test_requests_are_sent_at_their_times_whatever_has_ended(truth: Truth):
    url = truth.url_for(ttft_ms=120, interval_ms=1)
    measurement = bench(url, **open_loop(50.0, requests_per_concurrency=18))
    records = measurement.records
    assert [record.leg for record in records] == [Leg(concurrency=32, rate_rps=50.0)] * 20
    intended = [record.intended_ns for record in records]
    assert [late - intended[0] for late in intended] == [20 * MS * place for place in range(20)]
    assert all(record.sent_ns >= record.intended_ns - MS // 10 for record in records)
    most = max(sum(o.sent_ns <= r.sent_ns < o.finished_ns for o in records) for r in records)
    assert most > 3
    arrived = [request["received_ns"] for request in truth.requests()[REHEARSAL:]]
    for record, at in zip(records, arrived, strict=True):
        lag = record.sent_ns - records[0].sent_ns - (at - arrived[0])
        assert abs(lag) < 50 * MS


@pytest.mark.slow
def test_a_server_that_stands_still_is_not_spared_the_requests_it_kept_waiting(truth: Truth):
    """Coordinated omission: a closed loop sees one slow request, the schedule every one."""
    pause = {"ttft_ms": 2, "interval_ms": 1, "pause_ms": 600}
    url = truth.url_for(pause_at=REHEARSAL + 8, **pause)
    records = bench(url, **open_loop(50.0, requests_per_concurrency=58, concurrencies=(4,))).records
    waited = [r for r in records if r.finished_ns - r.intended_ns > 100 * MS]
    assert all(r.intended_ns >= 0 for r in records)
    assert 15 < len(waited) < 50
    held = [r for r in records if r.sent_ns - r.intended_ns > 50 * MS]
    assert len(held) > 15, "only four may be under way, so the others waited here"
    asked = len(truth.requests())
    again = truth.url_for(pause_at=asked + REHEARSAL + 8, **pause)
    closed = bench(again, concurrencies=(1,), requests_per_concurrency=58).records
    assert sum(r.finished_ns - r.sent_ns > 100 * MS for r in closed) == 1
    assert all(r.intended_ns == -1 for r in closed)


@pytest.mark.slow
def test_a_cap_that_was_reached_is_told(truth: Truth):
    url = truth.url_for(ttft_ms=100, interval_ms=1)
    measurement = bench(url, **open_loop(50.0, concurrencies=(2,), requests_per_concurrency=18))
    (note,) = [note for note in measurement.notes if "waited in the client" in note]
    assert "2 were under way" in note
    (lag,) = measurement.client.schedule_lags
    assert lag.p99_ms > 100
    level = summarise(measurement).at_leg(Leg(concurrency=2, rate_rps=50.0))
    assert level.queue_ms.p50 is not None
    assert level.queue_ms.p50 > 50
    roomy = bench(url, **open_loop(10.0, requests_per_concurrency=8))
    assert not [note for note in roomy.notes if "waited in the client" in note]


@pytest.mark.slow
def test_a_trace_is_played(truth: Truth, tmp_path: Path):
    path = tmp_path / "trace.jsonl"
    path.write_text('5.0\n{"timestamp": 5.1}\n\n{"offset_s": 5.1}\n5.35\n')
    trace = read_trace(path)
    assert trace.offsets_s == pytest.approx((0.0, 0.1, 0.1, 0.35))
    measurement = bench(
        truth.url, {"trace_s": trace.offsets_s}, arrivals="trace", rates_rps=(8.57,),
        concurrencies=(8,), warmup_requests=1, trace_sha256=trace.sha256,
    )  # fmt: skip
    begun = measurement.records[0].intended_ns
    offsets = [(record.intended_ns - begun) / 1e9 for record in measurement.records]
    assert offsets == pytest.approx(trace.offsets_s)
    assert measurement.workload.trace_sha256 == trace.sha256


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "between 1 and"), ("1\n0.5\n", "not in order"), ("1\nsoon\n", "line 2"),
     ("nan\n", "line 1"), ('{"when": 3}\n', "line 1"), ("true\n", "line 1")],
)  # fmt: skip
def test_a_file_that_is_no_trace_is_refused(tmp_path: Path, text: str, said: str):
    path = tmp_path / "trace"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=said):
        read_trace(path)
    with pytest.raises(InvalidInput, match="cannot read"):
        read_trace(tmp_path / "nowhere")


@pytest.mark.slow
def test_a_conversation_carries_what_the_server_said(truth: Truth):
    url = truth.url_for(scenario="numbered", interval_ms=1)
    measurement = bench(url, turns=3, think_s=0.05, requests_per_concurrency=12)
    asked = truth.requests()[REHEARSAL:]
    by_session: dict[int, list[RequestRecord]] = {}
    for record in measurement.records:
        by_session.setdefault(record.session, []).append(record)
    assert len(by_session) == 1 + 4
    assert [r.turn for r in by_session[0]] == [0, 1, 2]
    assert {r.session for r in measurement.records if r.is_warmup} == {0}
    told = {request["ask"]["number"]: request for request in asked}
    first_questions = set()
    for records in by_session.values():
        tokens = [record.prompt_tokens for record in sorted(records, key=lambda r: r.turn)]
        assert tokens == sorted(set(tokens))
        assert tokens[0] == 40
        for early, late in pairwise(records):
            assert late.sent_ns - early.finished_ns >= 50 * MS
        last = told[max(records, key=lambda r: r.turn).index]
        roles = [message["role"] for message in last["ask"]["messages"]]
        assert roles == ["user", "assistant", "user", "assistant", "user"]
        answers = [contents(last)[1], contents(last)[3]]
        assert answers == [f"n{r.index} " * 5 for r in sorted(records, key=lambda r: r.turn)[:2]]
        first_questions.add(contents(last)[0])
    assert len(first_questions) == 5


@pytest.mark.slow
def test_tools_are_offered_and_their_calls_are_tokens(truth: Truth):
    url = truth.url_for(scenario="tool call", interval_ms=1)
    measurement = bench(url, has_tools=True, turns=2)
    asked = truth.requests()[-1]["ask"]
    assert asked["tool_choice"] == "required"
    assert asked["tools"][0]["function"]["name"] == "look_up"
    assert "ignore_eos" not in asked
    assert "min_tokens" not in asked
    assert not measurement.is_length_fixed
    assert {record.outcome for record in measurement.records} == {"ok"}
    assert sum(chunk.kind == "tool_call" for chunk in measurement.records[0].chunks) == 5
    later = next(r["ask"]["messages"] for r in truth.requests() if len(r["ask"]["messages"]) == 3)
    assert [message["role"] for message in later] == ["user", "assistant", "tool"]
    assert later[1]["tool_calls"][0]["function"]["name"] == "f"
    plain = bench(truth.url, has_tools=True)
    assert any("without one" in note for note in plain.notes)


@pytest.mark.slow
def test_a_shared_beginning_is_shared_and_the_rest_is_not(truth: Truth):
    bench(truth.url, shared_prefix=0.5, input_tokens=67)
    prompts = [contents(request)[0].split() for request in truth.requests()[REHEARSAL:]]
    assert {len(prompt) for prompt in prompts} == {60}
    assert len({tuple(prompt[:30]) for prompt in prompts}) == 1
    assert len({tuple(prompt[30:36]) for prompt in prompts}) == len(prompts)
    assert "cache_prompt" not in truth.requests()[-1]["ask"]


@pytest.mark.slow
def test_a_ladder_is_climbed_until_the_server_refuses(truth: Truth):
    ladder = {"input_ladder": (20, 200, 2000), "requests_per_concurrency": 4}
    measurement = bench(truth.url_for(most_prompt=500), **ladder)
    legs = dict.fromkeys(record.leg for record in measurement.records)
    assert [leg.input_tokens for leg in legs] == [20, 200]
    for record in measurement.records:
        assert record.prompt_tokens == record.leg_input_tokens
    (note,) = [note for note in measurement.notes if "not measured" in note]
    assert "2000" in note
    assert "the context has 500 tokens" in note
    with pytest.raises(NoValidMeasurement) as fault:
        bench(truth.url_for(most_prompt=15), **ladder)
    assert "the context has 15 tokens" in str(fault.value)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["closed", "open", "turns"])
def test_a_soak_ends_when_its_time_is_over(truth: Truth, kind: str):
    more: dict[str, Any] = {"closed": {}, "open": open_loop(40.0), "turns": {"turns": 2}}[kind]
    records = bench(truth.url_for(interval_ms=1), soak_s=1.0, **more).records
    begun = min(record.sent_ns for record in records)
    assert len(records) > 20
    assert 500 * MS < max(record.sent_ns for record in records) - begun < 1050 * MS


@pytest.mark.slow
def test_a_ramp_chooses_its_legs_and_finds_the_knee(truth: Truth):
    workload = msgspec.structs.replace(WORKLOAD, concurrencies=(2,), requests_per_concurrency=8)
    chooser = RampChooser(order_of(workload), None)
    measurement = bench(truth.url_for(interval_ms=2), {"choose_next": chooser}, concurrencies=(2,))
    assert chooser.ramp is not None
    assert chooser.ramp.goal == "knee"
    measured = [point.leg.concurrency for point in chooser.ramp.curve]
    assert measured == [1, 2]
    assert list(dict.fromkeys(r.concurrency for r in measurement.records)) == measured


@pytest.mark.slow
def test_a_ramp_over_rates_measures_again_what_is_not_decided(truth: Truth):
    changes = open_loop(100.0, requests_per_concurrency=10)
    workload = change_workload(WORKLOAD, **changes)
    order = order_of(workload)
    chooser = RampChooser(order, Slo(ttft_ms=0.001))
    seen = 0

    def stop_after_three(results: Any) -> Any:
        nonlocal seen
        seen = len(results)
        return chooser(results) if seen < 3 else None

    measurement = bench(truth.url, {"choose_next": stop_after_three}, **changes)
    assert seen == 3
    rates = list(dict.fromkeys(record.rate_rps for record in measurement.records))
    assert rates == [100.0, 50.0, 25.0]
    with pytest.raises(InvalidInput, match="keeps limits"):
        RampChooser(order, None)


def test_a_file_from_before_these_kinds_is_still_read(tmp_path: Path, make_measurement: Any):
    path = tmp_path / "old.json"
    write_measurement(path, make_measurement())
    tree = msgspec.json.decode(path.read_bytes())
    for name in ("arrivals", "rates_rps", "trace_sha256", "input_ladder", "turns", "think_s",
                 "shared_prefix", "has_tools", "soak_s"):  # fmt: skip
        tree["workload"].pop(name, None)
    for record in tree["records"]:
        for name in ("rate_rps", "leg_input_tokens", "intended_ns", "session", "turn"):
            record.pop(name, None)
    path.write_bytes(msgspec.json.encode(tree))
    again = read_measurement(path)
    assert again == make_measurement()
    assert [level.concurrency for level in summarise(again).legs] == [1, 4]
