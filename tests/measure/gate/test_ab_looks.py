"""When an A/B gate looks, and what it says meanwhile to whoever waits."""

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import pytest

from trt_nemotron.measure.bench.values import Measurement, RequestRecord
from trt_nemotron.measure.gate.ab import AbRun, order_of_round, run_ab, run_ab_by_requests
from trt_nemotron.measure.gate.ab_pair import Arm
from trt_nemotron.measure.gate.design import make_design

START = dt.datetime(2026, 11, 23, 12, tzinfo=dt.timezone.utc)
DESIGN = make_design(2, most_pairs=30)
SECONDS_A_RUN = 3.0
MakeRun = Callable[[Arm, int], Measurement]
MakeRound = Callable[[int, tuple[Arm, ...]], tuple[Measurement, Measurement]]


@dataclass
class Told:
    """Keeps what a gate says."""

    phases: list[str] = field(default_factory=list)
    steps: list[tuple[int, int, str]] = field(default_factory=list)

    def phase(self, text: str) -> None:
        self.phases.append(text)

    def step(self, done: int, total: int, unit: str) -> None:
        self.steps.append((done, total, unit))

    def note(self, text: str) -> None:
        raise AssertionError(text)


@pytest.fixture
def budget(make_budget):
    return make_budget(relative={"tpot_p50_ms": 3.0, "ttft_p50_ms": 3.0}, minimum_samples=8)


@pytest.fixture
def runs_of(make_measurement) -> Callable[..., MakeRun]:
    """Runs of one server as both arms; `noise` is that of TTFT alone."""

    def make(noise: float = 0.0, broken: tuple[int, ...] = ()) -> MakeRun:
        rng = random.Random(1)

        def measure(arm: Arm, number: int) -> Measurement:
            run = make_measurement(
                ttft_ms=8.0 * (1 + rng.uniform(-noise, noise)), spread=0.01, requests=8,
                concurrencies=(1,), seed=number,
                started_at=(START + dt.timedelta(seconds=number)).isoformat(),
            )  # fmt: skip
            busy = msgspec.structs.replace(run.client, cpu_share=0.99)
            return msgspec.structs.replace(run, client=busy) if number in broken else run

        return measure

    return make


def told_by(budget, measure: MakeRun) -> tuple[Told, AbRun]:
    """Of a gate whose clock goes on by three seconds with each run."""
    told, now = Told(), [100.0]

    def timed(arm: Arm, number: int) -> Measurement:
        now[0] += SECONDS_A_RUN
        return measure(arm, number)

    run = run_ab(budget, DESIGN, timed, seed=3, progress=told, clock=lambda: now[0])
    return told, run


def test_each_step_says_how_many_pairs_and_when_the_next_look_is(budget, runs_of):
    told, _ = told_by(budget, runs_of(noise=0.4))
    looks = (10, 14, 20, 30)
    assert DESIGN.looks == looks
    assert told.phases[0] == "measuring A and B in turn, first look at 10 pairs"
    for done, (counted, total, unit) in enumerate(told.steps, 1):
        assert (counted, total) == (done, 30)
        ahead = [look for look in looks if look > done]
        wait_s = (ahead[0] - done) * 2 * SECONDS_A_RUN if ahead else 0
        text = f"pairs (look at {ahead[0]} in about {wait_s:.0f} s)" if ahead else "pairs"
        assert unit == text
    assert len(told.steps) == 30


def test_a_look_that_decides_nothing_says_what_is_open(budget, runs_of):
    told, run = told_by(budget, runs_of(noise=0.4))
    assert run.verdict.results[0].decision == "pass"
    assert told.phases[1:] == [
        f"undecided after {look} pairs: ttft_p50_ms at concurrency 1" for look in (10, 14, 20)
    ]


def test_a_number_of_pairs_is_looked_at_once(budget, runs_of):
    """The pair after the first look is dropped: as many good ones as before."""
    told, run = told_by(budget, runs_of(noise=0.4, broken=(20,)))
    assert len(run.dropped) == 1
    assert [text.split()[2] for text in told.phases[1:]] == ["10", "14", "20"]


@pytest.fixture
def rounds_of(make_measurement):
    """B ten percent slower, request by request; each round takes so many seconds."""

    def make(*spans_s: float) -> MakeRound:
        def record(arm: Arm, index: int, at_ns: int, ends_ns: int | None) -> RequestRecord:
            one = make_measurement(
                requests=1, concurrencies=(1,), seed=index, spread=0.01,
                tpot_ms=0.55 if arm == "b" else 0.5,
            )  # fmt: skip
            (made,) = one.records
            chunks = tuple(
                msgspec.structs.replace(c, received_ns=c.received_ns + at_ns) for c in made.chunks
            )
            return msgspec.structs.replace(
                made, index=index, sent_ns=at_ns, chunks=chunks,
                finished_ns=ends_ns or made.finished_ns + at_ns,
            )  # fmt: skip

        def measure(number: int, order: tuple[Arm, ...]) -> tuple[Measurement, Measurement]:
            span_ns = round(spans_s[number] * 1e9)
            records: dict[Arm, list[RequestRecord]] = {"a": [], "b": []}
            for place, arm in enumerate(order):
                ends_ns = 10**9 + span_ns if place == len(order) - 1 else None
                at_ns = 10**9 + place * 10**7
                records[arm].append(record(arm, 1000 * number + place, at_ns, ends_ns))
            whole = make_measurement(
                requests=len(order) // 2, concurrencies=(1,),
                started_at=(START + dt.timedelta(seconds=number)).isoformat(),
            )  # fmt: skip
            a, b = (
                msgspec.structs.replace(whole, records=tuple(records[arm])) for arm in ("a", "b")
            )
            return a, b

        return measure

    return make


@pytest.mark.parametrize(
    ("spans_s", "pairs"),
    [((10.0,), 12), ((9.999, 1.0), 24), ((9.5, 0.5), 24), ((4.0, 4.0, 1.9, 1.0), 36 + 48)],
)
def test_no_look_comes_before_ten_seconds_of_measuring(
    make_budget, rounds_of, spans_s: tuple[float, ...], pairs: int
):
    budget = make_budget(relative={"tpot_p50_ms": 3.0}, minimum_samples=8)
    wide = make_design(1, most_pairs=240)
    run = run_ab_by_requests(budget, wide, rounds_of(*spans_s), seed=3)
    assert run.verdict.decision == "fail"
    assert run.verdict.paired.pairs == pairs
    assert all(pair.first == pair.order[0] for pair in run.pairs)


@pytest.mark.parametrize(("least", "pairs"), [(12, 12), (13, 24)])
def test_no_look_comes_before_the_least_number_of_samples(
    make_budget, rounds_of, least: int, pairs: int
):
    budget = make_budget(relative={"tpot_p50_ms": 3.0}, minimum_samples=least)
    wide = make_design(1, most_pairs=240)
    run = run_ab_by_requests(budget, wide, rounds_of(20.0, 20.0), seed=3)
    assert run.verdict.decision == "fail"
    assert run.verdict.paired.pairs == pairs


def test_the_first_three_rounds_are_short():
    coins = iter([("a", "b")] * 200)
    sizes = [len(order_of_round(number, coins)) // 2 for number in range(5)]
    assert sizes == [12, 12, 12, 48, 48]
