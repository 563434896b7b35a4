"""A machine as the doctor sees it: files, programs, disks, ports. Nothing here changes it."""

import importlib.util
import os
import platform
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from trt_nemotron.cores import usable_cores
from trt_nemotron.errors import CommandFailed, EnvironmentUnfit

TIMEOUT_S = 10.0
"""Seconds after which a program that does not answer is given up: `nvidia-smi` may hang with its
driver, `docker` with its daemon. Less would be too short for eight boards that have to be woken."""

_PACKET_TIMEOUT_S = 0.5
_MOST_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program said.

    Attributes:
        fault: empty when it ran to its end, with whatever exit code; `failed` when it could not be
            run to it.
        output: its standard output.
        errors: its standard error, or why it could not be asked.
    """

    fault: Literal["", "missing", "failed"] = ""
    exit_code: int = 0
    output: str = ""
    errors: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it ended with exit code 0."""
        return not self.fault and self.exit_code == 0


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system that a path is, or would be, on; `device` tells two of them apart."""

    device: int
    total_bytes: int
    free_bytes: int


class Host(Protocol):
    """What may be asked of a machine; no method raises on what a machine may be like."""

    def read(self, path: str) -> str | None:
        """The text of a file; `None` when it is not there or not ours to read."""

    def listing(self, path: str) -> tuple[str, ...]:
        """Names in a folder, sorted; none when it is not there."""

    def run(self, argv: tuple[str, ...]) -> Answer:
        """Run a program that only looks."""

    def disk(self, path: str) -> Disk | None:
        """The file system of the nearest existing folder above `path`."""

    def can_write(self, path: str) -> bool:
        """Whether files could be made in this folder, or it in its nearest existing parent."""

    def port_fault(self, port: int) -> str:
        """Why a server cannot listen on this port of the loopback interface; empty when it can."""

    def has_module(self, name: str) -> bool:
        """Whether a Python package is installed beside this tool."""

    def has_program(self, name: str) -> bool:
        """Whether a program is on PATH."""

    def environment(self) -> Mapping[str, str]:
        """The variables of this process."""

    def architecture(self) -> str:
        """`x86_64` or `aarch64`, as the kernel says."""

    def cores(self) -> int:
        """Processors that this process may use."""

    def python_version(self) -> str:
        """Of the interpreter that runs this tool, as `3.11.2`."""

    def is_clock_synchronised(self) -> bool | None:
        """Whether the kernel's clock is kept in step with others; `None` when it cannot be told."""

    def clock_resolution_s(self) -> float:
        """The least step of the monotonic clock."""

    def stamps_packets(self) -> bool | None:
        """Whether the kernel stamps packets as they come; `None` on a system that never does."""


class LocalHost:
    """The machine that we run on."""

    def read(self, path: str) -> str | None:
        """See `Host`; no more than a mebibyte, so that no odd file keeps us."""
        try:
            with Path(path).open("rb") as file:
                return file.read(_MOST_READ_BYTES).decode(errors="replace")
        except OSError:
            return None

    def listing(self, path: str) -> tuple[str, ...]:
        """See `Host`."""
        with suppress(OSError):
            return tuple(sorted(entry.name for entry in Path(path).iterdir()))
        return ()

    def run(self, argv: tuple[str, ...]) -> Answer:
        """See `Host`; in our environment without secrets."""
        from trt_nemotron.command import run

        if shutil.which(argv[0]) is None:
            return Answer(fault="missing", errors=f"{argv[0]} is not on PATH")
        try:
            done = run(argv, timeout_s=TIMEOUT_S, expected=range(-64, 256))
        except CommandFailed as fault:
            return Answer(fault="failed", errors=fault.message)
        return Answer(exit_code=done.returncode, output=done.stdout, errors=done.stderr)

    def disk(self, path: str) -> Disk | None:
        """See `Host`."""
        folder = _nearest(path)
        try:
            free = os.statvfs(folder)
            return Disk(
                device=folder.stat().st_dev,
                total_bytes=free.f_frsize * free.f_blocks,
                free_bytes=free.f_frsize * free.f_bavail,
            )
        except OSError:
            return None

    def can_write(self, path: str) -> bool:
        """See `Host`."""
        folder = _nearest(path)
        return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)

    def port_fault(self, port: int) -> str:
        """See `Host`."""
        from trt_nemotron.deploy.serving.ports import require_free

        try:
            require_free(port)
        except EnvironmentUnfit as fault:
            return f"{fault.message}: {fault.evidence}"
        return ""

    def has_module(self, name: str) -> bool:
        """See `Host`."""
        return importlib.util.find_spec(name) is not None

    def has_program(self, name: str) -> bool:
        """See `Host`."""
        return shutil.which(name) is not None

    def environment(self) -> Mapping[str, str]:
        """See `Host`."""
        return dict(os.environ)

    def architecture(self) -> str:
        """See `Host`."""
        machine = platform.machine().lower()
        return {"arm64": "aarch64", "amd64": "x86_64"}.get(machine, machine)

    def cores(self) -> int:
        """See `Host`."""
        return usable_cores()

    def python_version(self) -> str:
        """See `Host`."""
        return platform.python_version()

    def is_clock_synchronised(self) -> bool | None:
        """See `Host`; asks `adjtimex(2)`, which is what every time daemon sets."""
        if sys.platform != "linux":
            return None
        return _kernel_clock_is_synchronised()

    def clock_resolution_s(self) -> float:
        """See `Host`."""
        return time.get_clock_info("monotonic").resolution

    def stamps_packets(self) -> bool | None:
        """See `Host`; sends one byte to ourselves."""
        return _own_packet_is_stamped() if sys.platform == "linux" else None


_TIME_ERROR = 5
"""What `adjtimex` returns for a clock that is not synchronised."""

_TIMEX_BYTES = 512
"""More than `struct timex` takes on any architecture; all zeros asks and changes nothing."""


def _kernel_clock_is_synchronised() -> bool | None:
    import ctypes

    try:
        ask = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return None
    state = int(ask(ctypes.create_string_buffer(_TIMEX_BYTES)))
    return None if state < 0 else state != _TIME_ERROR


_SO_TIMESTAMPNS = 35
"""asm-generic/socket.h; Python's socket module does not name it."""


def _own_packet_is_stamped() -> bool:
    import socket

    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            probe.settimeout(_PACKET_TIMEOUT_S)
            probe.bind(("127.0.0.1", 0))
            probe.sendto(b"?", probe.getsockname())
            _, stamps, _, _ = probe.recvmsg(1, 64)
    except OSError:
        return False
    return any(kind == _SO_TIMESTAMPNS for _, kind, _ in stamps)


def _nearest(path: str) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    folder = Path(path).absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
