"""What a check's record says it ended with is what the command line ends with."""

import signal

import pytest

from trt_nemotron.cli import main
from trt_nemotron.errors import (
    CheckpointUnusable,
    EndpointUnfit,
    Interrupted,
    PlanRefused,
    ServerFailed,
)
from trt_nemotron.pipeline.check import _exit_code_of


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (CheckpointUnusable("x"), 7),
        (PlanRefused("x"), 8),
        (ServerFailed("x"), 9),
        (EndpointUnfit("x"), 11),
        (OSError(28, "No space left on device"), 3),
        (KeyboardInterrupt(), 130),
        (Interrupted(signal.SIGTERM), 143),
        (ZeroDivisionError(), 1),
    ],
)
def test_the_record_of_a_failed_check_has_the_code_of_its_fault(fault: BaseException, code: int):
    assert _exit_code_of(fault) == code


@pytest.mark.parametrize(
    "fault", [ServerFailed("x"), OSError(28, "x"), KeyboardInterrupt(), Interrupted(15)]
)
def test_the_command_line_ends_with_the_same_code(
    fault: BaseException, monkeypatch: pytest.MonkeyPatch
):
    def fail(**_: object) -> None:
        raise fault

    monkeypatch.setattr(main.cli, "main", fail)
    assert main.run(["check"]) == _exit_code_of(fault)
