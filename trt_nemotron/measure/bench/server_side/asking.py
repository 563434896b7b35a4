"""One plain GET between two legs, which always ends; never while requests are under way."""

import time
from typing import TYPE_CHECKING

from trt_nemotron.errors import EndpointUnfit
from trt_nemotron.measure.bench.server_side.snapshot import Fetch
from trt_nemotron.measure.bench.wire.address import Address

if TYPE_CHECKING:
    import http.client

LONGEST_S = 5.0
MOST_BYTES = 8 << 20
_PIECE_BYTES = 1 << 16


def make_fetch(address: Address, api_key: str = "", longest_s: float = LONGEST_S) -> Fetch:
    """A way to get text from the server, each time over a connection of its own."""

    def fetch(path: str) -> str | None:
        return get_text(address, path, api_key, longest_s)

    return fetch


def get_text(address: Address, path: str, api_key: str, longest_s: float) -> str | None:
    """The text at `path`; `None` for any status but 200.

    Raises:
        EndpointUnfit: no connection, no HTTP, too slow or too much.
    """
    import http.client

    connection = _connect(address, longest_s)
    headers = {"Accept": "text/plain, application/json", "Connection": "close"}
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    try:
        connection.request("GET", f"{address.path}{path}", headers=headers)
        response = connection.getresponse()
        if response.status != 200:
            return None
        return _read(response, time.monotonic() + longest_s).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as fault:
        raise EndpointUnfit(
            f"{address.root}{path} cannot be read", evidence=str(fault) or type(fault).__name__
        ) from fault
    finally:
        connection.close()


def _connect(address: Address, longest_s: float) -> "http.client.HTTPConnection":
    import http.client

    host, port = address.host, int(address.host_header.rpartition(":")[2])
    if address.tls is not None:
        return http.client.HTTPSConnection(host, port, timeout=longest_s, context=address.tls)
    return http.client.HTTPConnection(host, port, timeout=longest_s)


def _read(response: "http.client.HTTPResponse", deadline: float) -> bytes:
    import http.client

    body = b""
    while piece := response.read1(_PIECE_BYTES):
        body += piece
        if len(body) > MOST_BYTES or time.monotonic() > deadline:
            raise http.client.HTTPException(f"no end after {len(body)} bytes")
    if response.length:
        raise http.client.HTTPException(f"{response.length} bytes are missing")
    return body
