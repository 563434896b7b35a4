"""What a server says of itself when asked: its model, and which dialect it speaks."""

from trt_nemotron.errors import EndpointUnfit
from trt_nemotron.measure.bench.clock import Clock, SystemClock, WallClockTrack
from trt_nemotron.measure.bench.wire.address import Address, resolve_address
from trt_nemotron.measure.bench.wire.framing import NotHttp
from trt_nemotron.measure.bench.wire.http_request import build_request
from trt_nemotron.measure.bench.wire.http_response import Response, read_response
from trt_nemotron.measure.bench.wire.load import Load
from trt_nemotron.measure.bench.wire.loop import run_closed_loop
from trt_nemotron.openai.dialect import Dialect, recognize_dialect
from trt_nemotron.openai.untrusted import read_json

_TIMEOUT_NS = 10_000_000_000


def discover_model(url: str, *, api_key: str = "", clock: Clock | None = None) -> str:
    """Name of the first model that the server lists; empty when it lists none.

    Raises:
        EndpointUnfit: it cannot be reached or does not answer in HTTP.
    """
    tree = _get_json(resolve_address(url), "/v1/models", api_key, clock or SystemClock())
    models = tree.get("data") if isinstance(tree, dict) else None
    first = models[0] if isinstance(models, list) and models else None
    name = first.get("id") if isinstance(first, dict) else None
    return name if isinstance(name, str) else ""


def discover_dialect(url: str, *, api_key: str = "", clock: Clock | None = None) -> Dialect:
    """The dialect of the server, by its own description of its routes.

    Raises:
        EndpointUnfit: it cannot be reached or does not answer in HTTP.
    """
    description = _get_json(resolve_address(url), "/openapi.json", api_key, clock or SystemClock())
    return recognize_dialect(description)


def _get_json(address: Address, path: str, api_key: str, clock: Clock) -> object:
    """The JSON at `path`; `None` when there is none."""
    response = _get(address, build_request(address, "GET", path, api_key=api_key), clock)
    if response.status != 200:
        return None
    try:
        return read_json(response.body)
    except ValueError:
        return None


def _get(address: Address, request: bytes, clock: Clock) -> Response:
    deadline_ns = clock.monotonic_ns() + 2 * _TIMEOUT_NS
    load = Load([request], 1, 0, _TIMEOUT_NS, deadline_ns)
    exchange = run_closed_loop(address, load, clock, WallClockTrack(clock)).exchanges[0]
    try:
        ends = [read.end for read in exchange.reads]
        response = read_response(exchange.received, ends, [read.user_ns for read in exchange.reads])
    except NotHttp as fault:
        raise EndpointUnfit(
            f"{address.root} does not answer in HTTP",
            evidence=str(fault),
            next_step="Check the port: another service listens there.",
        ) from fault
    if exchange.ending != "complete":
        raise EndpointUnfit(
            f"{address.root} does not answer",
            evidence=f"{exchange.ending.replace('_', ' ')}: {exchange.fault}",
            next_step="Check that the server runs and that the URL is its root.",
        )
    return response
