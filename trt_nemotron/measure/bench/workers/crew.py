"""Several processes that load one server together; started once, they serve leg after leg."""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TypeVar

import msgspec

from trt_nemotron import errors
from trt_nemotron.command import TETHER, Running, scrubbed_environment, start
from trt_nemotron.errors import EnvironmentUnfit, TrtNemotronError
from trt_nemotron.measure.bench.attempt import Attempt, Conditions
from trt_nemotron.measure.bench.health import HealthLog
from trt_nemotron.measure.bench.interlocutor import Interlocutor
from trt_nemotron.measure.bench.leg_source import LegPlan
from trt_nemotron.measure.bench.share import Share, deal
from trt_nemotron.measure.bench.values import RequestRecord
from trt_nemotron.measure.bench.wire.stamps import percentile_ms
from trt_nemotron.measure.bench.workers.messages import (
    Answer,
    Begin,
    Done,
    Failed,
    Inbox,
    Loaded,
    Ready,
    Setup,
    Task,
    Told,
    pack,
)

_AHEAD_NS = 20_000_000
"""From the last worker's word that it is ready to the common beginning."""
_LOOK_S = 0.2
_STOP_S = 2.0
_MODULE = "trt_nemotron.measure.bench.workers.worker"


MessageT = TypeVar("MessageT")


class _Member:
    """One worker as the run sees it."""

    def __init__(self, process: Running) -> None:
        self.process = process
        self.inbox = Inbox(Answer)
        self.told = 0


class Crew:
    """Workers that have been told whom to load."""

    def __init__(self, members: Sequence[_Member], log: int) -> None:
        self._members = members
        self._log = log

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self._members)

    @property
    def pids(self) -> tuple[int, ...]:
        """Their process ids."""
        return tuple(member.process.pid for member in self._members)

    def attempt(
        self,
        plan: LegPlan,
        conditions: Conditions,
        tell: Callable[[int], None],
        *,
        around: AbstractContextManager[None],
    ) -> Attempt:
        """As `attempt_leg`, by all workers together.

        Raises:
            EnvironmentUnfit: a worker died.
            EndpointUnfit, NoValidMeasurement: as `attempt_leg`, from any worker.
        """
        streams = plan.order.leg.concurrency
        shares = deal(streams, self.size, is_closed=plan.is_closed)
        members = self._members[: len(shares)]
        for member, share in zip(members, shares, strict=True):
            member.told = 0
            member.process.write(pack(_task(plan, share)))
        self._gather(members, Ready, tell)
        with around:
            begin = pack(Begin(time.monotonic_ns() + _AHEAD_NS))
            for member in members:
                member.process.write(begin)
            self._gather(members, Loaded, tell)
        done = self._gather(members, Done, tell)
        # All see the same wall clock: who saw most of its steps saw them best.
        steps = max((found.steps for found in done), key=len)
        conditions.track.steps[:] = steps
        return merge(done, plan.first_index, is_closed=plan.is_closed)

    def _gather(
        self, members: Sequence[_Member], kind: type[MessageT], tell: Callable[[int], None]
    ) -> list[MessageT]:
        """One message of this kind from each; what is told on the way is passed on."""
        found: dict[int, MessageT] = {}
        while len(found) < len(members):
            waiting = [place for place in range(len(members)) if place not in found]
            for place in waiting:
                member = members[place]
                message = self._listen(member, _LOOK_S if place == waiting[0] else 0.0)
                if isinstance(message, Told):
                    member.told = message.done
                    tell(sum(each.told for each in members))
                elif isinstance(message, Failed):
                    raise _error_of(message)
                elif isinstance(message, kind):
                    found[place] = message
        return [found[place] for place in range(len(members))]

    def _listen(self, member: _Member, timeout_s: float) -> object:
        message = member.inbox.next()
        if message is not None:
            return message
        data = member.process.read(timeout_s)
        if data == b"":
            said = os.pread(self._log, 1 << 16, 0).decode(errors="replace").splitlines()
            raise EnvironmentUnfit(
                f"a worker of the client (process {member.process.pid}) died",
                evidence=said[-1] if said else "it was killed and said nothing",
                next_step="Look for what killed it (memory?); nothing of this run was kept.",
            )
        member.inbox.feed(data or b"")
        return member.inbox.next()


@contextmanager
def open_crew(count: int, interlocutor: Interlocutor, conditions: Conditions) -> Iterator[Crew]:
    """Start `count` workers; none is left when the block ends, in whatever way.

    Raises:
        CommandFailed: a worker could not be started.
    """
    log, path = tempfile.mkstemp(prefix="trt-nemotron-workers.")
    members: list[_Member] = []
    try:
        cores = choose_cores(count)
        for place in range(count):
            process = start(_argv(), log_path=Path(path), env=_environment())
            members.append(_Member(process))
            process.write(pack(_setup(interlocutor, conditions, cores[place])))
        yield Crew(members, log)
        for member in members:
            member.process.close_input()
        for member in members:
            member.process.wait(_STOP_S)
    finally:
        for member in members:
            member.process.kill()
            member.process.close_input()
        os.close(log)
        Path(path).unlink(missing_ok=True)


def merge(done: Sequence[Done], first_index: int, *, is_closed: bool) -> Attempt:
    """The shares of a leg as one, its requests numbered as they were sent, or meant to be."""
    parts = [(worker, record) for worker, part in enumerate(done) for record in part.records]
    parts.sort(key=lambda part: _moment(part[1], is_closed=is_closed))
    records = [
        msgspec.structs.replace(record, index=first_index + place, worker=worker)
        for place, (worker, record) in enumerate(parts)
    ]
    health = merge_health([part.health for part in done])
    used = max(len(records), *(part.used for part in done))
    return Attempt(records, health, used, sum(part.held for part in done))


def _moment(record: RequestRecord, *, is_closed: bool) -> tuple[int, int]:
    return (record.sent_ns if is_closed else record.intended_ns, record.index)


def merge_health(logs: Sequence[HealthLog]) -> HealthLog:
    """Logs of processes that ran at the same time: the share of a core and the timer's lags of the
    worst of them, everything else of all.
    """
    whole = HealthLog()
    for log in logs:
        whole.merge(log)
    busiest = max(logs, key=lambda log: log.process_cpu_ns / max(1, log.wall_ns))
    latest = max(logs, key=lambda log: percentile_ms([*chain(*log.lags_ns.values())], 0.99))
    # Each worker's ring shows the packets of all, so what came twice is counted by each.
    repeated = max(log.repeated_segments for log in logs)
    return replace(
        whole,
        process_cpu_ns=busiest.process_cpu_ns,
        wall_ns=busiest.wall_ns,
        lags_ns=latest.lags_ns,
        repeated_segments=repeated,
        workers=dict(enumerate(logs)),
    )


def choose_cores(count: int) -> list[int]:
    """A core for each worker where one is left for others; else -1, for the system to choose."""
    if sys.platform != "linux":
        return [-1] * count
    cores = sorted(os.sched_getaffinity(0))
    return cores[-count:] if len(cores) > count else [-1] * count


def _argv() -> list[str]:
    python = [sys.executable]
    tether = [*python, "-I", "-S", str(TETHER), str(os.getpid())] if sys.platform == "linux" else []
    return [*tether, *python, "-m", _MODULE]


def _environment() -> dict[str, str]:
    return scrubbed_environment({"PYTHONSAFEPATH": "1"})


def _task(plan: LegPlan, share: Share) -> Task:
    trace = tuple(plan.trace_s)
    return Task(plan.order, plan.rehearsal, plan.length, plan.first_index, trace, share)


def _setup(interlocutor: Interlocutor, conditions: Conditions, core: int) -> Setup:
    address, choice = interlocutor.address, conditions.choice
    return Setup(
        url=address.root,
        family=int(address.family),
        socket_address=tuple(address.socket_address),
        model=interlocutor.model,
        dialect=interlocutor.dialect.name,
        workload=interlocutor.workload,
        run=interlocutor.run,
        api_key=interlocutor.api_key,
        clock=choice.source,
        interface=choice.interface,
        core=core,
        origin_ns=conditions.origin_ns,
        deadline_ns=conditions.deadline_ns,
    )


def _error_of(failed: Failed) -> TrtNemotronError:
    kind: type[TrtNemotronError] = getattr(errors, failed.kind, EnvironmentUnfit)
    return kind(failed.message, evidence=failed.evidence, next_step=failed.next_step)
