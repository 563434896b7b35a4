"""Where the server is, resolved once, before any clock runs."""

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from trt_nemotron.errors import EndpointUnfit, InvalidInput
from trt_nemotron.openai.url import NOT_IN_A_ROOT, redact_url

if TYPE_CHECKING:
    import ssl

_PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
_TLS_PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


@dataclass(frozen=True, slots=True)
class Address:
    """A resolved server.

    Attributes:
        root: the URL as given, without a trailing slash or `/v1`.
        host_header: `host:port` as the `Host` header names it.
        path: prefix of every path, without a trailing slash.
        family, socket_address: what `socket` needs to connect.
        host: as the URL names it, which a certificate must be for.
        tls: for https; `None` for http.
    """

    root: str
    host_header: str
    path: str
    family: socket.AddressFamily
    socket_address: Any
    host: str = ""
    tls: "ssl.SSLContext | None" = None


def resolve_address(url: str, environment: Mapping[str, str] = os.environ) -> Address:
    """Resolve a server's root URL; a trailing `/v1` may be there or not.

    Raises:
        InvalidInput: not an http or https URL, or a proxy stands between.
        EndpointUnfit: the name does not resolve.
    """
    root = url.rstrip("/").removesuffix("/v1").rstrip("/")
    parts, port = _split(root)
    host = parts.hostname
    if parts.scheme not in {"http", "https"} or not host or NOT_IN_A_ROOT & set(root):
        raise _not_a_root(url)
    is_tls = parts.scheme == "https"
    found = _resolve(host, port)
    _refuse_proxy(host, found[1][0], environment, _TLS_PROXIES if is_tls else _PROXIES)
    name = f"[{host}]" if ":" in host else host
    return Address(
        root=root,
        host_header=f"{name}:{port}",
        path=parts.path,
        family=found[0],
        socket_address=found[1],
        host=host,
        tls=_tls_context() if is_tls else None,
    )


def _tls_context() -> "ssl.SSLContext":
    from trt_nemotron.measure.bench.wire.tls import make_context

    return make_context()


def _split(url: str) -> tuple[SplitResult, int]:
    """The URL's parts and its port, which is checked only when it is asked for."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as fault:
        raise _not_a_root(url) from fault
    usual = 443 if parts.scheme == "https" else 80
    return parts, usual if port is None else port


def _not_a_root(url: str) -> InvalidInput:
    return InvalidInput(
        "not a server's root URL",
        evidence=redact_url(url),
        next_step="Give it as http://HOST:PORT or https://HOST:PORT, and a key by --api-key-env.",
    )


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    try:
        # Bytes where that will do: for text Python imports its tables of international names.
        name = host.encode() if host.isascii() else host
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as fault:
        raise EndpointUnfit(
            f"the host name {host!r} does not resolve",
            evidence=str(fault),
            next_step="Check the URL.",
        ) from fault
    return found[0][0], found[0][4]


def _refuse_proxy(
    host: str, numeric: str, environment: Mapping[str, str], variables: Sequence[str]
) -> None:
    """A proxy would be measured instead of the server; on loopback nobody means one."""
    named = next((name for name in variables if environment.get(name)), None)
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
