"""HTTP that always ends: every exchange has a connect, a read and a total time limit.

`requests` bounds the wait for each piece of a body, not the whole: a server that sends one byte now
and then, in its headers too, would hold a caller for ever. Here a watchdog shuts the socket down at
the deadline, so that whatever waits on it wakes up. Each exchange has a connection of its own, no
proxy and no credentials but those handed over.
"""

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from trt_nemotron.errors import EndpointUnfit

_PIECE_BYTES = 64 * 1024
_BODY_LIMIT_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, between two pieces of an answer, and for the whole exchange."""

    connect_s: float = 5.0
    read_s: float = 30.0
    total_s: float = 120.0

    def within(self, seconds: float) -> "Timeouts":
        """The same limits, none above `seconds`."""
        return Timeouts(
            min(self.connect_s, seconds), min(self.read_s, seconds), min(self.total_s, seconds)
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole HTTP answer."""

    status: int
    content_type: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text; what is not UTF-8 becomes U+FFFD."""
        return self.body.decode("utf-8", "replace")


class DeadlineSocket:
    """The socket of one exchange, shut down when the time is over."""

    def __init__(self, seconds: float) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self.is_over = False

    def start(self) -> None:
        """Let the time run."""
        self._timer.start()

    def stop(self) -> None:
        """Let go of the socket; the time no longer matters."""
        self._timer.cancel()
        with self._lock:
            self._socket = None

    def watch(self, connected: socket.socket) -> None:
        """Take a freshly connected socket in charge."""
        with self._lock:
            self._socket = connected
        if self.is_over:
            self._end()

    def _end(self) -> None:
        self.is_over = True
        with self._lock:
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)


class Exchange:
    """A request that was sent and whose status and headers are here; the body is still to come."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.content_type = response.headers.get("content-type", "")

    def pieces(self) -> Iterator[bytes]:
        """The body, each piece as soon as it is there."""
        received = 0
        while piece := self._response.raw.read1(_PIECE_BYTES, decode_content=True):
            received += len(piece)
            if received > _BODY_LIMIT_BYTES:
                raise EndpointUnfit(
                    f"the answer is larger than {_BODY_LIMIT_BYTES // 2**20} MiB",
                    evidence=f"{received} bytes received and no end",
                    next_step="Check that the URL is an OpenAI-compatible server.",
                )
            yield piece

    def read(self) -> Reply:
        """The whole answer."""
        body = b"".join(self.pieces())
        return Reply(self.status, self.content_type, self.headers, body)


class Transport:
    """Opens exchanges with one server."""

    def __init__(self, root: str, timeouts: Timeouts, api_key: str | None = None) -> None:
        self._root = root
        self._timeouts = timeouts
        self._api_key = api_key

    @contextmanager
    def open(self, method: str, path: str, body: bytes | None = None) -> Iterator[Exchange]:
        """Send a request; the exchange ends with the block, read or not.

        Raises:
            EndpointUnfit: no connection, a time limit passed, or the connection broke.
        """
        url = self._root + path
        started = time.monotonic()
        deadline = DeadlineSocket(self._timeouts.total_s)
        deadline.start()
        try:
            with (
                self._session(deadline) as session,
                self._send(session, method, url, body) as response,
            ):
                yield Exchange(response)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as fault:
            if deadline.is_over:
                raise self._late(url) from fault
            raise _unreachable(url, fault, time.monotonic() - started) from fault
        except EndpointUnfit as fault:
            if deadline.is_over:
                raise self._late(url) from fault
            raise
        else:
            if deadline.is_over:  # a body without a length just ends when its socket is shut
                raise self._late(url)
        finally:
            deadline.stop()

    def _session(self, deadline: DeadlineSocket) -> requests.Session:
        session = requests.Session()
        session.trust_env = False  # no proxy, no .netrc: the endpoint itself is what we ask
        adapter = _WatchedAdapter(deadline)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        session.headers["Accept-Encoding"] = "identity"
        if self._api_key:
            session.headers["Authorization"] = f"Bearer {self._api_key}"
        return session

    def _send(
        self, session: requests.Session, method: str, url: str, body: bytes | None
    ) -> requests.Response:
        limits = self._timeouts
        return session.request(
            method,
            url,
            data=body,
            headers={"Content-Type": "application/json"} if body is not None else {},
            timeout=(min(limits.connect_s, limits.total_s), min(limits.read_s, limits.total_s)),
            stream=True,
            allow_redirects=False,
        )

    def _late(self, url: str) -> EndpointUnfit:
        return EndpointUnfit(
            f"the answer did not end within {self._timeouts.total_s:g} s",
            evidence=url,
            next_step="See whether the server still works, or allow more time with --timeout.",
        )


class _WatchedAdapter(HTTPAdapter):
    """Hands every socket it connects to the watchdog."""

    def __init__(self, deadline: DeadlineSocket) -> None:
        self._deadline = deadline
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As `requests` does, with connections of our own making."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _watched_pools(self._deadline)


def _watched_pools(deadline: DeadlineSocket) -> dict[str, type[HTTPConnectionPool]]:
    class PlainConnection(HTTPConnection):
        def connect(self) -> None:
            """Connect, then be watched."""
            super().connect()
            if self.sock is not None:
                deadline.watch(self.sock)

    class SecureConnection(HTTPSConnection):
        def connect(self) -> None:
            """Connect, then be watched."""
            super().connect()
            if self.sock is not None:
                deadline.watch(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = PlainConnection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": PlainPool, "https": SecurePool}


def _unreachable(url: str, fault: Exception, seconds: float) -> EndpointUnfit:
    """What a failed exchange means to whoever asked for it."""
    text = str(fault)
    if isinstance(fault, requests.exceptions.SSLError):
        message = "TLS with the server failed"
        step = "Check the certificate, or use http:// where the server speaks plain HTTP."
    elif isinstance(fault, (requests.Timeout, urllib3.exceptions.TimeoutError)):
        message = f"the server was silent for {seconds:.1f} s"
        step = "See whether the server still works, or allow more time with --timeout."
    elif "refused" in text:
        message = "nothing listens at this address"
        step = "Start the server, or correct the URL."
    elif "resolve" in text or "Name or service" in text:
        message = "the host name is not known"
        step = "Correct the URL."
    else:
        message = "the connection broke before the answer was whole"
        step = "See the server's log: it may have died."
    return EndpointUnfit(message, evidence=f"{url}: {_innermost(fault)}", next_step=step)


def _innermost(fault: BaseException) -> str:
    """The first cause: what the operating system or the peer said."""
    while True:
        cause = fault.__cause__ or fault.__context__
        if cause is None:
            return f"{type(fault).__name__}: {fault}"[:300]
        fault = cause
