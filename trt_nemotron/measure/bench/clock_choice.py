"""Which clock stamps a run: the best one that this machine, this user and this route allow.

Best is a captured packet, then the kernel's stamp of a read, then our own clock after it. Why it is
not a better one is part of the result. A packet clock is not taken on trust: a connection to the
server is opened once, and its packets must be seen where the route says they pass.
"""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

from trt_nemotron.errors import EnvironmentUnfit, InvalidInput
from trt_nemotron.measure.bench.client_health import ClockSource
from trt_nemotron.measure.bench.wire.address import Address
from trt_nemotron.measure.bench.wire.capture import Capture
from trt_nemotron.measure.bench.wire.packet_ring import RETIRE_MS, PacketRing, blocks_for
from trt_nemotron.measure.bench.wire.route import interface_to
from trt_nemotron.measure.bench.wire.stamps import ask_for_kernel_stamps

ClockWish = Literal["auto", "packet", "kernel", "user"]
CLOCK_WISHES: tuple[ClockWish, ...] = get_args(ClockWish)
_NOT_WITH_TLS = "with TLS, packets do not show where an event ends"
_TRIAL_TIMEOUT_S = 5.0
_TRIAL_RETIRE_MS = 1
"""The first request waits for the trial."""


@dataclass(frozen=True, slots=True)
class ClockChoice:
    """The clock of a run.

    Attributes:
        reason: why it is not a better one, or that it was asked for; empty for the best.
        interface: at which packets are captured.
    """

    source: ClockSource
    reason: str = ""
    interface: str = ""

    @contextmanager
    def capture(self, address: Address, streams: int) -> Iterator[Capture | None]:
        """What captures the packets of one loop with this server; `None` for the other clocks."""
        if self.source != "packet_ring":
            yield None
            return
        ring = _open_ring(self.interface, address, streams)
        try:
            yield Capture(ring)
        finally:
            ring.close()


BY_READS = ClockChoice("kernel_receive")
"""For who has no reason to choose: the kernel's stamps of reads, which need no right."""


def choose_clock(address: Address, wish: ClockWish = "auto") -> ClockChoice:
    """The clock to measure this server with.

    Raises:
        InvalidInput: `wish` is none of `CLOCK_WISHES`.
        EnvironmentUnfit: the wished clock is not to be had here.
    """
    if wish not in CLOCK_WISHES:
        raise InvalidInput(
            f"no clock is called {wish!r}", next_step=f"Choose one of: {', '.join(CLOCK_WISHES)}."
        )
    if wish == "user":
        return ClockChoice("user_read", "asked for")
    if wish == "kernel":
        return _kernel("asked for", is_forced=True)
    interface, obstacle = _try_packets(address) if address.tls is None else ("", _NOT_WITH_TLS)
    if not obstacle:
        return ClockChoice("packet_ring", interface=interface)
    if wish == "packet":
        raise EnvironmentUnfit(
            "packets cannot be stamped here",
            evidence=obstacle,
            next_step="Give the process CAP_NET_RAW, measure on the machine whose interface "
            "carries the traffic, or take --clock auto.",
        )
    return _kernel(f"packets cannot be stamped: {obstacle}", is_forced=False)


def _kernel(reason: str, *, is_forced: bool) -> ClockChoice:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if ask_for_kernel_stamps(probe):
            return ClockChoice("kernel_receive", reason)
    obstacle = f"the kernel of {sys.platform} stamps no reads"
    if is_forced:
        raise EnvironmentUnfit(
            "reads cannot be stamped by the kernel here",
            evidence=obstacle,
            next_step="Measure on Linux, or take --clock auto.",
        )
    return ClockChoice("user_read", f"{reason}; {obstacle}")


def _try_packets(address: Address) -> tuple[str, str]:
    """The interface, and what stands against it; one of the two is empty."""
    try:
        interface = interface_to(address.family, address.socket_address)
        ring = _open_ring(interface, address, 1, _TRIAL_RETIRE_MS)
    except PermissionError:
        return "", "CAP_NET_RAW is missing"
    except OSError as fault:
        return "", fault.strerror or str(fault)
    try:
        is_seen = is_connection_seen(ring, address)
    except OSError as fault:
        return "", f"the trial connection failed: {fault.strerror or fault}"
    finally:
        ring.close()
    return (interface, "") if is_seen else ("", f"{interface} does not show packets of this server")


def _open_ring(
    interface: str, address: Address, streams: int, retire_ms: int = RETIRE_MS
) -> PacketRing:
    port = address.socket_address[1]
    return PacketRing(interface, address.family, port, blocks_for(streams), retire_ms)


def is_connection_seen(ring: PacketRing, address: Address) -> bool:
    """Open a connection to the server and look whether `ring` shows it.

    Raises:
        OSError: the server did not take it.
    """
    capture = Capture(ring)
    with socket.socket(address.family, socket.SOCK_STREAM) as connection:
        connection.settimeout(_TRIAL_TIMEOUT_S)
        connection.connect(address.socket_address)
        port: int = connection.getsockname()[1]
    return capture.shows(port)
