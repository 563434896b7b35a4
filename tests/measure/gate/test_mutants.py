"""The tests of the gate are tested: a gate broken on purpose must not pass them."""

import pytest

from tests.measure.gate.conftest import try_mutants

FIRST = 0
EVERY = 40
"""A small sample; test_mutants_further.py tries another, so that two workers share the work."""


@pytest.mark.slow
def test_a_sample_of_the_mutants_does_not_contradict_that_95_percent_are_killed():
    tried, survived, chance = try_mutants(EVERY, FIRST)
    assert tried >= 20
    assert chance > 0.01, survived
