"""One plain GET between two legs, which always ends; never while requests are under way."""

from trt_nemotron.errors import EndpointUnfit
from trt_nemotron.measure.bench.clock import Clock, SystemClock, WallClockTrack
from trt_nemotron.measure.bench.server_side.snapshot import Fetch
from trt_nemotron.measure.bench.wire.address import Address
from trt_nemotron.measure.bench.wire.exchange import Exchange
from trt_nemotron.measure.bench.wire.framing import NotHttp
from trt_nemotron.measure.bench.wire.http_request import build_request
from trt_nemotron.measure.bench.wire.http_response import read_response
from trt_nemotron.measure.bench.wire.load import Load
from trt_nemotron.measure.bench.wire.loop import run_closed_loop

LONGEST_S = 5.0
MOST_BYTES = 8 << 20


def make_fetch(address: Address, api_key: str = "", longest_s: float = LONGEST_S) -> Fetch:
    """A way to get text from the server, each time over a connection of its own."""

    def fetch(path: str) -> str | None:
        return get_text(address, path, api_key, longest_s)

    return fetch


def get_text(
    address: Address, path: str, api_key: str, longest_s: float, clock: Clock | None = None
) -> str | None:
    """The text at `path`; `None` for any status but 200.

    Raises:
        EndpointUnfit: no connection, no HTTP, too slow or too much.
    """
    clock = clock or SystemClock()
    longest_ns = int(longest_s * 1e9)
    load = Load(
        requests=[build_request(address, "GET", path, api_key=api_key)],
        concurrency=1,
        spread_ns=0,
        timeout_ns=longest_ns,
        deadline_ns=clock.monotonic_ns() + 3 * longest_ns,
    )
    result = run_closed_loop(address, load, clock, WallClockTrack(clock), asks_for_stamps=False)
    return _read(result.exchanges[0], f"{address.root}{path}")


def _read(exchange: Exchange, url: str) -> str | None:
    size = len(exchange.received)
    fault = "" if exchange.ending == "complete" else exchange.fault
    if size > MOST_BYTES:
        fault = f"{size:,} bytes"
    if not fault:
        try:
            response = read_response(exchange.received, (size,), (exchange.ended_ns,))
        except NotHttp as damage:
            fault = str(damage)
        else:
            return response.body.decode("utf-8", "replace") if response.status == 200 else None
    raise EndpointUnfit(f"{url} cannot be read", evidence=fault)
