"""A program that was started and left running."""

import sys
from pathlib import Path

import psutil

from trt_nemotron.command import start
from trt_nemotron.process import Running
from trt_nemotron.redaction import scrubbed_environment

PATIENCE_S = 60.0
PYTHON = sys.executable


def started(program: str, folder: Path) -> Running:
    return start([PYTHON, "-c", program], log_path=folder / "log", env=scrubbed_environment())


def test_start_leaves_it_running_with_pipes(tmp_path: Path):
    log = tmp_path / "log"
    program = "import sys; print(sys.stdin.readline().upper(), end='', flush=True); sys.exit('bye')"
    running = start([PYTHON, "-c", program], log_path=log, env=scrubbed_environment())
    assert running.read(0.0) is None
    running.write(b"hello\n")
    assert running.read(PATIENCE_S) == b"HELLO\n"
    assert running.read(PATIENCE_S) == b""
    assert running.wait(PATIENCE_S)
    running.close_input()
    assert log.read_text() == "bye\n"
    assert log.stat().st_mode & 0o777 == 0o600


def test_start_can_be_killed_and_written_to_when_dead(tmp_path: Path):
    running = start(
        [PYTHON, "-c", "import time; time.sleep(3600)"],
        log_path=tmp_path / "log",
        env=scrubbed_environment(),
    )
    assert not running.wait(0.05)
    running.kill()
    running.write(b"lost\n")
    running.close_input()
    assert not psutil.pid_exists(running.pid)


def test_how_it_ended_is_told_only_once_it_has(tmp_path: Path):
    by_itself = started("import sys; sys.stdin.read(); sys.exit(3)", tmp_path)
    assert by_itself.ending == ""
    by_itself.close_input()
    assert by_itself.wait(PATIENCE_S)
    assert by_itself.ending == "ended with exit code 3"
    killed = started("import time; time.sleep(3600)", tmp_path)
    killed.kill()
    assert killed.ending == "was killed by SIGKILL"
    killed.close_input()


def test_what_is_offered_arrives_whole_however_slowly_it_is_read(tmp_path: Path):
    counting = "import sys; print(len(sys.stdin.buffer.read()), end='', flush=True)"
    running = started(counting, tmp_path)
    assert running.offer(bytes(1_000_000), PATIENCE_S)
    running.close_input()
    assert running.read(PATIENCE_S) == b"1000000"
    assert running.wait(PATIENCE_S)


def test_an_offer_to_a_reader_that_has_stopped_is_given_up(tmp_path: Path):
    running = started("import time; time.sleep(3600)", tmp_path)
    assert not running.offer(bytes(1_000_000), 0.1)
    running.kill()
    running.close_input()


def test_an_offer_to_the_dead_is_lost(tmp_path: Path):
    running = started("", tmp_path)
    assert running.wait(PATIENCE_S)
    assert running.offer(b"lost", PATIENCE_S)
    running.close_input()
