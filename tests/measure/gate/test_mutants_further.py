"""The tests of the gate are tested: a further sample, for another worker."""

import pytest

from tests.measure.gate.conftest import try_mutants

FIRST = 20
EVERY = 40
"""A small sample; test_mutants.py tries another, so that two workers share the work."""


@pytest.mark.slow
def test_a_sample_of_the_mutants_does_not_contradict_that_95_percent_are_killed():
    tried, survived, chance = try_mutants(EVERY, FIRST)
    assert tried >= 20
    assert chance > 0.01, survived
