"""One worker by itself: it shows that it lives, and when it began."""

import os
import time
from collections.abc import Iterator

import pytest

from tests.measure.bench.conftest import Truth
from trt_nemotron.measure.bench.attempt import Conditions, attempt_leg
from trt_nemotron.measure.bench.clock import SystemClock, WallClockTrack
from trt_nemotron.measure.bench.clock_choice import ClockChoice
from trt_nemotron.measure.bench.interlocutor import Interlocutor
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.leg_source import LegPlan
from trt_nemotron.measure.bench.legs import LegOrder
from trt_nemotron.measure.bench.rehearsal import rehearse
from trt_nemotron.measure.bench.values import Workload
from trt_nemotron.measure.bench.wire.address import resolve_address
from trt_nemotron.measure.bench.workers.messages import Alive, Answer, Begin, Inbox, Ready, pack
from trt_nemotron.measure.bench.workers.worker import Worker, choose_cores
from trt_nemotron.openai.dialect import OPENAI

WORKLOAD = Workload(
    concurrencies=(4,),
    requests_per_concurrency=8,
    warmup_requests=4,
    input_tokens=40,
    output_tokens=5,
    seed=7,
    timeout_s=10.0,
)


class Run:
    """The other end of a worker's pipes."""

    def __init__(self) -> None:
        source, self._orders = os.pipe()
        self._answers, sink = os.pipe()
        os.set_blocking(self._answers, False)
        self._ends = (source, self._orders, self._answers, sink)
        self.worker = Worker(source, sink)

    def say(self, begin: Begin) -> None:
        os.write(self._orders, pack(begin))

    def heard(self) -> list[object]:
        inbox = Inbox(Answer)
        try:
            inbox.feed(os.read(self._answers, 1 << 16))
        except BlockingIOError:
            return []
        return list(iter(inbox.next, None))

    def close(self) -> None:
        for end in self._ends:
            os.close(end)


@pytest.fixture
def run() -> Iterator[Run]:
    run = Run()
    yield run
    run.close()


def test_a_word_to_begin_that_comes_late_is_told(run: Run):
    run.say(Begin(time.monotonic_ns() - 5_000_000))
    run.worker._meet()
    assert run.heard() == [Ready()]
    assert run.worker._late_ns >= 5_000_000


def test_a_word_to_begin_that_comes_in_time_is_waited_for(run: Run):
    at_ns = time.monotonic_ns() + 30_000_000
    run.say(Begin(at_ns))
    assert run.worker._meet() == at_ns
    assert time.monotonic_ns() > at_ns - 2_000_000
    assert run.worker._late_ns == 0


def test_a_worker_that_has_said_nothing_for_a_while_shows_that_it_lives(run: Run):
    run.worker._said_ns = time.monotonic_ns() - 10**9
    run.worker._beat()
    run.worker._beat()
    assert run.heard() == [Alive()]


def test_each_request_that_is_read_is_a_sign_of_life(truth: Truth):
    clock = SystemClock()
    interlocutor = Interlocutor(resolve_address(truth.url), "truth", OPENAI, WORKLOAD, "run")
    rehearsal = rehearse(interlocutor, clock)
    order = LegOrder(Leg(concurrency=4), 8)
    first = rehearsal.first
    plan = LegPlan(order, interlocutor, rehearsal, first, first.requests)
    begun_ns = clock.monotonic_ns()
    conditions = Conditions(
        ClockChoice("user_read"), clock, WallClockTrack(clock), begun_ns, begun_ns + 60 * 10**9
    )
    beats: list[None] = []
    attempt = attempt_leg(plan, conditions, lambda _: None, beat=lambda: beats.append(None))
    assert len(beats) == len(attempt.records) == 12


def test_cores_are_chosen_only_where_one_is_left():
    assert choose_cores([0, 2, 5], 2) == [2, 5]
    assert choose_cores([0, 2], 2) == ()
    assert choose_cores([], 1) == ()
