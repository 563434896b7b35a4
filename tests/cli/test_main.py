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
    assert "--json" in {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("name", ["build", "serve", "stop", "bench", "check"])
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
    _, err = process.communicate(timeout=20)
    os.close(writer)
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


def test_reader_that_leaves_early_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed_pipe:
        done = subprocess.run(
            [sys.executable, "-m", "trt_nemotron", "targets"],
            stdout=closed_pipe, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert done.returncode in {1, 141}
