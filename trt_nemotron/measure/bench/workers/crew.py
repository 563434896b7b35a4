"""Several processes that load one server together; started once, they serve leg after leg."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from trt_nemotron.measure.bench.attempt import Attempt, Conditions
from trt_nemotron.measure.bench.calibration import Floor
from trt_nemotron.measure.bench.client_health import ClientHealth
from trt_nemotron.measure.bench.clock import Clock
from trt_nemotron.measure.bench.clock_choice import ClockChoice, ClockWish
from trt_nemotron.measure.bench.interlocutor import Interlocutor
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.leg_source import LegPlan
from trt_nemotron.measure.bench.share import Share, deal
from trt_nemotron.measure.bench.wire.address import Address
from trt_nemotron.measure.bench.workers.far_clock import ClockSpan, Offset, measure_offset
from trt_nemotron.measure.bench.workers.machine import Machine, ThisMachine
from trt_nemotron.measure.bench.workers.member import Member, MessageT, gather
from trt_nemotron.measure.bench.workers.merging import least_exact, merge, worst_floor
from trt_nemotron.measure.bench.workers.messages import (
    Begin,
    Calibrate,
    Calibrated,
    Done,
    Fit,
    Hello,
    Loaded,
    Ready,
    Setup,
    Task,
)
from trt_nemotron.measure.bench.workers.processes import Processes
from trt_nemotron.measure.bench.workers.senders import Senders, check_streams
from trt_nemotron.measure.bench.workers.telling import WorkerTold, describe_workers, on_our_clock

_AHEAD_NS = 20_000_000
"""From the last worker's word that it is ready to the common beginning."""
_FAR_AHEAD_NS = 300_000_000
"""The same where the word goes to other machines."""


class Crew:
    """Workers of one run; `prepare` comes before the first leg."""

    def __init__(self, machines: Sequence[Machine], clock: Clock, patience_s: float) -> None:
        self._machines = machines
        self._clock = clock
        self._patience_s = patience_s
        # Machines take turns, so that few streams are spread over all of them.
        places = sorted((p, home) for home, m in enumerate(machines) for p in range(len(m.pids)))
        self._members = [
            Member(number, home, machines[home], place)
            for number, (place, home) in enumerate(places)
        ]
        self._told = [WorkerTold(member.machine.name) for member in self._members]

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self._members)

    @property
    def pids(self) -> tuple[int, ...]:
        """Their process ids, each on its own machine."""
        return tuple(member.machine.pids[member.place] for member in self._members)

    def prepare(
        self, interlocutor: Interlocutor, clock_wish: ClockWish
    ) -> tuple[ClockChoice, Floor]:
        """Tell all whom to load; each chooses its clock, then all measure themselves at once.

        Returns:
            The least exact of their clocks, and a floor no better than that of any.

        Raises:
            EnvironmentUnfit: a worker died, hangs, is of another version of this tool, or has not
                the clock wished for.
            InvalidInput: more streams than they may have.
        """
        for member, hello in zip(self._members, self._gather(self._members, Hello), strict=True):
            member.refuse_another_version(hello.version)
        for member in self._members:
            beside = len(member.machine.pids)
            member.say(_setup(interlocutor, clock_wish, member.place, beside))
        fit = self._gather(self._members, Fit)
        is_closed = interlocutor.workload.arrivals == "closed"
        streams = max(interlocutor.workload.concurrencies)
        shares = deal(streams, self.size, is_closed=is_closed)
        for member, share in zip(self._members, shares, strict=False):
            self._told[member.number].streams = share.streams(streams)
            check_streams(share.streams(streams))
        for member, told in zip(self._members, self._told, strict=True):
            member.say(Calibrate(max(1, told.streams)))
        floors = [found.floor for found in self._gather(self._members, Calibrated)]
        for told, floor in zip(self._told, floors, strict=True):
            told.floor = floor
        worst = least_exact([found.clock for found in fit])
        choice = ClockChoice(worst, next(f.reason for f in fit if f.clock == worst))
        return choice, worst_floor(floors)

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
            EnvironmentUnfit: a worker or its machine died, or hangs.
            EndpointUnfit, NoValidMeasurement: as `attempt_leg`, from any worker.
        """
        leg = plan.order.leg
        shares = deal(leg.concurrency, self.size, is_closed=plan.is_closed)
        members = self._members[: len(shares)]
        before = self._look_at_clocks()
        for member, share in zip(members, shares, strict=True):
            member.told = 0
            member.say(_task(plan, share, conditions, before[member.home].ns))
        self._gather(members, Ready, tell)
        with around:
            is_far = any(member.machine.clock is not None for member in members)
            at_ns = self._clock.monotonic_ns() + (_FAR_AHEAD_NS if is_far else _AHEAD_NS)
            for member in members:
                member.say(Begin(at_ns + before[member.home].ns))
            self._gather(members, Loaded, tell)
        done = self._gather(members, Done, tell)
        after = self._look_at_clocks()
        spans = [ClockSpan(*pair) for pair in zip(before, after, strict=True)]
        self._learn(leg, members, done, spans)
        conditions.track.steps[:] = self._steps(members, done)
        ours = [
            on_our_clock(part, spans[member.home])
            for member, part in zip(members, done, strict=True)
        ]
        return merge(ours, plan.first_index, is_closed=plan.is_closed)

    def _gather(
        self,
        members: Sequence[Member],
        kind: type[MessageT],
        tell: Callable[[int], None] | None = None,
    ) -> list[MessageT]:
        return gather(members, kind, self._clock, self._patience_s, tell)

    def describe(self, client: ClientHealth) -> ClientHealth:
        """What is known of each worker besides what it did, and how far their clocks differ."""
        return describe_workers(client, self._told)

    def _look_at_clocks(self) -> list[Offset]:
        """Of each machine."""
        now = self._clock.monotonic_ns
        return [
            Offset() if machine.clock is None else measure_offset(machine.clock, now)
            for machine in self._machines
        ]

    def _learn(
        self,
        leg: Leg,
        members: Sequence[Member],
        done: Sequence[Done],
        spans: Sequence[ClockSpan],
    ) -> None:
        for member, part in zip(members, done, strict=True):
            told = self._told[member.number]
            told.late_ns = max(told.late_ns, part.late_ns)
            if member.machine.clock is not None:
                told.spans[leg] = spans[member.home]

    @staticmethod
    def _steps(members: Sequence[Member], done: Sequence[Done]) -> list[tuple[int, int]]:
        """Of the wall clock: all workers of a machine see the same one, who saw most saw best."""
        seen: dict[int, list[tuple[int, int]]] = {}
        for member, part in zip(members, done, strict=True):
            seen[member.home] = max(seen.get(member.home, []), part.steps, key=len)
        return [step for steps in seen.values() for step in steps]


@contextmanager
def open_crew(senders: Senders, address: Address, clock: Clock) -> Iterator[Crew]:
    """Start the workers; none is left when the block ends, in whatever way.

    Raises:
        CommandFailed: a worker could not be started.
        EnvironmentUnfit: a cluster that is not there, or does not fit.
    """
    if senders.ray:
        from trt_nemotron.measure.bench.workers.ray_cluster import open_cluster

        with open_cluster(senders, address) as machines:
            yield Crew(machines, clock, senders.patience_s)
        return
    processes = Processes()
    try:
        yield Crew([ThisMachine(processes, senders.workers)], clock, senders.patience_s)
    finally:
        processes.close()


def _task(plan: LegPlan, share: Share, conditions: Conditions, offset_ns: int) -> Task:
    return Task(
        plan.order,
        plan.rehearsal,
        plan.length,
        plan.first_index,
        tuple(plan.trace_s),
        share,
        origin_ns=conditions.origin_ns + offset_ns,
        deadline_ns=conditions.deadline_ns + offset_ns,
    )


def _setup(interlocutor: Interlocutor, clock_wish: ClockWish, place: int, beside: int) -> Setup:
    address = interlocutor.address
    return Setup(
        url=address.root,
        family=int(address.family),
        socket_address=tuple(address.socket_address),
        model=interlocutor.model,
        dialect=interlocutor.dialect.name,
        workload=interlocutor.workload,
        run=interlocutor.run,
        api_key=interlocutor.api_key,
        clock_wish=clock_wish,
        place=place,
        beside=beside,
    )
