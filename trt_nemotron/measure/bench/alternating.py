"""Two servers measured at once by one stream: request by request in turn, in a given order.

A run of one server and a run of the other lie seconds apart, and on a busy machine its state lasts
for less. Here two neighbouring requests are some milliseconds apart: connections are kept, requests
are built before, and nothing is read or written between them.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from msgspec.structs import replace

from trt_nemotron.measure.bench.clock import Clock, SystemClock, WallClockTrack
from trt_nemotron.measure.bench.clock_choice import ClockChoice, choose_clock
from trt_nemotron.measure.bench.health import HealthLog
from trt_nemotron.measure.bench.interlocutor import Interlocutor
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.record import Expectation, Place, make_record
from trt_nemotron.measure.bench.rehearsal import Rehearsal, rehearse
from trt_nemotron.measure.bench.runner import MeasureClient
from trt_nemotron.measure.bench.values import Environment, Measurement, RequestRecord, Workload
from trt_nemotron.measure.bench.wire.address import resolve_address
from trt_nemotron.measure.bench.wire.capture import Capture
from trt_nemotron.measure.bench.wire.load import LoadResult, Terms
from trt_nemotron.measure.bench.wire.loop import run_loop
from trt_nemotron.measure.bench.wire.sources.closed import ClosedSource
from trt_nemotron.measure.bench.wire.sources.stock import Stock
from trt_nemotron.measure.bench.wire.turns import TurnCapture, TurnPool
from trt_nemotron.measure.bench.workload import check_workload
from trt_nemotron.openai.dialect import Dialect

_LEG = Leg(concurrency=1)


@dataclass(frozen=True, slots=True)
class Server:
    """One of those that are asked in turn."""

    url: str
    model: str
    dialect: Dialect
    environment: Environment
    api_key: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    """A server that was rehearsed."""

    server: Server
    interlocutor: Interlocutor
    rehearsal: Rehearsal
    words: int

    def request(self, index: int) -> bytes:
        """The bytes of a request with a prompt of its own."""
        tokens = self.interlocutor.workload.output_tokens
        return self.interlocutor.request(index, self.words, tokens, self.rehearsal.extra)


class Alternation:
    """Servers that were rehearsed, to be measured round after round: `open_alternation`."""

    def __init__(
        self,
        known: Sequence[_Known],
        choices: Sequence[ClockChoice],
        clock: Clock,
        measure_client: MeasureClient,
    ) -> None:
        self._known = known
        self._choices = choices
        self._clock = clock
        self._measure_client = measure_client
        self._next_index = max(each.rehearsal.first.requests for each in known)

    def measure(self, turns: Sequence[int]) -> tuple[Measurement, ...]:
        """One round: a request for each turn, which names the server by its place.

        Returns:
            For each server its requests as a run of one stream. Their indexes count over all
            servers, their times from one zero, and the client's health is that of the round.

        Raises:
            EndpointUnfit: a server stopped answering.
            NoValidMeasurement: the deadline passed.
            EnvironmentUnfit: the client could not calibrate itself.
        """
        clock, known = self._clock, self._known
        floor = self._measure_client(1, clock, self._choices[0])
        first = self._next_index
        self._next_index += len(turns)
        requests = [known[turn].request(first + place) for place, turn in enumerate(turns)]
        track = WallClockTrack(clock)
        wall_ns, origin_ns = clock.realtime_ns(), clock.monotonic_ns()
        result = self._load(requests, turns, track, origin_ns)
        started_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall_ns // 10**9))
        runs = []
        for place, each in enumerate(known):
            health = HealthLog()
            health.add_loop(_LEG, result)
            records = [
                _record(each, result, number, first, origin_ns, track, health)
                for number, turn in enumerate(turns)
                if turn == place
            ]
            client = health.conclude(floor, len(track.steps), self._choices[0].reason)
            runs.append(
                Measurement(
                    url=each.interlocutor.address.root,
                    started_at=started_at,
                    workload=replace(
                        each.interlocutor.workload, requests_per_concurrency=len(records)
                    ),
                    environment=each.server.environment,
                    client=client,
                    records=tuple(records),
                    dialect=each.server.dialect.name,
                    profile="ab",
                    is_length_fixed=each.interlocutor.is_length_fixed,
                    notes=(*each.rehearsal.notes, *each.rehearsal.first.notes),
                )
            )
        return tuple(runs)

    def _load(
        self, requests: Sequence[bytes], turns: Sequence[int], track: WallClockTrack, now_ns: int
    ) -> LoadResult:
        workload = self._known[0].interlocutor.workload
        addresses = [each.interlocutor.address for each in self._known]
        is_reusing = all(each.rehearsal.first.keeps_connections for each in self._known)
        terms = Terms(
            streams=1,
            timeout_ns=int(workload.timeout_s * 1e9),
            deadline_ns=now_ns + int(workload.total_timeout_s * 1e9),
            is_reusing=is_reusing,
        )
        with self._capture(turns) as capture:
            return run_loop(
                addresses[0],
                ClosedSource(Stock.of(requests), 1),
                terms,
                self._clock,
                track,
                capture=capture,
                asks_for_stamps=self._choices[0].source == "kernel_receive",
                make_pool=lambda connect: TurnPool(
                    connect, addresses, turns, is_reusing=is_reusing
                ),
            )

    @contextmanager
    def _capture(self, turns: Sequence[int]) -> Iterator[Capture | None]:
        with ExitStack() as held:
            captures = [
                held.enter_context(choice.capture(each.interlocutor.address, 1))
                for choice, each in zip(self._choices, self._known, strict=True)
            ]
            found = [capture for capture in captures if capture is not None]
            yield TurnCapture(found, turns) if found else None


def open_alternation(
    servers: Sequence[Server],
    workload: Workload,
    measure_client: MeasureClient,
    *,
    clock: Clock | None = None,
) -> Alternation:
    """Rehearse every server: which fields it takes, how long prompts are, one request in full.

    All get prompts of as many words as the first one needs: two rehearsals of one server differ by
    some words, and that would stand between the servers for good.

    Args:
        servers: one or more, all on one device.
        workload: of one stream; its number of requests is not looked at.
        measure_client: the client's floor.
        clock: of all times.

    Raises:
        InvalidInput: a URL or a workload that cannot be measured.
        EndpointUnfit, NoValidMeasurement: as `run_bench`.
    """
    clock = clock or SystemClock()
    # Each server was asked in full by the rehearsal, and the coin covers what is left of a start.
    workload = replace(workload, concurrencies=(1,), warmup_requests=0)
    check_workload(workload)
    rehearsed = []
    for server in servers:
        interlocutor = Interlocutor(
            address=resolve_address(server.url),
            model=server.model,
            dialect=server.dialect,
            workload=workload,
            run=str(clock.realtime_ns()),
            api_key=server.api_key,
        )
        rehearsed.append((server, interlocutor, rehearse(interlocutor, clock)))
    words = rehearsed[0][2].first.words
    known = [
        _Known(server, interlocutor, rehearsal, words)
        for server, interlocutor, rehearsal in rehearsed
    ]
    return Alternation(known, _choose_clocks(known), clock, measure_client)


def _choose_clocks(known: Sequence[_Known]) -> list[ClockChoice]:
    """One kind of clock for all of them: figures by two kinds are not compared."""
    addresses = [each.interlocutor.address for each in known]
    choices = [choose_clock(address) for address in addresses]
    if len({choice.source for choice in choices}) > 1:
        choices = [choose_clock(address, "kernel") for address in addresses]
    return choices


def _record(  # noqa: PLR0917 - called in one place, above
    each: _Known,
    result: LoadResult,
    number: int,
    first: int,
    origin_ns: int,
    track: WallClockTrack,
    health: HealthLog,
) -> RequestRecord:
    """The record of request `number` of the round; one stream, so they ended in that order."""
    record, stamps = make_record(
        result.exchanges[number],
        Place(index=first + number, concurrency=1, is_warmup=False, origin_ns=origin_ns),
        Expectation(each.interlocutor.expected_tokens, each.server.dialect.sends_done),
        track,
        are_kernel_stamps_asked=result.are_kernel_stamps_asked,
        packets=result.packets,
    )
    health.add_request(record, stamps)
    return record
