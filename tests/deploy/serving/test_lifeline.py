"""What the guard does once the server has ended: it cleans up, however the end came."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.deploy.serving.test_remains import ENDPOINT
from trt_nemotron.deploy.serving.lifeline import Lifeline

SLEEP = (sys.executable, "-c", "import time; time.sleep(3600)")


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., tuple[Lifeline, int]]]:
    """Have a guard start a program, with `after` to run and a file to remove."""
    begun: list[Lifeline] = []

    def start(argv: tuple[str, ...], after: tuple[str, ...]) -> tuple[Lifeline, int]:
        (tmp_path / "secrets.env").write_text("A=b\n")
        lifeline = Lifeline.to_new_guard(folder=tmp_path, log=tmp_path / "log")
        begun.append(lifeline)
        lifeline.order_start(
            argv,
            {"PATH": os.environ["PATH"]},
            document=replace(ENDPOINT, log=str(tmp_path / "log")),
            path=tmp_path / "demo.json",
            grace_s=5.0,
            after=after,
            temporary=tmp_path / "secrets.env",
        )
        event = lifeline.event(30.0)
        assert event is not None
        return lifeline, event.pid

    yield start
    for lifeline in begun:
        lifeline.close()
        if not lifeline.wait_for_end(60.0):
            lifeline.kill()


def note(path: Path) -> tuple[str, ...]:
    return (sys.executable, "-c", f"open({str(path)!r}, 'x')")


def let_go(lifeline: Lifeline, pid: int) -> None:
    lifeline.close()


def kill_server(lifeline: Lifeline, pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def terminate_guard(lifeline: Lifeline, pid: int) -> None:
    os.kill(lifeline.guard_pid, signal.SIGTERM)


@pytest.mark.parametrize("end", [let_go, kill_server, terminate_guard])
def test_it_cleans_up_once_however_the_server_ended(begin: Any, end: Any, tmp_path: Path):
    cleaned = tmp_path / "cleaned"
    lifeline, pid = begin(SLEEP, note(cleaned))
    assert not cleaned.exists()
    end(lifeline, pid)
    assert lifeline.wait_for_end(60.0)
    assert cleaned.exists()
    assert not (tmp_path / "secrets.env").exists()


def test_what_cannot_be_run_keeps_nobody_from_ending(begin: Any):
    lifeline, _ = begin(SLEEP, ("/no/such/engine", "rm"))
    lifeline.close()
    assert lifeline.wait_for_end(60.0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_full_disk_keeps_nobody_from_holding_and_ending_a_server(tmp_path: Path):
    lifeline = Lifeline.to_new_guard(folder=tmp_path, log=Path("/dev/full"))
    lifeline.order_start(
        SLEEP,
        {"PATH": os.environ["PATH"]},
        document=replace(ENDPOINT, log="/dev/full"),
        path=tmp_path / "a-folder-that-is-not-there" / "demo.json",
        grace_s=5.0,
        after=(),
        temporary=None,
    )
    started = lifeline.event(30.0)
    lifeline.close()
    ended = lifeline.event(30.0)
    assert lifeline.wait_for_end(60.0)
    assert started is not None
    assert ended is not None
    assert (started.event, ended.event) == ("started", "stopped")


@pytest.mark.slow
def test_an_engine_that_hangs_is_not_waited_for_for_ever(begin: Any):
    lifeline, _ = begin((sys.executable, "-c", ""), SLEEP)
    assert lifeline.wait_for_end(120.0)
