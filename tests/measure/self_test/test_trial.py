"""The self-test itself: what it calls right, wrong and undecided, and a few cases over the wire."""

import subprocess
import sys
from dataclasses import replace

import pytest

from trt_nemotron.measure.self_test.cases import SINGLE, Timing
from trt_nemotron.measure.self_test.trial import (
    SelfTest,
    Trial,
    fault_server,
    outcome_of,
    run_trials,
)


@pytest.mark.parametrize(
    ("expected", "reason", "got", "said", "outcome"),
    [
        ("fail", "", "fail", "", "right"),
        ("pass", "", "pass", "", "right"),
        ("invalid", "cache", "invalid", "from the cache", "right"),
        ("invalid", "cache", "invalid", "too busy", "undecided"),
        ("fail", "", "invalid", "too busy", "undecided"),
        ("fail", "", "inconclusive", "", "undecided"),
        ("invalid", "cache", "inconclusive", "", "undecided"),
        ("fail", "", "pass", "", "wrong"),
        ("pass", "", "fail", "", "wrong"),
        ("invalid", "cache", "pass", "", "wrong"),
        ("invalid", "cache", "fail", "", "wrong"),
    ],
)
def test_only_a_wrong_claim_is_wrong(expected, reason, got, said, outcome: str):
    assert outcome_of(expected, reason, got, said) == outcome


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        (["right", "right"], 0),
        (["right", "undecided"], 6),
        (["undecided", "wrong"], 1),
        ([], 6),
    ],
)
def test_the_exit_code_is_that_of_the_worst(outcomes, code: int):
    trials = tuple(
        Trial(injected="x", expected="pass", got="pass", outcome=outcome, reason="")
        for outcome in outcomes
    )
    assert SelfTest(trials=trials, duration_s=1.0).exit_code == code


CHEAP = [case for case in SINGLE if case.requests <= 20]


@pytest.mark.slow
@pytest.mark.parametrize("case", CHEAP, ids=lambda case: case.name)
def test_a_fault_that_is_injected_is_found(case):
    (trial,) = run_trials(single=[case], paired=[]).trials
    assert trial.outcome in {"right", "undecided"}, trial.reason
    if trial.expected == "invalid":
        assert trial.outcome == "right", trial.reason


@pytest.mark.slow
def test_a_server_without_the_fault_is_told_from_one_with_it():
    """The self-test finds a gate that is blind: here the fault is left out, not the rule."""
    blind = [replace(case, timing=Timing()) for case in CHEAP if case.expected == "invalid"]
    found = run_trials(single=blind[:2], paired=[])
    assert {trial.outcome for trial in found.trials} == {"wrong"}
    assert found.exit_code == 1


def test_time_that_ran_out_is_undecided():
    found = run_trials(single=[], longest_s=-1.0)
    assert {trial.got for trial in found.trials} == {"inconclusive"}
    assert found.exit_code == 6


def test_the_server_ends_with_whoever_started_it():
    with fault_server(Timing()) as url:
        port = int(url.rpartition(":")[2])
        assert _answers(port)
    assert not _answers(port)


def _answers(port: int) -> bool:
    script = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2).close()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    return done.returncode == 0
