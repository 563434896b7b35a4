"""The one door to other processes: argument lists, never a shell; a small environment; no orphans.

`run` waits for a program and brings back what it said; `start` leaves it running and hands over
its process. Both start it in a session of its own, so that Ctrl-C in a terminal reaches us and we
decide, and neither gives it what is not its business (see `redaction.py`).
"""

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from trt_nemotron.errors import CommandFailed
from trt_nemotron.process import Running, how_it_ended
from trt_nemotron.redaction import redact, scrubbed_environment

TETHER = Path(__file__).with_name("tether.py")
"""The shim that ties a program to the life of its parent."""

_EVIDENCE_LINES = 20
_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that has ended."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    input: str | None = None,  # noqa: A002 - the standard library's own word for it
    expected: Collection[int] = (0,),
    listener: Callable[[str], None] | None = None,
) -> Completed:
    """Run a program to its end.

    On Ctrl-C, on any other exception and at the timeout the program and all it started are
    terminated and waited for. On Linux it dies with us even if we are killed with SIGKILL.

    Args:
        argv: program and arguments; the program is looked up on PATH.
        timeout_s: seconds it may take.
        env: its whole environment; without it `scrubbed_environment()`.
        cwd: the folder it runs in; without it ours.
        input: text for its standard input, which is empty otherwise.
        expected: exit codes that are not a failure.
        listener: told every line as soon as the program has written it, to either output.

    Raises:
        CommandFailed: not found, not startable, too slow, or an exit code that was not expected.
    """
    environment = scrubbed_environment() if env is None else dict(env)
    program = _find(argv[0], environment, cwd)
    with _popen(
        [*_tether(), program, *argv[1:]],
        env=environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            if listener is not None:
                stdout, stderr = _overhear(process, listener, timeout_s)
            else:
                stdout, stderr = process.communicate(
                    None if input is None else input.encode(), timeout=timeout_s
                )
        except subprocess.TimeoutExpired as fault:
            _end_group(process)
            raise _failure(
                argv, f"took longer than {timeout_s:g} s", fault.stderr or b"", environment
            ) from fault
        except BaseException:
            _end_group(process)
            raise
    if process.returncode not in expected:
        raise _failure(argv, how_it_ended(process.returncode), stderr or stdout, environment)
    return Completed(tuple(argv), process.returncode, _text(stdout), _text(stderr))


def start(
    argv: Sequence[str], *, log_path: Path, env: Mapping[str, str], cwd: Path | None = None
) -> Running:
    """Start a program and leave it running, with pipes to its standard input and output.

    It is not tied to us: whoever holds it decides when it ends.

    Args:
        argv: program and arguments; the program is looked up on PATH.
        log_path: its standard error is appended there; a new file is readable by its owner only.
        env: its whole environment.
        cwd: the folder it runs in; without it ours.

    Raises:
        CommandFailed: not found or not startable.
    """
    program = _find(argv[0], env, cwd)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    pipe = subprocess.PIPE
    try:
        process = _popen(
            [program, *argv[1:]], env=env, cwd=cwd, stdin=pipe, stdout=pipe, stderr=log
        )
    finally:
        os.close(log)
    # Popen has made both, as asked: the casts only say so.
    return Running(process, cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout))


def _overhear(
    process: "subprocess.Popen[bytes]", listener: Callable[[str], None], timeout_s: float
) -> tuple[bytes, bytes]:
    """What a program says, told line by line on the way; its standard input is left alone.

    Raises:
        subprocess.TimeoutExpired: it is not done in time.
    """
    deadline = time.monotonic() + timeout_s
    pipes = [cast("IO[bytes]", process.stdout), cast("IO[bytes]", process.stderr)]
    said = {pipe.fileno(): bytearray() for pipe in pipes}
    told = dict.fromkeys(said, 0)
    waiting = set(said)
    while waiting:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise subprocess.TimeoutExpired(
                process.args, timeout_s, stderr=bytes(said[pipes[1].fileno()])
            )
        for number in select.select(waiting, [], [], left_s)[0]:
            data = os.read(number, 65536)
            said[number] += data
            if not data:
                waiting.discard(number)
            end = said[number].rfind(b"\n") + 1 if data else len(said[number])
            for line in said[number][told[number] : end].splitlines():
                listener(_text(bytes(line)))
            told[number] = max(end, told[number])
    process.wait(max(0.0, deadline - time.monotonic()))
    return bytes(said[pipes[0].fileno()]), bytes(said[pipes[1].fileno()])


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """Terminate a program and all it started, kill what is left after a while, and wait."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)


def _popen(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None,
    stdin: int,
    stdout: int,
    stderr: int,
) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(
            list(argv),
            env=dict(env),
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    except OSError as fault:
        raise CommandFailed(f"cannot start {argv[0]}", evidence=str(fault)) from fault


def _tether() -> tuple[str, ...]:
    if sys.platform != "linux":
        return ()
    return (sys.executable, "-I", "-S", str(TETHER), str(os.getpid()))


def _find(program: str, env: Mapping[str, str], cwd: Path | None) -> str:
    if os.sep in program:
        path = (cwd or Path()) / program
        if os.access(path, os.X_OK) and path.is_file():
            return str(path.absolute())
    elif found := shutil.which(program, path=env.get("PATH", os.defpath)):
        return found
    raise CommandFailed(
        f"cannot start {program}",
        evidence=f"no executable file of that name{'' if os.sep in program else ' on PATH'}",
        next_step=f"Install {Path(program).name}, or put its folder on PATH.",
    )


def _failure(
    argv: Sequence[str], what: str, output: bytes, environment: Mapping[str, str]
) -> CommandFailed:
    lines = _text(output).splitlines()[-_EVIDENCE_LINES:]
    return CommandFailed(
        redact(f"{Path(argv[0]).name} {what}", environment),
        evidence=redact("\n".join([f"$ {' '.join(argv)}", *lines]), environment),
    )


def _text(output: bytes) -> str:
    return output.decode(errors="replace")
