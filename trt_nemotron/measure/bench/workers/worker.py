"""One process of several that load the same server; see `crew`. Ends with its standard input."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from socket import AddressFamily
from typing import Any

from trt_nemotron import __version__
from trt_nemotron.errors import TrtNemotronError
from trt_nemotron.measure.bench.attempt import Conditions, attempt_leg
from trt_nemotron.measure.bench.calibration import measure_floor
from trt_nemotron.measure.bench.clock import SystemClock, WallClockTrack
from trt_nemotron.measure.bench.clock_choice import ClockChoice, choose_clock
from trt_nemotron.measure.bench.interlocutor import Interlocutor
from trt_nemotron.measure.bench.leg_source import LegPlan
from trt_nemotron.measure.bench.wire.address import Address, resolve_address
from trt_nemotron.measure.bench.workers.messages import (
    Alive,
    Answer,
    Begin,
    Calibrate,
    Calibrated,
    Done,
    Failed,
    Fit,
    Hello,
    Inbox,
    Loaded,
    Order,
    Ready,
    Setup,
    Task,
    Told,
    pack,
)
from trt_nemotron.openai.dialect import find_dialect

_BEAT_NS = 500_000_000
_AWAKE_NS = 2_000_000
"""Before the common beginning, from which on the loop waits by itself."""


class _Ended(Exception):
    """The run has closed our input."""


class Worker:
    """Serves the run at the other end of two pipes."""

    def __init__(self, source: int, sink: int) -> None:
        self._source, self._sink = source, sink
        self._inbox = Inbox(Order)
        self._clock = SystemClock()
        self._track = WallClockTrack(self._clock)
        self._said_ns = 0
        self._late_ns = 0

    def serve(self) -> None:
        """Run share after share until the run is over."""
        try:
            self._serve()
        except TrtNemotronError as fault:
            kind = type(fault).__name__
            self._say(Failed(kind, fault.message, fault.evidence, fault.next_step))

    def _serve(self) -> None:
        self._say(Hello(__version__))
        setup: Setup = self._await()
        address = _address_of(setup)
        choice = _choose_clock(address, setup)
        self._say(Fit(choice.source, choice.reason))
        calibrate: Calibrate = self._await()
        self._say(Calibrated(measure_floor(calibrate.streams, self._clock, choice)))
        # Only now: the server of the calibration would have been held to the same core.
        if cores := choose_cores(usable_core_numbers(), setup.beside):
            os.sched_setaffinity(0, {cores[setup.place]})
        interlocutor = Interlocutor(
            address, setup.model, find_dialect(setup.dialect), setup.workload, setup.run,
            setup.api_key,
        )  # fmt: skip
        while True:
            self._run(self._await(), interlocutor, choice)

    def _run(self, task: Task, interlocutor: Interlocutor, choice: ClockChoice) -> None:
        plan = LegPlan(
            task.order, interlocutor, task.rehearsal, task.length, task.first_index,
            task.trace_s, task.share,
        )  # fmt: skip
        conditions = Conditions(
            choice, self._clock, self._track, task.origin_ns, task.deadline_ns
        )  # fmt: skip
        attempt = attempt_leg(
            plan, conditions, lambda done: self._say(Told(done)),
            around=self._telling_the_end(), meet=self._meet, beat=self._beat,
        )  # fmt: skip
        steps = self._track.steps
        self._say(
            Done(attempt.records, attempt.health, attempt.used, attempt.held, steps, self._late_ns)
        )

    @contextmanager
    def _telling_the_end(self) -> Iterator[None]:
        yield
        self._say(Loaded())

    def _meet(self) -> int:
        self._say(Ready())
        begin: Begin = self._await()
        self._late_ns = max(0, self._clock.monotonic_ns() - begin.at_ns)
        time.sleep(max(0, begin.at_ns - _AWAKE_NS - self._clock.monotonic_ns()) / 1e9)
        return begin.at_ns

    def _beat(self) -> None:
        if self._clock.monotonic_ns() - self._said_ns > _BEAT_NS:
            self._say(Alive())

    def _say(self, message: Answer) -> None:
        self._said_ns = self._clock.monotonic_ns()
        data = memoryview(pack(message))
        while data:
            data = data[os.write(self._sink, data) :]

    def _await(self) -> Any:
        while (message := self._inbox.next()) is None:
            data = os.read(self._source, 1 << 16)
            if not data:
                raise _Ended
            self._inbox.feed(data)
        return message


def _address_of(setup: Setup) -> Address:
    """The server as the run resolved it, so that all load the same one."""
    return replace(
        resolve_address(setup.url),
        family=AddressFamily(setup.family),
        socket_address=setup.socket_address,
    )


def _choose_clock(address: Address, setup: Setup) -> ClockChoice:
    """As asked; packets only where we are alone, for a ring shows those of all."""
    if setup.beside == 1 or setup.clock_wish != "auto":
        return choose_clock(address, setup.clock_wish)
    choice = choose_clock(address, "kernel")
    return replace(choice, reason="each worker would capture the packets of all")


def choose_cores(usable: Sequence[int], count: int) -> Sequence[int]:
    """A core for each of so many workers where one is left for others; else none are chosen."""
    return usable[-count:] if len(usable) > count else ()


def usable_core_numbers() -> Sequence[int]:
    """Of this process; empty where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else ()


if __name__ == "__main__":
    with suppress(_Ended, BrokenPipeError):
        Worker(sys.stdin.fileno(), sys.stdout.fileno()).serve()
