from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from trt_nemotron.measure.bench.values import ChunkRecord, Measurement, RequestRecord
from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget
from trt_nemotron.measure.gate.demands import WorkloadRule
from trt_nemotron.measure.gate.place import Place
from trt_nemotron.measure.gate.validity import fitness_faults, record_faults, sample_fault

MakeRun = Callable[..., Measurement]

BUDGET = Budget(
    target="cpu", bounds=(AbsoluteBound(metric="ttft_p50_ms", concurrency=1, at_most=9.0),)
)


def replace_record(run: Measurement, place: int, **fields: Any) -> Measurement:
    records = list(run.records)
    records[place] = msgspec.structs.replace(records[place], **fields)
    return msgspec.structs.replace(run, records=tuple(records))


def replace_all(run: Measurement, **fields: Any) -> Measurement:
    records = tuple(msgspec.structs.replace(record, **fields) for record in run.records)
    return msgspec.structs.replace(run, records=records)


def chunk_at(record: RequestRecord, place: int, received_ns: int) -> tuple[ChunkRecord, ...]:
    chunks = list(record.chunks)
    chunks[place] = msgspec.structs.replace(chunks[place], received_ns=received_ns)
    return tuple(chunks)


def test_a_sound_run_has_no_fault(make_measurement: MakeRun):
    run = make_measurement()
    assert record_faults(run) == ()
    assert fitness_faults(run, BUDGET) == ()
    assert sample_fault(run, Place(concurrency=1), 24) == ""


def test_warm_up_alone_is_no_run(make_measurement: MakeRun):
    assert record_faults(replace_all(make_measurement(), is_warmup=True))


@pytest.mark.parametrize("place", [0, 5, -1])
def test_time_going_backwards_is_found_wherever_it_does(make_measurement: MakeRun, place: int):
    run = make_measurement()
    record = run.records[3]
    earlier = record.chunks[place].received_ns - 400_000_000
    broken = replace_record(run, 3, chunks=chunk_at(record, place, earlier))
    (fault,) = record_faults(broken)
    assert "backwards in 1 request" in fault
    assert "request 3" in fault


def test_a_stream_that_ended_before_its_last_chunk_is_found(make_measurement: MakeRun):
    run = make_measurement()
    last = run.records[2].chunks[-1].received_ns
    assert record_faults(replace_record(run, 2, finished_ns=last - 1))
    assert not record_faults(replace_record(run, 2, finished_ns=last))


def test_a_request_sent_before_the_run_began_is_found(make_measurement: MakeRun):
    run = make_measurement()
    assert record_faults(replace_record(run, 0, sent_ns=-1))
    assert not record_faults(replace_record(run, 0, sent_ns=0))


def test_events_that_share_a_stamp_are_in_order(make_measurement: MakeRun):
    run = make_measurement()
    first = run.records[0].chunks[0].received_ns
    assert not record_faults(replace_record(run, 0, chunks=chunk_at(run.records[0], 1, first)))


def test_a_failed_request_may_lack_its_end(make_measurement: MakeRun):
    run = replace_record(make_measurement(), 0, outcome="timeout", finished_ns=0, chunks=())
    assert not record_faults(run)


def test_records_that_stand_twice_are_found(make_measurement: MakeRun):
    run = make_measurement()
    (fault,) = record_faults(msgspec.structs.replace(run, records=(*run.records, run.records[0])))
    assert fault.startswith("1 of 49")


def test_a_good_request_without_a_token_is_found(make_measurement: MakeRun):
    run = make_measurement()
    empty = (ChunkRecord(received_ns=run.records[0].sent_ns, kind="empty", characters=0),)
    (fault,) = record_faults(replace_record(run, 0, chunks=empty))
    assert "without a single token" in fault


@pytest.mark.parametrize(
    "outcome",
    ["http_error", "stream_error", "truncated", "timeout", "disconnected", "wrong_length"],
)
def test_a_failed_request_of_any_kind_is_a_fault(make_measurement: MakeRun, outcome: str):
    (fault,) = fitness_faults(replace_record(make_measurement(), 0, outcome=outcome), BUDGET)
    assert fault == f"1 of 48 requests failed (1 {outcome})"


def test_a_failure_is_tolerated_only_where_the_budget_bounds_it(make_measurement: MakeRun):
    bound = AbsoluteBound(metric="error_share", concurrency=1, at_most=0.1)
    tolerant = Budget(target="cpu", bounds=(*BUDGET.bounds, bound))
    run = make_measurement()
    assert not fitness_faults(replace_record(run, 0, outcome="timeout"), tolerant)
    assert fitness_faults(replace_record(run, -1, outcome="timeout"), tolerant)


@pytest.mark.parametrize("made", [15, 17, 0])
def test_a_wrong_output_length_is_a_fault(make_measurement: MakeRun, made: int):
    (fault,) = fitness_faults(replace_record(make_measurement(), 0, completion_tokens=made), BUDGET)
    assert f"made {made} tokens instead of the 16" in fault


def test_an_output_length_that_was_not_fixed_may_be_any(make_measurement: MakeRun):
    run = replace_record(make_measurement(), 0, completion_tokens=15)
    free = msgspec.structs.replace(run, is_length_fixed=False)
    assert not fitness_faults(free, BUDGET)
    rule = WorkloadRule(output_tokens=16)
    assert fitness_faults(free, msgspec.structs.replace(BUDGET, workload=rule))


def test_an_output_length_that_nobody_knows_is_a_fault(make_measurement: MakeRun):
    (fault,) = fitness_faults(replace_record(make_measurement(), 0, completion_tokens=-1), BUDGET)
    assert "did not say" in fault


@pytest.mark.parametrize(("cached", "is_fault"), [(0, False), (12, False), (13, True), (128, True)])
def test_prompts_from_the_cache_are_a_fault(make_measurement: MakeRun, cached: int, is_fault: bool):
    run = replace_all(make_measurement(), cached_tokens=cached)
    assert bool(fitness_faults(run, BUDGET)) == is_fault


def test_a_request_of_which_one_count_is_unknown_says_nothing(make_measurement: MakeRun):
    run = replace_record(make_measurement(), 0, prompt_tokens=-1, cached_tokens=5000)
    assert not fitness_faults(run, BUDGET)
    run = replace_record(make_measurement(), 0, prompt_tokens=0, cached_tokens=5000)
    assert not fitness_faults(run, BUDGET)


def test_a_share_exactly_as_allowed_is_allowed(make_measurement: MakeRun):
    run = replace_all(make_measurement(), prompt_tokens=100, cached_tokens=10)
    assert not fitness_faults(run, BUDGET)


def test_a_prompt_of_one_token_counts(make_measurement: MakeRun):
    run = replace_all(make_measurement(), prompt_tokens=1, cached_tokens=1)
    assert fitness_faults(run, BUDGET)


def test_requests_without_a_count_do_not_thin_out_the_share(make_measurement: MakeRun):
    run = replace_all(make_measurement(), prompt_tokens=100, cached_tokens=0)
    run = replace_record(run, 0, prompt_tokens=100_000, cached_tokens=10_100)
    assert not fitness_faults(run, BUDGET)
    for place in range(1, 48):
        run = replace_record(run, place, cached_tokens=-1)
    assert fitness_faults(run, BUDGET)


def test_an_unknown_count_of_cached_tokens_is_none(make_measurement: MakeRun):
    for unknown in ({"cached_tokens": -1}, {"prompt_tokens": -1}, {"prompt_tokens": 0}):
        assert not fitness_faults(replace_all(make_measurement(), **unknown), BUDGET)


@pytest.mark.parametrize(
    ("rule", "is_fault"),
    [
        ({"input_tokens": 128}, False), ({"input_tokens": 512}, True),
        ({"output_tokens": 16}, False), ({"output_tokens": 64}, True),
        ({"is_thinking_enabled": False}, False), ({"is_thinking_enabled": True}, True),
    ],
)  # fmt: skip
def test_another_workload_than_the_budget_means_is_a_fault(
    make_measurement: MakeRun, rule: dict[str, Any], is_fault: bool
):
    budget = msgspec.structs.replace(BUDGET, workload=WorkloadRule(**rule))
    faults = fitness_faults(make_measurement(), budget)
    assert bool(faults) == is_fault
    if is_fault:
        assert next(iter(rule)) in faults[0]


@pytest.mark.parametrize("field", ["cpu_share", "loop_lag_p99_ms", "floor_ttft_p50_ms"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_client_that_did_not_measure_itself_is_a_fault(
    make_measurement: MakeRun, change: MakeRun, field: str, value: float
):
    faults = fitness_faults(change(make_measurement(), client={field: value}), BUDGET)
    assert any("not measured" in fault for fault in faults)


def test_a_client_without_any_lag_is_fine(make_measurement: MakeRun, change: MakeRun):
    health = {"cpu_share": 0.0, "loop_lag_p99_ms": 0.0, "floor_ttft_p50_ms": 0.0}
    assert not fitness_faults(change(make_measurement(), client=health), BUDGET)


def test_only_good_requests_of_that_concurrency_count_as_samples(make_measurement: MakeRun):
    run = replace_record(make_measurement(), 0, outcome="timeout")
    assert sample_fault(run, Place(concurrency=1), 23) == ""
    assert "23 good requests" in sample_fault(run, Place(concurrency=1), 24)
    assert sample_fault(run, Place(concurrency=4), 24) == ""
    assert "nothing was measured" in sample_fault(run, Place(concurrency=2), 1)
    warm = replace_record(make_measurement(), 0, is_warmup=True)
    assert sample_fault(warm, Place(concurrency=1), 24)
