"""What several workers found becomes one: nothing lost, of every bound the worst."""

from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.measure.bench.calibration import Floor
from trt_nemotron.measure.bench.client_health import ClockSource, FigureError
from trt_nemotron.measure.bench.health import HealthLog
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import RequestRecord
from trt_nemotron.measure.bench.wire.processors import Processors
from trt_nemotron.measure.bench.wire.run_queue import RunQueue
from trt_nemotron.measure.bench.workers.merging import (
    least_exact,
    merge,
    merge_health,
    worst_floor,
)
from trt_nemotron.measure.bench.workers.messages import Answer, Done, Inbox, pack

LEG = Leg(concurrency=4)
CLOCKS = get_args(ClockSource)


def record(index: int, sent_ns: int, intended_ns: int = -1) -> RequestRecord:
    return RequestRecord(
        index=index, concurrency=4, is_warmup=False, outcome="ok", connect_ns=0, chunks=(),
        sent_ns=sent_ns, finished_ns=sent_ns + 1, intended_ns=intended_ns,
    )  # fmt: skip


def done(*records: RequestRecord, used: int = 0, held: int = 0) -> Done:
    return Done(list(records), HealthLog(wall_ns=1), used, held, [], 0)


def test_requests_are_numbered_as_they_were_sent_and_name_their_worker():
    parts = [done(record(0, 10), record(2, 40)), done(record(1, 30), record(3, 20))]
    found = merge(parts, 100, is_closed=True).records
    assert [(r.index, r.worker, r.sent_ns) for r in found] == [
        (100, 0, 10), (101, 1, 20), (102, 1, 30), (103, 0, 40),
    ]  # fmt: skip


def test_requests_of_a_schedule_are_numbered_as_they_were_meant():
    late, early = record(0, 90, intended_ns=10), record(1, 20, intended_ns=20)
    found = merge([done(late), done(early)], 0, is_closed=False).records
    assert [(r.index, r.worker) for r in found] == [(0, 0), (1, 1)]


def test_what_was_held_is_summed_and_the_highest_number_used_counts():
    whole = merge([done(record(0, 1), used=1, held=2), done(used=9, held=3)], 0, is_closed=True)
    assert (whole.held, whole.used) == (5, 9)
    assert merge([done(record(0, 1), record(1, 2)), done()], 0, is_closed=True).used == 2


def log(scale: int) -> HealthLog:
    """Of a worker that is the worse the larger `scale` is."""
    return HealthLog(
        lags_ns={LEG: [scale * 1000]},
        run_queues={LEG: RunQueue(waited_ns=scale * 1000, turns=10)},
        processors={LEG: Processors(idle=900 - scale, ticks=1000)},
        process_cpu_ns=scale,
        wall_ns=1000,
        reads=7,
        void=1,
        lost_packets=2,
        repeated_segments=3,
    )


@pytest.mark.parametrize("scales", [(1, 50), (50, 1)])
def test_a_run_is_judged_by_the_worst_of_its_workers(scales: tuple[int, int]):
    whole = merge_health([log(scale) for scale in scales])
    assert whole.process_cpu_ns / whole.wall_ns == 0.05
    assert whole.lags_ns == {LEG: [50_000]}
    assert whole.run_queues[LEG].waited_ns == 50_000
    assert whole.processors[LEG].idle == 850
    assert (whole.reads, whole.void, whole.lost_packets, whole.repeated_segments) == (14, 2, 4, 6)
    assert [each.process_cpu_ns for each in whole.workers.values()] == list(scales)


def test_idle_processors_that_one_worker_does_not_know_of_are_told_by_the_other():
    unknown = HealthLog(processors={LEG: Processors()}, wall_ns=1)
    assert merge_health([unknown, log(50)]).processors[LEG].idle == 850


def floor(delay_ms: float, **errors: float) -> Floor:
    found = [FigureError(figure=name, error_ms=error) for name, error in errors.items()]
    return Floor("kernel_receive", delay_ms, 2 * delay_ms, 3 * delay_ms, 4 * delay_ms, tuple(found))


@given(st.lists(st.floats(0.001, 100), min_size=1, max_size=5))
def test_a_floor_is_no_better_than_any_workers(delays: list[float]):
    whole = worst_floor([floor(delay) for delay in delays])
    worst = max(delays)
    assert whole.ttft_p50_ms == worst
    assert whole.ttft_p99_ms == 2 * worst
    assert whole.delay_p50_ms == 3 * worst
    assert whole.delay_p99_ms == 4 * worst


def test_the_largest_error_counts_whatever_its_sign():
    whole = worst_floor([floor(1, a=0.1, b=-0.2), floor(1, a=-0.3, b=0.1), floor(1, a=0.2, b=0.0)])
    assert {error.figure: error.error_ms for error in whole.errors} == {"a": -0.3, "b": -0.2}


def test_the_clock_of_all_is_the_least_exact_one():
    assert least_exact(["kernel_receive", "packet_ring"]) == "kernel_receive"
    assert least_exact([*CLOCKS]) == CLOCKS[-1]


@given(cuts=st.lists(st.integers(1, 40), max_size=30))
def test_messages_come_whole_however_a_pipe_cuts_them(cuts: list[int]):
    sent = [done(record(n, n), used=n) for n in range(3)]
    data = b"".join(map(pack, sent))
    inbox, found = Inbox(Answer), []
    for size in [*cuts, len(data)]:
        inbox.feed(data[:size])
        data = data[size:]
        while (message := inbox.next()) is not None:
            found.append(message)
    assert msgspec.msgpack.encode(found) == msgspec.msgpack.encode(sent)
