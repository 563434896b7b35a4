"""What the run and its workers say to each other: MessagePack over pipes, each with its length."""

import struct
from typing import Any

import msgspec

from trt_nemotron.measure.bench.health import HealthLog
from trt_nemotron.measure.bench.legs import LegOrder
from trt_nemotron.measure.bench.rehearsal import FittedLength, Rehearsal
from trt_nemotron.measure.bench.share import Share
from trt_nemotron.measure.bench.values import ClockSource, RequestRecord, Workload

_LENGTH = struct.Struct("<Q")


class Setup(msgspec.Struct, frozen=True, tag=True):
    """The first word to a worker: whom it talks to, and how. The key goes this way only."""

    url: str
    family: int
    socket_address: tuple[Any, ...]
    model: str
    dialect: str
    workload: Workload
    run: str
    api_key: str
    clock: ClockSource
    interface: str
    core: int
    origin_ns: int
    deadline_ns: int


class Task(msgspec.Struct, frozen=True, tag=True):
    """A worker's share of a leg."""

    order: LegOrder
    rehearsal: Rehearsal
    length: FittedLength
    first_index: int
    trace_s: tuple[float, ...]
    share: Share


class Begin(msgspec.Struct, frozen=True, tag=True):
    """When all workers begin, by the monotonic clock."""

    at_ns: int


class Ready(msgspec.Struct, frozen=True, tag=True):
    """Its connections are open."""


class Told(msgspec.Struct, frozen=True, tag=True):
    """So many of its requests have ended."""

    done: int


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """Its last request has ended; now it reads what came."""


class Done(msgspec.Struct, frozen=True, tag=True):
    """What came of its share; see `Attempt`."""

    records: list[RequestRecord]
    health: HealthLog
    used: int
    held: int
    steps: list[tuple[int, int]]


class Failed(msgspec.Struct, frozen=True, tag=True):
    """An error of the tree, by the name of its class."""

    kind: str
    message: str
    evidence: str
    next_step: str


Order = Setup | Task | Begin
Answer = Ready | Told | Loaded | Done | Failed


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
