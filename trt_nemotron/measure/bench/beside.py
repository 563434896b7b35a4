"""What is read on both sides of a leg and never in it: the server's figures, energy, other load."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from trt_nemotron.errors import EndpointUnfit
from trt_nemotron.measure.bench.clock import Clock
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.server_side.asking import make_fetch
from trt_nemotron.measure.bench.server_side.snapshot import (
    Endpoints,
    Fetch,
    Snapshot,
    compare,
    find_endpoints,
    take_snapshot,
)
from trt_nemotron.measure.bench.values import Energy, ServerSide, Surroundings
from trt_nemotron.measure.bench.wire.address import Address

if TYPE_CHECKING:
    from trt_nemotron.measure.bench.energy import Meter
    from trt_nemotron.measure.bench.lookout import Lookout


class Beside:
    """Looks at a server from the side, leg by leg; of a leg that came twice, the last counts.

    A page that cannot be read ends the reading for the rest of the run, which is noted: no figure
    of the client depends on it, and a server that lets us wait would do so at every leg.

    Args:
        fetch: gets a page of the server.
        meter: of energy; without one it is not measured.
        lookout: on the server's machine, where that is this one.
    """

    def __init__(
        self, fetch: Fetch, meter: "Meter | None" = None, lookout: "Lookout | None" = None
    ) -> None:
        self._fetch: Fetch | None = fetch
        self._meter = meter
        self._servers: dict[Leg, ServerSide | None] = {}
        self._energies: dict[Leg, Energy] = {}
        self._lookout = lookout
        self._surroundings: dict[Leg, Surroundings] = {}
        self.notes: list[str] = []
        self._endpoints = find_endpoints(self._read)

    @property
    def server_side(self) -> tuple[ServerSide, ...]:
        """Of each leg for which the server told something."""
        return tuple(found for found in self._servers.values() if found is not None)

    @property
    def energy(self) -> tuple[Energy, ...]:
        """Of each leg, where there is a meter."""
        return tuple(self._energies.values())

    @property
    def surroundings(self) -> tuple[Surroundings, ...]:
        """Of each leg, where there is a lookout."""
        return tuple(self._surroundings.values())

    @contextmanager
    def around(self, leg: Leg) -> Iterator[None]:
        """Measures `leg`, which is the block; one that fails leaves nothing."""
        before = self._snapshot()
        glance = self._lookout.look() if self._lookout else None
        begin = self._meter.mark() if self._meter else None
        yield
        if self._meter and begin:
            self._energies[leg] = self._meter.measure(leg, begin)
        if self._lookout and glance:
            self._surroundings[leg] = self._lookout.compare(leg, glance, self._lookout.look())
        self._servers[leg] = compare(leg, self._endpoints, before, self._snapshot())

    def _snapshot(self) -> Snapshot:
        if self._endpoints == Endpoints():
            return Snapshot()
        return take_snapshot(self._read, self._endpoints)

    def _read(self, path: str) -> str | None:
        if self._fetch is None:
            return None
        try:
            return self._fetch(path)
        except EndpointUnfit as fault:
            self._fetch = None
            self.notes.append(f"no figures of the server's own: {fault.message} ({fault.evidence})")
            return None


@contextmanager
def open_beside(
    address: Address, api_key: str, clock: Clock, *, measures_energy: bool
) -> Iterator[Beside]:
    """Everything beside a run; a sampler of power is not left running afterwards."""
    from trt_nemotron.measure.bench.lookout import open_lookout

    fetch = make_fetch(address, api_key)
    host, port = str(address.socket_address[0]), int(address.socket_address[1])
    lookout = open_lookout(host, port, clock)
    if not measures_energy:
        yield Beside(fetch, lookout=lookout)
        return
    from trt_nemotron.measure.bench.energy import open_meter

    with (
        TemporaryDirectory(prefix="trt-nemotron-") as folder,
        open_meter(host, clock, Path(folder)) as meter,
    ):
        yield Beside(fetch, meter, lookout)
