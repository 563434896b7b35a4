"""Prompts of another length are another amount of work, and the verdict says so."""

import datetime as dt
from collections.abc import Callable

import msgspec
import pytest

from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.ab_judge import judge_pairs
from trt_nemotron.measure.gate.ab_pair import Pair, prompt_tokens
from trt_nemotron.measure.gate.design import make_design

START = dt.datetime(2026, 11, 23, 12, tzinfo=dt.timezone.utc)
DESIGN = make_design(1, most_pairs=12)
MakePairs = Callable[[int, int], list[Pair]]


@pytest.fixture
def pairs_of(make_measurement: Callable[..., Measurement]) -> MakePairs:
    """Ten pairs of runs, with prompts of so many tokens for A and for B."""

    def run(number: int, tokens: int) -> Measurement:
        made = make_measurement(
            requests=8, concurrencies=(1,), seed=number, spread=0.01,
            started_at=(START + dt.timedelta(seconds=number)).isoformat(),
        )  # fmt: skip
        records = tuple(msgspec.structs.replace(r, prompt_tokens=tokens) for r in made.records)
        return msgspec.structs.replace(made, records=records)

    def make(a: int, b: int) -> list[Pair]:
        return [
            Pair(first="a", a=run(2 * number, a), b=run(2 * number + 1, b)) for number in range(10)
        ]

    return make


def remarks_on(pairs: list[Pair], make_budget: Callable[..., object]) -> list[str]:
    budget = make_budget(relative={"tpot_p50_ms": 3.0}, minimum_samples=8)
    return [r for r in judge_pairs(budget, pairs, DESIGN, seed=1).remarks if "prompts had" in r]


@pytest.mark.parametrize(("a", "b"), [(124, 132), (132, 124), (1000, 1011)])
def test_prompts_of_another_length_are_told(pairs_of: MakePairs, make_budget, a: int, b: int):
    (remark,) = remarks_on(pairs_of(a, b), make_budget)
    assert f"{a}.0 tokens for A and {b}.0 for B" in remark


@pytest.mark.parametrize(("a", "b"), [(124, 124), (1000, 1010), (1000, 990), (-1, 132), (124, -1)])
def test_prompts_that_are_alike_or_not_counted_are_not(
    pairs_of: MakePairs, make_budget, a: int, b: int
):
    assert not remarks_on(pairs_of(a, b), make_budget)


def test_the_length_is_the_mean_of_what_was_counted(pairs_of: MakePairs):
    both = [*pairs_of(100, 7), *pairs_of(200, 9), *pairs_of(-1, -1)]
    assert prompt_tokens(both, "a") == 150.0
    assert prompt_tokens(both, "b") == 8.0
    assert prompt_tokens(pairs_of(-1, 3), "a") is None
