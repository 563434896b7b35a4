"""Ramps on simulated servers of known capacity: what is found lies near what is true."""

import heapq
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.figures.summarise import summarise_leg
from trt_nemotron.measure.bench.figures.summary import Slo
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.search import (
    MOST_LOOKS,
    MOST_STEPS,
    Ramp,
    RampPoint,
    Step,
    judge_share,
    point_of,
)
from trt_nemotron.measure.bench.search_knee import KneeOrder, next_for_knee
from trt_nemotron.measure.bench.search_rate import RateOrder, next_for_rate
from trt_nemotron.measure.bench.values import ChunkRecord, RequestRecord

TOKENS = 10
SLO = Slo(e2e_ms=400.0)


class SimulatedServer:
    """A double: `slots` requests at a time, first come first served, times scattered by chance."""

    def __init__(
        self, slots: int, service_ms: float = 100.0, scatter: float = 0.3, seed: int = 1
    ) -> None:
        self._slots = slots
        self._service_ms = service_ms
        self._scatter = scatter
        self._rng = random.Random(seed)

    def _service(self) -> float:
        return self._service_ms * self._rng.uniform(1 - self._scatter, 1 + self._scatter)

    def closed(self, streams: int, requests: int) -> list[tuple[float, float, float]]:
        """Intended, sent and finished (ms) of each request of a closed loop."""
        free, ready, made = [0.0] * self._slots, [0.0] * streams, []
        for _ in range(requests):
            sent = heapq.heappop(ready)
            end = max(sent, heapq.heappop(free)) + self._service()
            heapq.heappush(free, end)
            heapq.heappush(ready, end)
            made.append((-1e-6, sent, end))
        return made

    def opened(self, rate: float, requests: int) -> list[tuple[float, float, float]]:
        """The same of an open loop with Poisson arrivals."""
        free, at, made = [0.0] * self._slots, 0.0, []
        for _ in range(requests):
            at += self._rng.expovariate(rate) * 1e3
            end = max(at, heapq.heappop(free)) + self._service()
            heapq.heappush(free, end)
            made.append((at, at, end))
        return made

    def measure(self, step: Step) -> RampPoint:
        leg = step.leg
        times = (
            self.opened(leg.rate_rps, step.requests)
            if leg.rate_rps
            else self.closed(leg.concurrency, step.requests)
        )
        records = [to_record(index, leg, *moments) for index, moments in enumerate(times)]
        return point_of(summarise_leg(leg, records, SLO))


def to_record(index: int, leg: Leg, intended: float, sent: float, end: float) -> RequestRecord:
    stamps = [round((sent + (end - sent) * (i + 1) / TOKENS) * 1e6) for i in range(TOKENS)]
    return RequestRecord(
        index=index,
        concurrency=leg.concurrency,
        rate_rps=leg.rate_rps,
        is_warmup=False,
        outcome="ok",
        connect_ns=0,
        sent_ns=round(sent * 1e6),
        intended_ns=round(intended * 1e6),
        finished_ns=stamps[-1],
        chunks=tuple(
            ChunkRecord(received_ns=stamp, kind="content", characters=1) for stamp in stamps
        ),
        completion_tokens=TOKENS,
    )


def run(
    measure: Callable[[Step], RampPoint], choose: Callable[[list[RampPoint]], Step | Ramp]
) -> Ramp:
    points: list[RampPoint] = []
    for _ in range(2 * MOST_STEPS):
        following = choose(points)
        if isinstance(following, Ramp):
            return following
        points.append(measure(following))
    raise AssertionError("a ramp must end")


def find_knee(server: SimulatedServer, **fields: float) -> Ramp:
    order = KneeOrder(**{"requests": 200, "requests_per_stream": 20, **fields})
    return run(server.measure, lambda points: next_for_knee(points, order))


def find_rate(server: SimulatedServer, **fields: float) -> Ramp:
    order = RateOrder(**{"first": 4.0, "concurrency": 10_000, "requests": 400, **fields})
    return run(server.measure, lambda points: next_for_rate(points, order))


@settings(deadline=None, max_examples=8)
@given(slots=st.integers(1, 100), seed=st.integers(0, 999))
def test_knee_lies_within_a_fifth_of_the_slots_that_serve(slots: int, seed: int):
    """The knee by its definition is slots / 1.1, where nobody brings a tenth more."""
    ramp = find_knee(SimulatedServer(slots, seed=seed))
    assert ramp.leg is not None
    true = slots / 1.1
    assert true / 1.2 - 1 <= ramp.leg.concurrency <= true * 1.2 + 1
    assert max(point.leg.concurrency for point in ramp.curve) <= 4 * slots
    assert "no more than 1.1 times" in ramp.reason


def test_knee_is_not_claimed_where_throughput_still_grew():
    ramp = find_knee(SimulatedServer(64), most=16)
    assert ramp.leg is None
    assert "16 streams are the most" in ramp.reason
    assert "still grew" in ramp.notes[0]


def test_knee_search_stops_where_the_limits_are_surely_missed():
    """More than five streams wait too long, though throughput grows on."""

    def measure(step: Step) -> RampPoint:
        late = step.leg.concurrency > 5
        return RampPoint(
            leg=step.leg,
            requests=step.requests,
            kept=step.requests // (4 if late else 1),
            tokens_per_s=100.0 * step.leg.concurrency,
        )

    ramp = run(measure, lambda points: next_for_knee(points, KneeOrder()))
    assert [point.leg.concurrency for point in ramp.curve] == [1, 2, 4, 8, 6, 5]
    assert "at 6 streams" in ramp.reason
    assert ramp.leg == Leg(concurrency=5)


def test_knee_needs_tokens_per_second():
    point = RampPoint(leg=Leg(concurrency=1), requests=10)
    with pytest.raises(InvalidInput, match="tokens/s"):
        next_for_knee([point], KneeOrder())


def true_rate(slots: int) -> float:
    """The highest rate of which 95 % keep the SLO, by bisection over long runs."""
    low, high = 0.1, slots * 10.0
    for step in range(12):
        middle = (low + high) / 2
        times = SimulatedServer(slots, seed=100 + step).opened(middle, 20_000)
        kept = sum(end - intended <= 400.0 for intended, _, end in times) / len(times)
        low, high = (middle, high) if kept >= 0.95 else (low, middle)
    return low


@pytest.mark.slow
@pytest.mark.parametrize("slots", [1, 4, 16, 64])
def test_rate_lies_within_a_seventh_of_the_true_one(slots: int):
    true = true_rate(slots)
    for seed in range(4):
        ramp = find_rate(SimulatedServer(slots, seed=seed))
        assert ramp.leg is not None
        assert true / 1.15 <= ramp.leg.rate_rps <= true * 1.15, (slots, seed)


def test_a_short_burst_beyond_capacity_is_not_taken_for_a_rate_that_holds():
    """400 requests at 861/s are over before the queue of 64 slots, good for 640/s, has grown."""
    server = SimulatedServer(64)
    order = RateOrder(first=861.0, concurrency=10_000, requests=400)
    first = next_for_rate([], order)
    assert isinstance(first, Step)
    point = server.measure(first)
    assert judge_share(point, 0.95) == "kept"
    again = next_for_rate([point], order)
    assert isinstance(again, Step)
    assert again.leg == first.leg
    assert again.requests >= 861 * 50 * 0.1
    assert judge_share(server.measure(again), 0.95) == "missed"


def test_the_result_has_been_measured_twice():
    ramp = find_rate(SimulatedServer(4))
    assert ramp.leg is not None
    last = [point for point in ramp.curve if point.leg == ramp.leg]
    assert len(last) >= 2
    assert last[-1].requests >= 2 * last[0].requests


def test_rate_is_bracketed_by_growing_then_halving():
    ramp = find_rate(SimulatedServer(4), first=5.0)
    rates = [point.leg.rate_rps for point in ramp.curve]
    assert rates[:4] == [5.0, 10.0, 20.0, 40.0]
    assert ramp.leg is not None
    standings = [judge_share(p, 0.95) for p in ramp.curve if p.leg.rate_rps == ramp.leg.rate_rps]
    assert standings[-1] == "kept"
    assert "is kept by 95%" in ramp.reason


def test_rate_that_is_too_high_at_first_is_halved_until_it_is_kept():
    ramp = find_rate(SimulatedServer(1), first=100.0)
    assert ramp.leg is not None
    assert ramp.leg.rate_rps < 10.0
    assert ramp.curve[1].leg.rate_rps == 50.0


def test_nothing_is_claimed_of_a_server_that_always_misses():
    ramp = find_rate(SimulatedServer(1, service_ms=500.0), least=0.5)
    assert ramp.leg is None
    assert ramp.reason == "not even 0.5 requests/s keeps the limits"


def test_an_undecided_rate_is_measured_longer_and_then_given_up():
    """Just at the goal: 95 % kept of any number of requests decides nothing."""

    def measure(step: Step) -> RampPoint:
        share = 0.95 if step.leg.rate_rps > 1.5 else 1.0
        return RampPoint(leg=step.leg, requests=step.requests, kept=round(step.requests * share))

    ramp = run(measure, lambda points: next_for_rate(points, RateOrder(first=1.0, concurrency=8)))
    twice = [point.requests for point in ramp.curve if point.leg.rate_rps == 2.0]
    assert twice == [100, 200, 400]
    assert len(twice) == MOST_LOOKS
    assert ramp.leg is not None
    assert ramp.leg.rate_rps < 1.5
    assert "not decided after 3 times" in ramp.notes[0]


def test_a_server_that_falls_behind_has_missed_however_many_were_good():
    point = RampPoint(leg=Leg(concurrency=1, rate_rps=1.0), requests=1000, kept=1000)
    assert judge_share(point, 0.95) == "kept"
    behind = RampPoint(leg=point.leg, requests=1000, kept=1000, is_behind=True)
    assert judge_share(behind, 0.95) == "missed"


def test_first_look_is_long_enough_to_decide_at_all():
    order = RateOrder(first=1.0, concurrency=1, share=0.99, requests=10)
    step = next_for_rate([], order)
    assert isinstance(step, Step)
    perfect = RampPoint(leg=step.leg, requests=step.requests, kept=step.requests)
    assert judge_share(perfect, 0.99) == "kept"


@settings(deadline=None, max_examples=60)
@given(
    answers=st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.floats(1, 1e4)), min_size=1),
    share=st.floats(0.5, 0.99),
)
def test_every_ramp_ends_whatever_a_server_answers(
    answers: list[tuple[float, bool, float]], share: float
):
    def measure(step: Step) -> RampPoint:
        kept, is_behind, rate = answers[step.requests % len(answers)]
        return RampPoint(
            leg=step.leg,
            requests=step.requests,
            kept=round(kept * step.requests),
            is_behind=is_behind,
            tokens_per_s=rate,
        )

    rate = run(
        measure,
        lambda points: next_for_rate(points, RateOrder(first=1.0, concurrency=4, share=share)),
    )
    knee = run(measure, lambda points: next_for_knee(points, KneeOrder(share=share)))
    for ramp in (rate, knee):
        assert ramp.reason
        assert len(ramp.curve) <= MOST_STEPS
        assert ramp.leg is None or ramp.leg in [point.leg for point in ramp.curve]


def test_orders_that_cannot_be_carried_out_are_refused():
    for wrong in (
        {"first": 0.0},
        {"first": 5.0, "most": 4.0},
        {"share": 1.0},
        {"tolerance": 1.0},
        {"most": float("inf")},
    ):
        with pytest.raises(InvalidInput):
            RateOrder(**{"first": 1.0, "concurrency": 1, **wrong})
    for wrong in ({"most": 0}, {"least_gain": 1.0}, {"share": 0.0}):
        with pytest.raises(InvalidInput):
            KneeOrder(**wrong)


def test_a_ramp_without_an_slo_is_refused_by_name():
    point = RampPoint(leg=Leg(concurrency=1, rate_rps=1.0), requests=100)
    with pytest.raises(InvalidInput, match="not judged by an SLO"):
        next_for_rate([point], RateOrder(first=1.0, concurrency=1))
