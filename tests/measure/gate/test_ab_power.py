"""What an A/B gate will find, said before it is run."""

import pytest

from trt_nemotron.measure.gate.ab_power import SPREADS_PERCENT, power_at
from trt_nemotron.measure.gate.design import make_design
from trt_nemotron.measure.gate.metrics import METRICS


def test_power_falls_with_the_noise_and_turns_with_the_direction():
    design = make_design(2)
    powers = [power_at(METRICS["tpot_p50_ms"], design, 3.0, 5.0, s).caught for s in (1, 10, 40)]
    assert powers[0] == 1.0 > powers[1] > powers[2]
    assert power_at(METRICS["tokens_per_s"], design, 3.0, 5.0, 1.0).caught == 1.0
    assert powers[1] == 0.785, "the same table each time"
    nothing = power_at(METRICS["tpot_p50_ms"], design, 3.0, 0.0, 1.0)
    assert (nothing.caught, nothing.pairs) == (0.0, 0)


@pytest.mark.parametrize(("spread", "pairs"), [(0.5, 10), (4.0, 22), (5.0, 52), (9.0, 120)])
def test_pairs_are_those_that_half_of_the_failing_gates_took(spread: float, pairs: int):
    design = make_design(2)
    assert design.looks == (10, 22, 52, 120)
    power = power_at(METRICS["tpot_p50_ms"], design, 3.0, 5.0, spread)
    assert power.pairs == pairs, "the same table each time"


def test_the_table_goes_from_a_quiet_board_to_a_loaded_one():
    assert SPREADS_PERCENT == (0.5, 2.0, 5.0, 10.0)
