"""Ports on the loopback interface: is one free, who has it, which may be taken."""

import errno
import socket
from contextlib import closing, suppress

from trt_nemotron.deploy.runtimes.protocol import LOOPBACK
from trt_nemotron.errors import EnvironmentUnfit


def free_port() -> int:
    """A port that nobody listens on at this moment; for servers that cannot choose one."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def require_free(port: int) -> None:
    """Make sure that a server could listen on `port`; 0 is always free.

    Raises:
        EnvironmentUnfit: taken, naming by whom where that can be seen, or not ours to take.
    """
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        # As servers do: connections of a server that has just ended do not keep the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as fault:
            raise _unfit(port, fault) from fault


def _unfit(port: int, fault: OSError) -> EnvironmentUnfit:
    if fault.errno == errno.EADDRINUSE:
        return EnvironmentUnfit(
            f"port {port} is taken",
            evidence=_holder(port) or "by a process that we may not see",
            next_step="Choose another port, or let the system choose a free one: --port 0",
        )
    return EnvironmentUnfit(
        f"port {port} cannot be used",
        evidence=fault.strerror or str(fault),
        next_step="Choose a port above 1023, or --port 0.",
    )


def _holder(port: int) -> str:
    """`by process 123 (python3)`, where the operating system lets us see it."""
    import psutil

    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                    return f"by process {process.pid} ({process.name()})"
    return ""
