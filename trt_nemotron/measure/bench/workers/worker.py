"""One process of several that load the same server; see `crew`. Ends with its standard input."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from socket import AddressFamily
from typing import Any

from trt_nemotron.errors import TrtNemotronError
from trt_nemotron.measure.bench.attempt import Conditions, attempt_leg
from trt_nemotron.measure.bench.clock import SystemClock, WallClockTrack
from trt_nemotron.measure.bench.clock_choice import ClockChoice
from trt_nemotron.measure.bench.interlocutor import Interlocutor
from trt_nemotron.measure.bench.leg_source import LegPlan
from trt_nemotron.measure.bench.wire.address import resolve_address
from trt_nemotron.measure.bench.workers.messages import (
    Answer,
    Begin,
    Done,
    Failed,
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


class _Ended(Exception):
    """The run has closed our input."""


class Worker:
    """Serves the run at the other end of two pipes."""

    def __init__(self, source: int, sink: int) -> None:
        self._source, self._sink = source, sink
        self._inbox = Inbox(Order)

    def serve(self) -> None:
        """Run share after share until the run is over."""
        setup: Setup = self._await()
        if setup.core >= 0:
            os.sched_setaffinity(0, {setup.core})
        address = replace(
            resolve_address(setup.url),
            family=AddressFamily(setup.family),
            socket_address=setup.socket_address,
        )
        interlocutor = Interlocutor(
            address, setup.model, find_dialect(setup.dialect), setup.workload, setup.run,
            setup.api_key,
        )  # fmt: skip
        clock = SystemClock()
        conditions = Conditions(
            ClockChoice(setup.clock, interface=setup.interface), clock, WallClockTrack(clock),
            setup.origin_ns, setup.deadline_ns,
        )  # fmt: skip
        while True:
            self._run(self._await(), interlocutor, conditions)

    def _run(self, task: Task, interlocutor: Interlocutor, conditions: Conditions) -> None:
        plan = LegPlan(
            task.order, interlocutor, task.rehearsal, task.length, task.first_index,
            task.trace_s, task.share,
        )  # fmt: skip
        try:
            attempt = attempt_leg(
                plan, conditions, lambda done: self._say(Told(done)),
                around=self._telling_the_end(), meet=self._meet,
            )  # fmt: skip
        except TrtNemotronError as fault:
            kind = type(fault).__name__
            self._say(Failed(kind, fault.message, fault.evidence, fault.next_step))
            return
        steps = conditions.track.steps
        self._say(Done(attempt.records, attempt.health, attempt.used, attempt.held, steps))

    @contextmanager
    def _telling_the_end(self) -> Iterator[None]:
        yield
        self._say(Loaded())

    def _meet(self) -> int:
        self._say(Ready())
        begin: Begin = self._await()
        return begin.at_ns

    def _say(self, message: Answer) -> None:
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


if __name__ == "__main__":
    with suppress(_Ended, BrokenPipeError):
        Worker(sys.stdin.fileno(), sys.stdout.fileno()).serve()
