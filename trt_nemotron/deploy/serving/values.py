"""An endpoint as a value: a URL that answers, and who is behind it."""

from typing import ClassVar, Literal

from trt_nemotron.deploy.runtimes.protocol import EngineName
from trt_nemotron.document import Document, Value

EndpointState = Literal["starting", "ready", "stopped", "crashed"]


class Endpoint(Document, frozen=True, kw_only=True):
    """A server that this tool started.

    Attributes:
        url: root of the server, without `/v1`; empty while the port is not known.
        guard_pid, guard_started: process id and creation time (seconds since the epoch, as the
            operating system reports it) of the process that holds the server; both together name
            a process for good, an id alone may be used again.
        server_pid, server_started: the same two of the server itself.
        bundle: absolute path of the bundle it came from.
        log: absolute path of the file with all the server has written.
        exit_code: of a server that has ended; below zero: minus the signal that killed it.
        started_at: UTC, ISO 8601.
        instance: a random word in the environment of the server and of all it started, by which
            they are known again for certain.
        reason: why a crashed server crashed, one sentence.
        engine, container: the engine and the name of its container, for a server in one.
        image: the image that runs there, by its digest.
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
    instance: str = ""
    reason: str = ""
    engine: EngineName | Literal[""] = ""
    container: str = ""
    image: str = ""


class EndpointStatus(Value, frozen=True, kw_only=True):
    """An endpoint and what the operating system says about its processes now.

    Attributes:
        uptime_s: seconds since the server was started; `None` when it does not run.
        rss_bytes: resident memory of the server and all it started; `None` when it does not run.
    """

    endpoint: Endpoint
    uptime_s: float | None = None
    rss_bytes: int | None = None


class StatusReport(Document, frozen=True, kw_only=True):
    """Every endpoint known on this machine, by name."""

    SCHEMA: ClassVar[str] = "trt-nemotron/status/1"

    endpoints: tuple[EndpointStatus, ...]
