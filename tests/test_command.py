"""The one door to other processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from trt_nemotron.command import TETHER, run
from trt_nemotron.errors import CommandFailed

PATIENCE_S = 60.0
PYTHON = sys.executable
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")


def eventually(condition: Callable[[], Any], what: str):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def python(program: str, *arguments: str, **more: Any):
    return run([PYTHON, "-c", program, *arguments], timeout_s=PATIENCE_S, **more)


def test_output_comes_back():
    done = python("import sys; print('out'); print('err', file=sys.stderr)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\n", "err\n")


def test_arguments_are_a_list_not_a_line():
    done = python("import sys; print(sys.argv[1:])", "a b", "$HOME", "; true", "")
    assert done.stdout == "['a b', '$HOME', '; true', '']\n"


def test_input_is_handed_over_and_else_empty():
    echo = "import sys; print(sys.stdin.read())"
    assert python(echo, input="grüß").stdout == "grüß\n"
    assert python(echo).stdout == "\n"


def test_it_runs_where_it_is_told(tmp_path: Path):
    assert python("import os; print(os.getcwd())", cwd=tmp_path).stdout.strip() == str(tmp_path)


def test_bytes_that_are_no_text_do_not_hurt():
    done = python("import sys; sys.stdout.buffer.write(b'\\xff\\xfe ok')")
    assert done.stdout.endswith(" ok")


def test_a_failure_brings_the_end_of_what_it_said():
    with pytest.raises(CommandFailed) as caught:
        python("import sys; [print('line', n, file=sys.stderr) for n in range(99)]; sys.exit(3)")
    assert "exit code 3" in caught.value.message
    assert "line 98" in caught.value.evidence
    assert "line 1\n" not in caught.value.evidence
    assert caught.value.exit_code == 3


def test_an_exit_code_may_be_expected():
    assert python("raise SystemExit(3)", expected=(0, 3)).returncode == 3


def test_a_death_by_signal_is_named():
    with pytest.raises(CommandFailed, match="killed by SIGKILL"):
        python("import os; os.kill(os.getpid(), 9)")


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(CommandFailed, match="cannot start no-such-program-here") as caught:
        run(["no-such-program-here"], timeout_s=1)
    assert "PATH" in caught.value.next_step


def test_a_file_that_is_no_program_is_refused(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("text")
    with pytest.raises(CommandFailed):
        run([str(tmp_path / "notes.txt")], timeout_s=1)


def test_secrets_stay_out_of_failures(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_API_KEY", "sesame-open-1")
    with pytest.raises(CommandFailed) as caught:
        python("import sys; sys.exit('refused: ' + sys.argv[1])", "sesame-open-1")
    assert "sesame" not in str(caught.value)
    assert "refused: ***" in caught.value.evidence


def test_too_slow_is_ended_with_all_it_started(tmp_path: Path):
    note = tmp_path / "pid"
    program = (
        "import subprocess, sys, time, pathlib;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)']);"
        f"pathlib.Path({str(note)!r}).write_text(str(child.pid));"
        "time.sleep(3600)"
    )
    with pytest.raises(CommandFailed, match=r"longer than 1\.5 s"):
        run([PYTHON, "-c", program], timeout_s=1.5)
    child = int(note.read_text())
    eventually(lambda: not is_alive(child), "the grandchild is gone")


def test_ctrl_c_ends_the_program_and_is_passed_on(tmp_path: Path):
    note = tmp_path / "pid"
    program = f"import os, pathlib, time; pathlib.Path({str(note)!r}).write_text(str(os.getpid()));"

    main_thread = threading.main_thread().ident
    assert main_thread is not None
    thread = threading.Thread(
        target=lambda: (
            eventually(lambda: note.exists() and note.read_text(), "it runs"),
            signal.pthread_kill(main_thread, signal.SIGINT),
        )
    )
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        python(program + "time.sleep(3600)")
    thread.join()
    assert not is_alive(int(note.read_text()))


@on_linux
def test_a_program_dies_with_us_even_when_we_are_killed(tmp_path: Path):
    note = tmp_path / "pid"
    inner = (
        f"import os, pathlib, time; pathlib.Path({str(note)!r}).write_text(str(os.getpid()));"
        "time.sleep(3600)"
    )
    outer = (
        "import sys; from trt_nemotron.command import run;"
        f"run([sys.executable, '-c', {inner!r}], timeout_s=3600)"
    )
    process = subprocess.Popen([PYTHON, "-c", outer])
    try:
        eventually(lambda: note.exists() and note.read_text(), "it runs")
        pid = int(note.read_text())
        assert is_alive(pid)
    finally:
        process.kill()
        process.wait()
    eventually(lambda: not is_alive(pid), "it is gone")


@on_linux
def test_the_tether_does_not_start_what_has_no_parent_any_more():
    done = subprocess.run(
        [PYTHON, "-I", "-S", str(TETHER), "1", PYTHON, "-c", "print('started')"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize(("program", "code"), [("/no/such/program", 127), ("/", 126)])
def test_the_tether_says_what_it_could_not_start(program: str, code: int):
    parent = str(os.getpid())
    done = subprocess.run(
        [PYTHON, "-I", "-S", str(TETHER), parent, program],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert f"cannot start {program}" in done.stderr


@on_linux
def test_signals_are_as_a_program_expects_them():
    done = python("print(open('/proc/self/status').read())")
    (ignored,) = [line for line in done.stdout.splitlines() if line.startswith("SigIgn")]
    # Python itself ignores SIGPIPE and SIGXFSZ, and glibc the two it keeps to itself in a program
    # it spawns from one that has cancelled a thread; nothing else may have been handed down.
    not_ours = (signal.SIGPIPE, signal.SIGXFSZ, 32, 33)
    assert int(ignored.split()[1], 16) & ~sum(1 << (number - 1) for number in not_ours) == 0


def test_run_scrubs_by_itself(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hidden-value")
    assert "hidden-value" not in python("import os; print(os.environ)").stdout


def test_lines_are_told_as_they_come(tmp_path: Path):
    """The program waits for what the listener does with its first line."""
    told, flag = [], tmp_path / "flag"

    def hear(line: str) -> None:
        told.append(line)
        if line == "go on":
            flag.touch()

    program = (
        "import pathlib, sys, time; print('go on', flush=True)\n"
        "while not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)\n"
        "print('done', file=sys.stderr); print('unfinished', end='')"
    )
    said = run([sys.executable, "-c", program, str(flag)], timeout_s=60, listener=hear)
    assert told[0] == "go on"
    assert sorted(told[1:]) == ["done", "unfinished"]
    assert (said.stdout, said.stderr) == ("go on\nunfinished", "done\n")


def test_a_program_that_is_heard_may_be_too_slow_too():
    program = "import sys, time; print('stuck', file=sys.stderr, flush=True); time.sleep(3600)"
    with pytest.raises(CommandFailed, match="longer than 1 s") as caught:
        run([sys.executable, "-c", program], timeout_s=1, listener=lambda _: None)
    assert "stuck" in caught.value.evidence
