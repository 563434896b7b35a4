"""A machine whose workers send: this one, or another that is reached in some way."""

from collections.abc import Callable
from typing import Protocol

from trt_nemotron.measure.bench.workers.processes import Processes


class Machine(Protocol):
    """Workers at the far end of something that carries bytes; nothing else knows what that is.

    `place` counts the workers of this machine, from 0. Each method raises `EnvironmentUnfit` when
    the machine itself is lost.
    """

    @property
    def name(self) -> str:
        """Its address; empty for the run's own machine."""

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of its workers, there."""

    @property
    def clock(self) -> Callable[[], int] | None:
        """Reads its monotonic clock; `None` where that is the run's own."""

    def write(self, place: int, data: bytes) -> bool:
        """Hand `data` to a worker; false when it does not read."""

    def read(self, place: int, timeout_s: float) -> bytes | None:
        """What a worker has said; empty once it has ended, `None` when nothing came in time."""

    def account(self, place: int) -> str:
        """What is known of a worker that is silent, as evidence."""


class ThisMachine:
    """Workers beside the run, on its own clock."""

    name = ""
    clock = None

    def __init__(self, processes: Processes, count: int) -> None:
        self.pids = tuple(processes.start(count))
        self.write = processes.write
        self.read = processes.read
        self.account = processes.account
