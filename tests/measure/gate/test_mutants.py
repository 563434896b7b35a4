"""The tests of the gate are tested: a gate broken on purpose must not pass them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

MUTATION = Path(__file__).with_name("mutation.py")
EVERY = 12
"""Every twelfth mutant, about half a minute; `python mutation.py` tries all of them."""


@pytest.mark.slow
def test_at_least_95_percent_of_the_mutants_are_killed():
    ran = subprocess.run(
        [sys.executable, str(MUTATION), "--every", str(EVERY)],
        capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert report["tried"] >= 20
    killed = 1 - len(report["survived"]) / report["tried"]
    assert killed >= 0.95, report["survived"]
