"""The worker processes of one machine, started and held from that machine itself.

The run holds them directly where it is the run's own machine; elsewhere an actor of a cluster holds
them and hands on what they say, see `machine`.
"""

import os
import sys
import time
from pathlib import Path
from tempfile import mkstemp

from trt_nemotron.command import TETHER, start
from trt_nemotron.process import Running
from trt_nemotron.redaction import redact, scrubbed_environment

_MODULE = "trt_nemotron.measure.bench.workers.worker"
_WRITE_S = 10.0
_REAP_S = 0.5
_LAST_LINES = 8
_LONGEST_LOG = 1 << 16


class Processes:
    """Workers of this machine; whoever opens it closes it.

    Every method may be called from another thread than the others: what a worker says is waited for
    while another one is written to.
    """

    def __init__(self) -> None:
        self._held: list[Running] = []
        self._logs: list[int] = []

    @staticmethod
    def clock() -> int:
        """The monotonic clock of this machine, by which its workers time."""
        return time.monotonic_ns()

    def start(self, count: int) -> list[int]:
        """Start so many workers.

        Returns:
            Their process ids.

        Raises:
            CommandFailed: one could not be started.
        """
        environment = scrubbed_environment({"PYTHONSAFEPATH": "1"})
        for _ in range(count):
            log, path = mkstemp(prefix="trt-nemotron-worker.")
            self._logs.append(log)
            try:
                self._held.append(start(_argv(), log_path=Path(path), env=environment))
            finally:
                Path(path).unlink()  # it lives on while it is open, and no longer
        return [process.pid for process in self._held]

    def write(self, place: int, data: bytes, timeout_s: float = _WRITE_S) -> bool:
        """Hand `data` to one of them; false when it reads nothing for `timeout_s`."""
        return self._held[place].offer(data, timeout_s)

    def read(self, place: int, timeout_s: float) -> bytes | None:
        """What one of them has said; empty once it has ended, `None` when nothing came in time."""
        return self._held[place].read(timeout_s)

    def account(self, place: int) -> str:
        """What is known of one that is silent: how it ended or what it does, and its last words."""
        process = self._held[place]
        process.wait(_REAP_S)
        how = process.ending or _state_of(process.pid)
        log = redact(os.pread(self._logs[place], _LONGEST_LOG, 0).decode(errors="replace"))
        said = [line for line in log.splitlines() if line.strip()]
        return "\n".join(
            [
                f"it {how}; on standard error {'it said:' if said else 'nothing'}",
                *said[-_LAST_LINES:],
            ]
        )

    def close(self) -> None:
        """Kill them all and wait for each: what they know they have said."""
        for process in self._held:
            process.kill()
            process.close_input()
        for log in self._logs:
            os.close(log)
        self._held.clear()
        self._logs.clear()


def _argv() -> list[str]:
    python = [sys.executable]
    tether = [*python, "-I", "-S", str(TETHER), str(os.getpid())] if sys.platform == "linux" else []
    return [*tether, *python, "-m", _MODULE]


def _state_of(pid: int) -> str:
    """What a process does, in words, as far as the system tells."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "is still there"
    letter = status.rpartition(")")[2].split()[0]
    states = {"T": "is stopped (SIGSTOP)", "t": "is held by a debugger", "D": "waits for a disk"}
    return states.get(letter, "is running")
