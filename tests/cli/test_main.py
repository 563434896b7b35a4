import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from trt_nemotron.cli.main import COMMANDS, cli, run


@pytest.mark.parametrize("name", COMMANDS)
def test_static_help_is_the_command_s_own(name: str):
    module, text = COMMANDS[name]
    command = importlib.import_module(f"trt_nemotron.cli.{module}").command
    assert isinstance(command, click.Command)
    assert command.short_help == text or (command.help or "").splitlines()[0] == text


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "completion"])
def test_every_command_offers_json(name: str):
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    parts = command.commands.values() if isinstance(command, click.Group) else [command]
    for part in parts:
        assert "--json" in {option for parameter in part.params for option in parameter.opts}


@pytest.mark.parametrize("name", ["build", "serve", "stop", "bench", "check", "gate", "report"])
def test_every_changing_command_offers_a_dry_run(name: str):
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert "--dry-run" in {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_prints(name: str, capsys: pytest.CaptureFixture[str]):
    assert run([name, "--help"]) == 0
    assert "Usage: trt-nemotron" in capsys.readouterr().out


def test_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]):
    assert run(["bulid"]) == 2
    assert "Did you mean 'build'?" in capsys.readouterr().err


def test_error_is_json_on_standard_output_when_json_was_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    code = run(["verify", str(tmp_path / "nowhere"), "--json"])
    captured = capsys.readouterr()
    error = json.loads(captured.out)["error"]
    assert error["exit_code"] == code != 0
    assert error["message"]


def test_error_says_what_failed_the_evidence_and_the_next_step(capsys: pytest.CaptureFixture[str]):
    assert run(["plan", "--target", "toaster"]) == 2
    err = capsys.readouterr().err
    assert re.search(r"error: .*toaster", err)
    assert "next:" in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_ends_a_command_with_the_code_that_shells_expect(
    number: signal.Signals, code: int, tmp_path: Path
):
    fifo = tmp_path / "never.json"
    os.mkfifo(fifo)  # reading it blocks until someone writes
    process = subprocess.Popen(
        [sys.executable, "-m", "trt_nemotron", "bench", "--replay", str(fifo)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    writer = wait_for_reader(fifo)
    process.send_signal(number)
    os.close(writer)  # a signal between the opening and the reading is heard when the reading ends
    _, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert "Traceback" not in err


def wait_for_reader(fifo: Path) -> int:
    """Until the process reads the fifo: imports are over by then. Open for writing, so it waits."""
    deadline = time.monotonic() + 60
    while (writer := open_for_writing(fifo)) is None:
        assert time.monotonic() < deadline, "the fifo was never read"
        time.sleep(0.02)
    return writer


def open_for_writing(fifo: Path) -> int | None:
    """Nothing while no one reads it."""
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_printed(shell: str, capsys: pytest.CaptureFixture[str]):
    assert run(["completion", shell]) == 0
    assert "_TRT_NEMOTRON_COMPLETE" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["targets"], ["targets", "--json"], ["--help"]])
def test_reader_that_leaves_early_is_no_error(arguments: list[str]):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed_pipe:
        done = subprocess.run(
            [sys.executable, "-m", "trt_nemotron", *arguments],
            stdout=closed_pipe, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 141


def test_error_whose_reader_has_left_is_no_error_of_its_own():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed_pipe:
        done = subprocess.run(
            [sys.executable, "-m", "trt_nemotron", "plan", "--target", "toaster", "--json"],
            stdout=closed_pipe, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert done.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", [["targets", "--json"], ["targets"]])
def test_output_onto_a_full_disk_is_an_error_with_a_message(arguments: list[str]):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "trt_nemotron", *arguments],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "No space left" in done.stderr
    assert done.returncode == 3


def test_closed_output_is_no_failure():
    script = '"$0" -m trt_nemotron targets --json >&-'
    done = subprocess.run(
        ["bash", "-c", script, sys.executable],
        stderr=subprocess.PIPE, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_terminal_without_a_sign_for_a_character_is_no_failure(encoding: str):
    done = subprocess.run(
        [sys.executable, "-m", "trt_nemotron", "plan", "--target", "cpu"],
        capture_output=True, check=False, timeout=60,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"kv cache" in done.stdout


@pytest.mark.parametrize("seconds", ["nan", "inf", "0", "-1", "soon", "1e9"])
def test_time_that_no_timer_understands_is_refused(
    seconds: str, capsys: pytest.CaptureFixture[str]
):
    for arguments in (["serve", "b"], ["smoke", "s"], ["check", "--target", "cpu"]):
        assert run([*arguments, "--timeout", seconds, "--json"]) == 2
        error = json.loads(capsys.readouterr().out)["error"]
        assert "seconds" in error["message"]
        assert error["next_step"]


_STOPPED = """
import os, signal, sys, time
from trt_nemotron.cli import main

class Held:
    def __del__(self):
        os.kill(os.getpid(), {number})
        for _ in range(100):
            pass

class Watched:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), {number})
        for _ in range(100):
            pass

def in_del(**_):
    held = Held()
    del held
    time.sleep(60)

def in_class(**_):
    type("Owner", (), dict(field=Watched()))
    time.sleep(60)

main.cli.main = {place}
main.main([])
"""


@pytest.mark.parametrize("place", ["in_del", "in_class"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_python_passes_over_or_wraps_still_ends_the_command(
    place: str, number: signal.Signals, code: int
):
    script = _STOPPED.format(number=int(number), place=place)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == code
    assert done.stderr == "interrupted\n"
