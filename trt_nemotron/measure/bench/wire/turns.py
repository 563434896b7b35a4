"""Several servers asked one after the other by one loop: their connections, and their packets.

One request is under way at a time, and which server the next one goes to was decided before. So
nothing lies between two neighbouring requests but the loop itself.
"""

from collections.abc import Callable, Iterable, Sequence

from trt_nemotron.measure.bench.clock import WallClockTrack
from trt_nemotron.measure.bench.wire.address import Address
from trt_nemotron.measure.bench.wire.capture import Capture, PacketTimes
from trt_nemotron.measure.bench.wire.connection import Connection
from trt_nemotron.measure.bench.wire.exchange import Exchange
from trt_nemotron.measure.bench.wire.pool import Pool
from trt_nemotron.measure.bench.wire.stamps import Stamps


class TurnPool(Pool):
    """One connection to each server; taken is that of the server whose turn it is.

    Args:
        connect: makes a connection to a server, not opened.
        servers: at least one.
        turns: of each request in order, the place of its server in `servers`.
        is_reusing: as of any pool.
    """

    __slots__ = ("_connect", "_is_busy", "_servers", "_taken", "_turns")

    def __init__(
        self,
        connect: Callable[[Address], Connection],
        servers: Sequence[Address],
        turns: Sequence[int],
        *,
        is_reusing: bool,
    ) -> None:
        super().__init__(lambda: connect(servers[0]), len(servers), is_reusing=is_reusing)
        self._connect = connect
        self._servers = servers
        self._turns = turns
        self._taken = 0
        self._is_busy = False

    @property
    def has_room(self) -> bool:
        """Whether no request is under way."""
        return not self._is_busy

    def open_ahead(self, count: int) -> None:
        """Begin to open all of them, whatever `count` is."""
        for server in self._servers:
            self.connections.append(self._connect(server))
            self.connections[-1].open()

    def take(self) -> Connection:
        """The connection to the server whose turn it is."""
        connection = self.connections[self._turns[self._taken]]
        self._taken += 1
        self._is_busy = True
        return connection

    def add_spare(self) -> None:
        """None is needed."""

    def put_back(self, ended: Iterable[Connection], *, is_opened_at_once: bool) -> None:
        """As any pool; what was closed is opened at once, before the clock of its next request."""
        super().put_back(ended, is_opened_at_once=True)
        self._is_busy = False


class TurnCapture(Capture):
    """The packets of each server, captured by a ring of its own.

    Two connections to two servers may begin at the same port of ours, so a flow is looked for among
    those of the server whose turn it was.
    """

    __slots__ = ("_captures", "_turns")

    def __init__(self, captures: Sequence[Capture], turns: Sequence[int]) -> None:
        self._captures = captures
        self._turns = turns

    def drain(self) -> None:
        """Take what there is."""
        for capture in self._captures:
            capture.drain()

    def conclude(self, *, settle_s: float | None = None) -> "TurnTimes":
        """Wait for the last packets, which come to all rings meanwhile, then read them all."""
        first, *others = self._captures
        times = [first.conclude() if settle_s is None else first.conclude(settle_s=settle_s)]
        times += [capture.conclude(settle_s=0.0) for capture in others]
        return TurnTimes(times, self._turns)


class TurnTimes(PacketTimes):
    """When the bytes of every connection were there, server by server."""

    __slots__ = ("_times", "_turns")

    def __init__(self, times: Sequence[PacketTimes], turns: Sequence[int]) -> None:
        super().__init__({}, sum(each.lost for each in times))
        self._times = times
        self._turns = turns

    @property
    def repeated(self) -> int:
        """Of all servers."""
        return sum(each.repeated for each in self._times)

    def resolve(self, exchange: Exchange, track: WallClockTrack) -> Stamps:
        """The times of an exchange."""
        return self._times[self._turns[exchange.index]].resolve(exchange, track)
