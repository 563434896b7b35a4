import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.gate.design import MOST_PAIRS, MOST_REQUEST_PAIRS, make_design
from trt_nemotron.measure.gate.signed_rank import shift_of


def test_the_stated_rate_is_shared_out_over_bounds_and_looks():
    design = make_design(2)
    assert design.looks == (10, 22, 52, 120)
    assert design.fail_miss == pytest.approx(0.01 / (2 * 4))
    assert design.pass_miss == pytest.approx(0.01 / 4)
    assert (design.alarm_rate, design.most_pairs) == (0.01, 120)


@given(st.integers(1, 40), st.floats(0.001, 0.2), st.integers(20, 400))
def test_all_looks_and_bounds_together_keep_the_rate(bounds: int, rate: float, cap: int):
    design = make_design(bounds, alarm_rate=rate, most_pairs=cap)
    assert len(design.looks) * bounds * design.fail_miss <= rate * (1 + 1e-9)
    assert list(design.looks) == sorted(set(design.looks))
    assert design.looks[-1] == design.most_pairs == cap
    assert design.looks[0] >= 5


@given(st.integers(1, 40), st.floats(0.001, 0.2))
def test_the_first_look_can_already_fail_and_an_earlier_one_could_not(bounds: int, rate: float):
    design = make_design(bounds, alarm_rate=rate)
    first = design.looks[0]
    clear = shift_of([0.1] * first, low_miss=design.fail_miss, high_miss=design.pass_miss)
    assert clear.low == 0.1
    if first > 5:
        fewer = shift_of([0.1] * (first - 1), low_miss=design.fail_miss, high_miss=0.1)
        assert fewer.low < 0


def test_five_pairs_are_the_fewest_however_lax_the_rate():
    assert make_design(1, alarm_rate=0.4).looks[0] == 5
    assert make_design(1, alarm_rate=0.4, most_pairs=5).looks == (5,)


@pytest.mark.parametrize(("bounds", "rate"), [(0, 0.01), (1, 0.0), (1, 0.5), (1, float("nan"))])
def test_a_design_without_sense_is_refused(bounds: int, rate: float):
    with pytest.raises(InvalidInput, match="no design"):
        make_design(bounds, alarm_rate=rate)


def test_a_cap_under_which_nothing_can_fail_is_refused():
    with pytest.raises(InvalidInput, match="9 pairs cannot show") as caught:
        make_design(2, most_pairs=9)
    assert "at least 10 pairs" in caught.value.next_step
    assert "1 in 512" in caught.value.evidence
    assert make_design(2, most_pairs=10).looks == (10,)


def test_the_caps_are_those_that_the_guide_states():
    assert (MOST_PAIRS, MOST_REQUEST_PAIRS) == (120, 480)
