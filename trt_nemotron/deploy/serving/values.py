"""An endpoint as a value: a URL that answers, and who is behind it."""

from typing import ClassVar, Literal

from trt_nemotron.document import Document

EndpointState = Literal["starting", "ready", "stopped", "crashed"]


class Endpoint(Document, frozen=True, kw_only=True):
    """A server that this tool started.

    Attributes:
        url: root of the server, without `/v1`; empty while the port is not known.
        guard_pid, guard_started: process id and creation time (seconds since the epoch, as the
            operating system reports it) of the process that holds the server; both together name
            a process for good, an id alone may be used again.
        bundle: absolute path of the bundle it came from.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/endpoint/1"

    name: str
    state: EndpointState
    url: str
    model: str
    runtime: str
    bundle: str
    log: str
    guard_pid: int
    guard_started: float
    server_pid: int = 0
    server_started: float = 0.0
    exit_code: int | None = None
    started_at: str = ""
