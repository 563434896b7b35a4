"""A whole measurement: rehearse, calibrate the client, then leg after leg."""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from trt_nemotron.measure.bench.attempt import Conditions
from trt_nemotron.measure.bench.beside import open_beside
from trt_nemotron.measure.bench.calibration import Floor, measure_floor
from trt_nemotron.measure.bench.clock import Clock, SystemClock, WallClockTrack
from trt_nemotron.measure.bench.clock_choice import ClockChoice, ClockWish, choose_clock
from trt_nemotron.measure.bench.interlocutor import Interlocutor
from trt_nemotron.measure.bench.leg_runner import LegRunner, Setting
from trt_nemotron.measure.bench.legs import Chooser, fixed_legs
from trt_nemotron.measure.bench.rehearsal import rehearse
from trt_nemotron.measure.bench.values import Environment, Measurement, Workload
from trt_nemotron.measure.bench.wire.address import resolve_address
from trt_nemotron.measure.bench.workers.senders import (
    ALONE,
    Senders,
    check_senders,
)
from trt_nemotron.measure.bench.workload import check_workload
from trt_nemotron.openai.dialect import Dialect
from trt_nemotron.progress import SILENT, Progress

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from trt_nemotron.measure.bench.workers.crew import Crew

MeasureClient = Callable[[int, Clock, ClockChoice], Floor]
"""The floor of the client, with so many streams and the clock chosen."""
_CHOSEN_BY_WORKERS = ClockChoice("user_read", "each worker chooses its own")


def run_bench(
    url: str,
    model: str,
    workload: Workload,
    dialect: Dialect,
    environment_facts: Environment,
    *,
    clock: Clock | None = None,
    progress: Progress = SILENT,
    api_key: str = "",
    profile: str = "",
    clock_wish: ClockWish = "auto",
    trace_s: Sequence[float] = (),
    choose_next: Chooser | None = None,
    measures_energy: bool = False,
    measure_client: MeasureClient = measure_floor,
    senders: Senders = ALONE,
) -> Measurement:
    """Measure a server under `workload`.

    Nothing is written. An interruption (Ctrl-C) ends it at once, closes every socket and keeps
    nothing: half a measurement looks like a whole one.

    `clock_wish` asks for a source of stamps; by default the best one is taken, see `clock_choice`.
    `url` is the server's root, with or without `/v1`; an empty `model` leaves the choice to the
    server; `environment_facts` come from `environment.describe_environment`.

    `trace_s` are the arrivals of a workload that plays a trace, in seconds from its beginning.
    `choose_next` chooses each leg by those before it; without one, the workload's own are measured
    in their order. Prompt lengths that the server refuses end the run where a shorter one was
    measured, which is noted; the shorter ones are kept.

    `measures_energy` asks for joules of each leg; why there are none is noted. Runs that follow
    each other may share a `kept_floors.KeptFloors` as `measure_client`. What the server tells of
    itself is read between the legs; no answer of it can end the run.

    `senders` may be several processes, of this machine or of others. Each keeps its share of every
    leg and measures itself; of their floors the worst counts, and `measure_client` is not asked.
    Several of one machine stamp with the kernel's receive clock.

    Raises:
        InvalidInput: a URL or a workload that cannot be measured.
        EndpointUnfit: not reachable, not an OpenAI endpoint, or it stopped answering on the way.
        NoValidMeasurement: it answers, but no request of some concurrency ended well.
        EnvironmentUnfit: the client could not calibrate itself, or has not the clock wished for.
    """
    clock = clock or SystemClock()
    check_workload(workload)
    check_senders(senders, workload, clock_wish)
    started_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock.realtime_ns() // 10**9))
    interlocutor = Interlocutor(
        address=resolve_address(url),
        model=model,
        dialect=dialect,
        workload=workload,
        run=str(clock.realtime_ns()),
        api_key=api_key,
    )
    choice = _CHOSEN_BY_WORKERS
    if senders.are_alone:
        choice = choose_clock(interlocutor.address, clock_wish)
    progress.phase("rehearsing: prompt length, output length")
    rehearsal = rehearse(interlocutor, clock, choice)
    with _open_crew(senders, interlocutor, clock, progress) as crew:
        progress.phase("measuring the client itself")
        if crew is None:
            floor = measure_client(max(workload.concurrencies), clock, choice)
        else:
            choice, floor = crew.prepare(interlocutor, clock_wish)
        begun_ns = clock.monotonic_ns()
        deadline_ns = begun_ns + int(workload.total_timeout_s * 1e9)
        conditions = Conditions(choice, clock, WallClockTrack(clock), begun_ns, deadline_ns)
        with open_beside(
            interlocutor.address, api_key, clock, measures_energy=measures_energy
        ) as beside:
            runner = LegRunner(
                Setting(interlocutor, rehearsal, floor, conditions, beside, progress, trace_s, crew)
            )
            records = runner.run_legs(choose_next or fixed_legs(workload))
    return Measurement(
        url=interlocutor.address.root,
        started_at=started_at,
        workload=workload,
        environment=environment_facts,
        client=runner.client,
        records=tuple(records),
        dialect=dialect.name,
        profile=profile,
        is_length_fixed=interlocutor.is_length_fixed,
        notes=(*rehearsal.notes, *dict.fromkeys(runner.notes), *beside.notes),
        server_side=beside.server_side,
        energy=beside.energy,
        surroundings=beside.surroundings,
    )


def _open_crew(
    senders: Senders, interlocutor: Interlocutor, clock: Clock, progress: Progress
) -> "AbstractContextManager[Crew | None]":
    """The workers; nobody where this process sends the load itself."""
    if senders.are_alone:
        return nullcontext()
    from trt_nemotron.measure.bench.workers.crew import open_crew

    progress.phase("starting the workers")
    return open_crew(senders, interlocutor.address, clock)
