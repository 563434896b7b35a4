"""What the run and its workers say to each other: MessagePack over pipes, each with its length."""

import struct
from typing import Any

import msgspec

from trt_nemotron.measure.bench.calibration import Floor
from trt_nemotron.measure.bench.client_health import ClockSource
from trt_nemotron.measure.bench.clock_choice import ClockWish
from trt_nemotron.measure.bench.health import HealthLog
from trt_nemotron.measure.bench.legs import LegOrder
from trt_nemotron.measure.bench.rehearsal import FittedLength, Rehearsal
from trt_nemotron.measure.bench.share import Share
from trt_nemotron.measure.bench.values import RequestRecord, Workload

_LENGTH = struct.Struct("<Q")


class Setup(msgspec.Struct, frozen=True, tag=True):
    """The first word to a worker: whom it talks to, and how. The key goes this way only.

    Attributes:
        place, beside: which of how many workers of its machine it is.
    """

    url: str
    family: int
    socket_address: tuple[Any, ...]
    model: str
    dialect: str
    workload: Workload
    run: str
    api_key: str
    clock_wish: ClockWish
    place: int
    beside: int


class Calibrate(msgspec.Struct, frozen=True, tag=True):
    """Measure yourself with so many streams, at the same time as the others."""

    streams: int


class Task(msgspec.Struct, frozen=True, tag=True):
    """A worker's share of a leg; times are of its own machine's monotonic clock."""

    order: LegOrder
    rehearsal: Rehearsal
    length: FittedLength
    first_index: int
    trace_s: tuple[float, ...]
    share: Share
    origin_ns: int
    deadline_ns: int


class Begin(msgspec.Struct, frozen=True, tag=True):
    """When all workers begin, by the monotonic clock of the one that is told."""

    at_ns: int


class Hello(msgspec.Struct, frozen=True, tag=True):
    """It has started, and is of this version; said before anything else is."""

    version: str


class Fit(msgspec.Struct, frozen=True, tag=True):
    """It is set up, and this is the clock that it stamps with."""

    clock: ClockSource
    reason: str


class Calibrated(msgspec.Struct, frozen=True, tag=True):
    """How exact it is."""

    floor: Floor


class Ready(msgspec.Struct, frozen=True, tag=True):
    """Its connections are open."""


class Told(msgspec.Struct, frozen=True, tag=True):
    """So many of its requests have ended."""

    done: int


class Alive(msgspec.Struct, frozen=True, tag=True):
    """It works on what it recorded."""


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """Its last request has ended; now it reads what came."""


class Done(msgspec.Struct, frozen=True, tag=True):
    """What came of its share; see `Attempt`.

    Attributes:
        steps: of the wall clock, in all legs so far.
        late_ns: how much later than agreed it heard when to begin; 0 for in time.
    """

    records: list[RequestRecord]
    health: HealthLog
    used: int
    held: int
    steps: list[tuple[int, int]]
    late_ns: int


class Failed(msgspec.Struct, frozen=True, tag=True):
    """An error of the tree, by the name of its class."""

    kind: str
    message: str
    evidence: str
    next_step: str


Order = Setup | Calibrate | Task | Begin
Answer = Hello | Fit | Calibrated | Ready | Told | Alive | Loaded | Done | Failed


def pack(message: Order | Answer) -> bytes:
    """A message as it goes over the pipe."""
    body = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(body)) + body


class Inbox:
    """Puts messages together from what a pipe gives."""

    def __init__(self, kind: Any) -> None:
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """Add what was read."""
        self._data += data

    def next(self) -> Any:
        """The next whole message; `None` when there is none yet."""
        if len(self._data) < _LENGTH.size:
            return None
        end = _LENGTH.size + _LENGTH.unpack_from(self._data)[0]
        if len(self._data) < end:
            return None
        message = self._decoder.decode(self._data[_LENGTH.size : end])
        del self._data[:end]
        return message
