"""The knee: found, told as not reached, or not spoken of."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.measure.bench.figures.scaling import LEAST_GAIN, find_knee, scaling_notes
from trt_nemotron.measure.bench.figures.summarise import summarise_leg
from trt_nemotron.measure.bench.figures.summary import LegSummary
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.legs import plan_legs
from trt_nemotron.measure.bench.workload import PROFILES


def levels(rates: dict[int, float | None]) -> list[LegSummary]:
    return [
        msgspec.structs.replace(
            summarise_leg(Leg(concurrency=concurrency), (), None), tokens_per_s=rate
        )
        for concurrency, rate in rates.items()
    ]


@pytest.mark.parametrize(
    ("rates", "knee"),
    [
        ({1: 100, 2: 190, 4: 350, 8: 360, 16: 355}, 4),
        ({1: 100, 2: 190, 4: 350, 8: 600}, None),
        ({1: 100, 2: 109, 4: 110}, 1),
        ({1: 100, 2: 105, 4: 111}, 2),
        ({1: 100, 8: 320, 32: 90}, 8),
        ({4: 350, 1: 100, 8: 351}, 4),
        ({1: 100, 2: 100}, None),
        ({1: 100, 2: None, 4: 100}, None),
    ],
)
def test_knee_is_the_least_concurrency_that_none_beats_by_a_tenth(
    rates: dict[int, float | None], knee: int | None
):
    assert find_knee(levels(rates)) == knee


def test_note_says_where_it_lies_or_that_it_was_not_reached():
    (found,) = scaling_notes(levels({1: 100, 2: 190, 4: 195}))
    assert "knee is at 2 streams: 190 tokens/s" in found
    (beyond,) = scaling_notes(levels({1: 100, 2: 190, 4: 350}))
    assert "still grew at 4 streams (350 tokens/s)" in beyond
    assert scaling_notes(levels({1: 100, 4: 350})) == ()
    assert scaling_notes(levels({1: 100, 4: None, 8: 350})) == ()


def test_knees_are_told_for_each_prompt_length_and_not_of_open_loops():
    short = levels({1: 100, 2: 190, 4: 195})
    long = [
        msgspec.structs.replace(level, input_tokens=2048) for level in levels({1: 50, 2: 50, 4: 50})
    ]
    opened = [msgspec.structs.replace(level, rate_rps=2.0) for level in levels({8: 50})]
    notes = scaling_notes([*short, *long, *opened])
    assert len(notes) == 2
    assert notes[0].startswith("the knee is at 2 streams")
    assert notes[1].startswith("2048 tokens in: the knee is at 1 streams")


@given(st.lists(st.floats(1, 1e6), min_size=3, max_size=9))
def test_the_knee_is_beaten_by_none_above_and_all_below_it_are_beaten(rates: list[float]):
    knee = find_knee(levels({1 << place: rate for place, rate in enumerate(rates)}))
    beaten = [max(rates[place + 1 :]) > rate * LEAST_GAIN for place, rate in enumerate(rates[:-1])]
    place = len(beaten) if knee is None else knee.bit_length() - 1
    assert all(beaten[:place])
    assert knee is None or not beaten[place]


def test_every_profile_but_the_soak_measures_several_legs_and_one_goes_far():
    legs = {name: len(plan_legs(workload)) for name, workload in PROFILES.items()}
    assert [name for name, count in legs.items() if count < 2] == ["soak"]
    sweep = PROFILES["sweep"]
    assert max(sweep.concurrencies) >= 256
    assert sweep.requests_per_concurrency >= 2 * max(sweep.concurrencies)
