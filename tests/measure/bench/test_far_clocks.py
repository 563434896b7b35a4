"""Clocks of other machines: measured with a bound that holds, and judged."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.client_health import ClientHealth
from trt_nemotron.measure.bench.figures.far_clocks import far_clock_reasons, late_start_reasons
from trt_nemotron.measure.bench.figures.validity import find_invalid_reasons
from trt_nemotron.measure.bench.health import HealthLog
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import (
    ChunkRecord,
    Environment,
    Measurement,
    RequestRecord,
    Workload,
)
from trt_nemotron.measure.bench.wire.address import resolve_address
from trt_nemotron.measure.bench.worker_health import WorkerHealth
from trt_nemotron.measure.bench.workers.crew import Crew
from trt_nemotron.measure.bench.workers.far_clock import ClockSpan, Offset, measure_offset
from trt_nemotron.measure.bench.workers.member import Member
from trt_nemotron.measure.bench.workers.messages import Done
from trt_nemotron.measure.bench.workers.ray_cluster import (
    address_of,
    choose_nodes,
    refuse_loopback,
)
from trt_nemotron.measure.bench.workers.senders import Senders, check_senders
from trt_nemotron.measure.bench.workers.telling import (
    CLOCK_OFFSET,
    WorkerTold,
    describe_workers,
    on_our_clock,
)

MS = 1_000_000
LEG = Leg(concurrency=4)
WAYS = st.tuples(st.integers(0, 10**7), st.integers(0, 10**7))


class FarClock:
    """A double of another machine: its clock is `offset_ns` ahead, the ways there and back take
    what they take.
    """

    def __init__(self, offset_ns: int, ways: list[tuple[int, int]]) -> None:
        self.now_ns = 10**12
        self._offset_ns = offset_ns
        self._ways = iter(ways)

    def ask(self) -> int:
        there, back = next(self._ways)
        theirs = self.now_ns + there + self._offset_ns
        self.now_ns += there + back
        return theirs

    def now(self) -> int:
        return self.now_ns


@given(offset_ns=st.integers(-(10**18), 10**18), ways=st.lists(WAYS, min_size=1, max_size=20))
def test_the_true_offset_lies_within_the_bound_however_uneven_the_ways(
    offset_ns: int, ways: list[tuple[int, int]]
):
    far = FarClock(offset_ns, ways)
    found = measure_offset(far.ask, far.now, len(ways))
    assert abs(found.ns - offset_ns) <= found.bound_ns
    assert found.bound_ns == -(-min(there + back for there, back in ways) // 2)


@given(
    ends=st.tuples(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9)),
    bounds=st.tuples(st.integers(0, MS), st.integers(0, MS)),
    errors=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    when=st.floats(0, 1),
)
def test_a_drift_one_way_stays_within_the_bound(
    ends: tuple[int, int], bounds: tuple[int, int], errors: tuple[float, float], when: float
):
    before, after = (
        Offset(true + int(bound * error), bound)
        for true, bound, error in zip(ends, bounds, errors, strict=True)
    )
    span = ClockSpan(before, after)
    between = ends[0] + when * (ends[1] - ends[0])
    assert abs(span.ns - between) <= span.bound_ns + 1


def test_drift_is_no_step_and_a_step_is_one():
    def span(moved_ns: int) -> ClockSpan:
        return ClockSpan(Offset(5, 100, 0), Offset(5 + moved_ns, 200, 10**9))

    assert not span(300 + 10**6).is_stepped
    assert span(301 + 10**6).is_stepped
    assert span(-301 - 10**6).is_stepped


def record(sent_ns: int, finished_ns: int, **fields: object) -> RequestRecord:
    return msgspec.structs.replace(
        RequestRecord(
            index=0, concurrency=4, is_warmup=False, outcome="ok", connect_ns=0,
            sent_ns=sent_ns, finished_ns=finished_ns,
            chunks=(ChunkRecord(received_ns=sent_ns + 7, kind="content", characters=1),),
        ),
        **fields,
    )  # fmt: skip


def test_times_are_put_right_and_latencies_left_alone():
    done = Done([record(100, 200), record(300, 400, intended_ns=290)], HealthLog(), 2, 0, [], 0)
    moved = on_our_clock(done, ClockSpan(Offset(1000, 10), Offset(1060, 10))).records
    assert [(r.sent_ns, r.finished_ns, r.chunks[0].received_ns) for r in moved] == [
        (70, 170, 77),
        (270, 370, 277),
    ]
    assert [r.intended_ns for r in moved] == [-1, 260]
    assert on_our_clock(done, ClockSpan(Offset(), Offset())) is done


def measured(*spans: ClockSpan, lasted_ms: int = 1000) -> Measurement:
    told = [WorkerTold("10.0.0.2", spans={LEG: span}) for span in spans]
    client = ClientHealth(
        clock="packet_ring", cpu_share=0.1, loop_lag_p99_ms=0.1, floor_ttft_p50_ms=0.1,
        workers=tuple(
            WorkerHealth(worker=n, cpu_share=0.1, loop_lag_p99_ms=0.1, read_lag_p99_ms=0.1)
            for n in range(len(spans))
        ),
    )  # fmt: skip
    return Measurement(
        url="http://10.0.0.9:8000", started_at="2026-01-01T00:00:00Z",
        workload=Workload(
            concurrencies=(4,), requests_per_concurrency=2, input_tokens=1, output_tokens=1,
            seed=1, warmup_requests=0, timeout_s=1.0,
        ),
        environment=Environment(
            target="t", runtime="r", release="1", model="m", configuration_sha256="0",
            client_version="1", python="3", system="s", processor="p", cores=1,
        ),
        client=describe_workers(client, told),
        records=(record(0, 5 * MS), record(MS, lasted_ms * MS)),
    )  # fmt: skip


def test_the_worst_bound_is_part_of_the_measured_error():
    near, wide = (ClockSpan(Offset(9, b), Offset(9, b)) for b in (MS // 10, MS // 4))
    client = measured(near, wide).client
    errors = {error.figure: error.error_ms for error in client.measurement_error}
    assert errors == {CLOCK_OFFSET: 0.25}
    assert describe_workers(client, [WorkerTold(""), WorkerTold("")]).measurement_error == ()
    offset = client.workers[0].clock_offsets[0]
    assert (offset.before_ms, offset.before_bound_ms) == (9e-6, 0.1)
    assert (offset.after_ms, offset.after_bound_ms, offset.bound_ms) == (9e-6, 0.1, 0.1)


def test_clocks_too_far_apart_for_a_short_leg_make_it_invalid():
    span = ClockSpan(Offset(0, 2 * MS), Offset(0, 2 * MS))
    assert not list(far_clock_reasons(measured(span, lasted_ms=400)))
    (reason,) = far_clock_reasons(measured(span, lasted_ms=399))
    assert "concurrency 4" in reason
    assert "within 2.000 ms" in reason


def test_a_clock_that_steps_makes_the_run_invalid_and_is_told_once_for_a_machine():
    stepped = ClockSpan(Offset(0, 10, 0), Offset(9 * MS, 10, 10**9))
    (reason,) = far_clock_reasons(measured(stepped, stepped, lasted_ms=10_000))
    assert "the clock of 10.0.0.2 moved by +9.000 ms" in reason


def test_a_worker_that_begins_late_makes_a_short_leg_invalid():
    whole = measured(ClockSpan(Offset(), Offset()), lasted_ms=1000)
    assert not list(late_start_reasons(whole))

    def late_by(late_ms: float) -> Measurement:
        worker = msgspec.structs.replace(whole.client.workers[0], start_late_ms=late_ms)
        client = msgspec.structs.replace(whole.client, workers=(worker,))
        return msgspec.structs.replace(whole, client=client)

    assert not list(late_start_reasons(late_by(10.0)))
    (reason,) = late_start_reasons(late_by(10.1))
    assert "worker 0 began 10.1 ms after the others" in reason
    assert any("began" in reason for reason in find_invalid_reasons(late_by(10.1)))


def test_a_run_of_one_machine_has_no_such_reason():
    assert not list(far_clock_reasons(measured()))


NODES = [
    {"NodeID": "b", "Alive": True, "NodeManagerAddress": "10.0.0.3", "NodeManagerHostname": "y"},
    {"NodeID": "a", "Alive": True, "NodeManagerAddress": "10.0.0.2", "NodeManagerHostname": "x"},
    {"NodeID": "c", "Alive": False, "NodeManagerAddress": "10.0.0.4", "NodeManagerHostname": "z"},
]


@pytest.mark.parametrize(
    ("hosts", "expected"), [((), "ab"), (("y",), "b"), (("10.0.0.3", "x"), "ba")]
)
def test_machines_are_named_by_address_or_host_name(hosts: tuple[str, ...], expected: str):
    assert "".join(node["NodeID"] for node in choose_nodes(NODES, hosts)) == expected


def test_a_machine_that_is_not_up_is_not_there():
    with pytest.raises(InvalidInput, match=r"no machines of the cluster are called 10\.0\.0\.4"):
        choose_nodes(NODES, ["10.0.0.4"])


def test_machines_of_one_host_name_are_told_apart_by_address():
    twins = [{**node, "NodeManagerHostname": "same"} for node in NODES]
    with pytest.raises(InvalidInput, match="2 machines") as caught:
        choose_nodes(twins, ["same"])
    assert "10.0.0.2" in caught.value.evidence


def test_a_server_on_loopback_is_no_server_of_other_machines():
    address = resolve_address("http://127.0.0.1:8000")
    refuse_loopback(address, ["127.0.0.2", "127.0.0.3"])
    refuse_loopback(resolve_address("http://10.0.0.9:8000"), ["10.0.0.2"])
    with pytest.raises(InvalidInput, match="loopback") as caught:
        refuse_loopback(address, ["127.0.0.2", "10.0.0.2"])
    assert "10.0.0.2 of the cluster" in caught.value.evidence


def test_auto_is_the_address_that_ray_itself_would_take(tmp_path: Path):
    here = {"RAY_TMPDIR": str(tmp_path)}
    assert address_of("10.0.0.1:6379", {"RAY_ADDRESS": "other:1"}) == "10.0.0.1:6379"
    assert address_of("auto", here) == "auto"
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("10.0.0.2:6379\n")
    assert address_of("auto", here) == "10.0.0.2:6379"
    assert address_of("auto", {"RAY_ADDRESS": "other:1", **here}) == "other:1"


@pytest.mark.parametrize("address", ["local", "ray://10.0.0.2:10001", "10.0.0.2", "http://a:1"])
def test_what_is_no_address_of_a_cluster_is_refused(address: str):
    with pytest.raises(InvalidInput, match="auto or HOST:PORT"):
        check_senders(Senders(ray=address), measured().workload, "auto")


class Elsewhere:
    """A double of a machine that is only told apart from others."""

    name = "10.0.0.2"
    pids = (1, 2)
    clock = None


def test_steps_of_the_wall_clock_are_those_of_each_machine_as_its_best_worker_saw_them():
    def saw(*steps: tuple[int, int]) -> Done:
        return Done([], HealthLog(), 0, 0, [*steps], 0)

    there = Elsewhere()
    members = [Member(n, home, there, n) for n, home in enumerate((0, 1, 0))]  # type: ignore[arg-type]
    found = Crew._steps(members, [saw((1, 2)), saw((7, 8)), saw((1, 2), (3, 4))])
    assert sorted(found) == [(1, 2), (3, 4), (7, 8)]
