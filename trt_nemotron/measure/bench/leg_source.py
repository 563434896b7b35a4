"""The source of one leg's requests, and where each of them belongs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from trt_nemotron.measure.bench.interlocutor import Interlocutor, hear
from trt_nemotron.measure.bench.legs import LegOrder
from trt_nemotron.measure.bench.record import Place
from trt_nemotron.measure.bench.rehearsal import FittedLength, Rehearsal
from trt_nemotron.measure.bench.share import WHOLE, Share
from trt_nemotron.measure.bench.wire.load import LoadResult
from trt_nemotron.measure.bench.wire.sources.closed import ClosedSource
from trt_nemotron.measure.bench.wire.sources.protocol import Source
from trt_nemotron.measure.bench.wire.sources.scheduled import (
    ScheduledSource,
    constant_offsets,
    poisson_offsets,
    within,
)
from trt_nemotron.measure.bench.wire.sources.session import SessionSource
from trt_nemotron.measure.bench.wire.sources.stock import Stock

_LONGEST_SPREAD_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class LegPlan:
    """What a leg sends.

    Attributes:
        first_index: of its first request in the run.
        share: which of the leg's requests and streams are sent from here.
    """

    order: LegOrder
    interlocutor: Interlocutor
    rehearsal: Rehearsal
    length: FittedLength
    first_index: int
    trace_s: Sequence[float] = ()
    share: Share = WHOLE

    @property
    def streams(self) -> int:
        """Of this share: requests under way at a time."""
        return self.share.streams(self.order.leg.concurrency)

    @property
    def delay_ns(self) -> int:
        """How much later than the first share's the first request is due."""
        return self._spread_ns * self.share.worker // self.order.leg.concurrency

    @property
    def _spread_ns(self) -> int:
        """Over which the first wave is spread."""
        return min(self.length.duration_ns, _LONGEST_SPREAD_NS) if self.is_closed else 0

    @property
    def is_closed(self) -> bool:
        """Whether a request is sent when a stream is free, not by a schedule."""
        return self.interlocutor.workload.arrivals == "closed"

    @property
    def warmup(self) -> int:
        """Requests before the measured ones, or whole conversations where there are turns."""
        workload = self.interlocutor.workload
        if not self.is_closed:
            return workload.warmup_requests
        if workload.turns > 1:
            return self._conversations(workload.warmup_requests)
        return max(workload.warmup_requests, self.order.leg.concurrency)

    @property
    def total(self) -> int | None:
        """Requests in all, where neither a soak nor a trace says when it is enough."""
        workload = self.interlocutor.workload
        if workload.soak_s:
            return None
        if workload.turns > 1:
            return (self.warmup + self._conversations(self.order.requests)) * workload.turns
        return self.warmup + self.order.requests

    def source(self) -> Source:
        """Everything this share of the leg sends, and when."""
        workload = self.interlocutor.workload
        soak_ns = int(workload.soak_s * 1e9)
        if not self.is_closed:
            share = self.share
            offsets = self._offsets(soak_ns)[share.worker :: share.workers]
            return ScheduledSource(Stock(self._build, len(offsets)), offsets)
        if workload.turns > 1:
            return self._sessions(soak_ns)
        count = None if self.total is None else self.share.count(self.total)
        return ClosedSource(Stock(self._build, count), self.streams, self._spread_ns, soak_ns)

    def place(self, number: int, source: Source, result: LoadResult, origin_ns: int) -> Place:
        """Where the request that was taken as number `number` belongs."""
        session, turn = -1, 0
        if isinstance(source, SessionSource):
            session, turn = source.places[number]
            session = self.share.number(session)
        whole = self.share.number(number)
        leg = self.order.leg
        return Place(
            index=self.first_index + whole,
            concurrency=leg.concurrency,
            is_warmup=(session if session >= 0 else whole) < self.warmup,
            origin_ns=origin_ns,
            intended_ns=result.intended_ns[number] if result.intended_ns else -1,
            rate_rps=leg.rate_rps,
            leg_input_tokens=leg.input_tokens,
            session=session,
            turn=turn,
        )

    def _build(self, number: int) -> bytes:
        tokens = self.interlocutor.workload.output_tokens
        index = self.first_index + self.share.number(number)
        return self.interlocutor.request(index, self.length.words, tokens, self.rehearsal.extra)

    def _offsets(self, soak_ns: int) -> list[int]:
        workload = self.interlocutor.workload
        if workload.arrivals == "trace":
            return [round(offset * 1e9) for offset in self.trace_s]
        rate = self.order.leg.rate_rps
        endless = (
            constant_offsets(rate)
            if workload.arrivals == "constant"
            else poisson_offsets(rate, workload.seed)
        )
        if soak_ns:
            return list(within(endless, soak_ns))
        return list(islice(endless, self.warmup + self.order.requests))

    def _sessions(self, soak_ns: int) -> SessionSource:
        workload, tell = self.interlocutor.workload, self.interlocutor
        first, share = self.first_index, self.share
        count = None
        if self.total is not None:
            count = share.count(self.total // workload.turns) * workload.turns
        return SessionSource(
            lambda number, turn: tell.say(first + share.number(number), turn, self.length.words),
            lambda messages: tell.write(messages, workload.output_tokens, self.rehearsal.extra),
            hear,
            turns=workload.turns,
            streams=self.streams,
            count=count,
            think_ns=int(workload.think_s * 1e9),
            spread_ns=self._spread_ns,
            soak_ns=soak_ns,
        )

    def _conversations(self, requests: int) -> int:
        return -(-requests // self.interlocutor.workload.turns)
