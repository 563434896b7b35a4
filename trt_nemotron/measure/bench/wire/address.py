"""Where the server is, resolved once, before any clock runs."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from trt_nemotron.errors import EndpointUnfit, InvalidInput
from trt_nemotron.openai.url import NOT_IN_A_ROOT, redact_url

_PROXY_VARIABLES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")


@dataclass(frozen=True, slots=True)
class Address:
    """A resolved server.

    Attributes:
        root: the URL as given, without a trailing slash or `/v1`.
        host_header: `host:port` as the `Host` header names it.
        path: prefix of every path, without a trailing slash.
        family, socket_address: what `socket` needs to connect.
    """

    root: str
    host_header: str
    path: str
    family: socket.AddressFamily
    socket_address: Any


def resolve_address(url: str, environment: Mapping[str, str] = os.environ) -> Address:
    """Resolve a server's root URL; a trailing `/v1` may be there or not.

    Raises:
        InvalidInput: not an http URL, TLS, or a proxy stands between.
        EndpointUnfit: the name does not resolve.
    """
    root = url.rstrip("/").removesuffix("/v1").rstrip("/")
    parts, port = _split(root)
    host = parts.hostname
    if parts.scheme == "https":
        raise InvalidInput(
            "https is not measured: TLS hides where one event ends and the next begins",
            evidence=redact_url(url),
            next_step="Measure the server's plain http port, on its own machine or through a "
            "tunnel (ssh -L 8000:127.0.0.1:8000 HOST).",
        )
    if parts.scheme != "http" or not host or NOT_IN_A_ROOT & set(root):
        raise _not_a_root(url)
    found = _resolve(host, port)
    _refuse_proxy(host, found[1][0], environment)
    name = f"[{host}]" if ":" in host else host
    return Address(
        root=root,
        host_header=f"{name}:{port}",
        path=parts.path,
        family=found[0],
        socket_address=found[1],
    )


def _split(url: str) -> tuple[SplitResult, int]:
    """The URL's parts and its port, which is checked only when it is asked for."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as fault:
        raise _not_a_root(url) from fault
    return parts, 80 if port is None else port


def _not_a_root(url: str) -> InvalidInput:
    return InvalidInput(
        "not a server's root URL",
        evidence=redact_url(url),
        next_step="Give it as http://HOST:PORT, and a key by --api-key-env.",
    )


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as fault:
        raise EndpointUnfit(
            f"the host name {host!r} does not resolve",
            evidence=str(fault),
            next_step="Check the URL.",
        ) from fault
    return found[0][0], found[0][4]


def _refuse_proxy(host: str, numeric: str, environment: Mapping[str, str]) -> None:
    """A proxy would be measured instead of the server; on loopback nobody means one."""
    named = next((name for name in _PROXY_VARIABLES if environment.get(name)), None)
    if named is None or numeric.startswith("127.") or numeric == "::1":
        return
    excepted = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if any(_is_covered(host, entry.strip()) for entry in excepted.split(",")):
        return
    raise InvalidInput(
        f"the environment sends {host} through a proxy, which would be measured with it",
        evidence=f"{named} is set and NO_PROXY does not name {host}",
        next_step=f"This client connects directly: set NO_PROXY={host} if that can work.",
    )


def _is_covered(host: str, entry: str) -> bool:
    suffix = entry.lstrip(".").lower()
    return entry == "*" or (bool(suffix) and (host == suffix or host.endswith(f".{suffix}")))
