"""A program that was started and left running: its pipes, and how it ended."""

import os
import select
import signal
import subprocess
from contextlib import suppress
from typing import IO


class Running:
    """A program that `command.start` left running, with pipes to its standard input and output."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", stdin: IO[bytes], stdout: IO[bytes]
    ) -> None:
        self._process = process
        self._stdin = stdin
        self._stdout = stdout

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def write(self, data: bytes) -> None:
        """Hand it `data`; lost when it has ended, as `read` then tells."""
        if not self._stdin.closed:
            with suppress(BrokenPipeError):
                self._stdin.write(data)
                self._stdin.flush()

    def offer(self, data: bytes, timeout_s: float) -> bool:
        """Hand it `data` piece by piece, as it reads.

        Returns:
            False when it has read nothing for `timeout_s` seconds; the rest is then kept back.
        """
        left = memoryview(data)
        number = self._stdin.fileno()
        with suppress(BrokenPipeError):
            while left:
                if not select.select([], [number], [], timeout_s)[1]:
                    return False
                left = left[os.write(number, left[: select.PIPE_BUF]) :]
        return True

    def read(self, timeout_s: float | None) -> bytes | None:
        """What it has written; empty once it has ended, `None` when nothing came in time."""
        output = self._stdout.fileno()
        if not select.select([output], [], [], timeout_s)[0]:
            return None
        return os.read(output, 65536)

    def close_input(self) -> None:
        """Let it see the end of its standard input."""
        with suppress(BrokenPipeError):
            self._stdin.close()

    @property
    def ending(self) -> str:
        """How it ended, such as `was killed by SIGKILL`; empty while it runs."""
        code = self._process.poll()
        return "" if code is None else how_it_ended(code)

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within `timeout_s` seconds."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        self._stdout.close()
        return True

    def kill(self) -> None:
        """Kill it and wait for it."""
        self._process.kill()
        self._process.wait()
        self._stdout.close()

    def abandon(self) -> None:
        """Let it run on without us."""
        self.close_input()
        self._stdout.close()
        self._process.returncode = 0  # else Python warns of a process that nobody waits for


def _signal_name(number: int) -> str:
    """`SIGKILL` for 9; the number itself where there is no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def how_it_ended(returncode: int) -> str:
    """In words, from what `wait` gave: an exit code, or a signal as a negative number."""
    if returncode >= 0:
        return f"ended with exit code {returncode}"
    return f"was killed by {_signal_name(-returncode)}"
