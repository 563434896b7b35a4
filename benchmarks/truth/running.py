"""Compile the truth server, run it on a core of its own, read its log; see README.md."""

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("truth_server.c")
FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror")
_READ_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One request as the server saw it; times by the monotonic clock, in nanoseconds.

    Attributes:
        number: `n` of its body, -1 without.
        arrived_ns: when the kernel had received its last segment.
        read_ns: when the server had read it.
        sent_ns: just before each token was handed to the kernel.
    """

    number: int
    arrived_ns: int
    read_ns: int
    sent_ns: list[int]

    @property
    def times_s(self) -> list[float]:
        """Seconds from its arrival to each token."""
        return [(sent - self.arrived_ns) / 1e9 for sent in self.sent_ns]


@functools.cache
def compiled() -> Path:
    """The program, compiled into a folder that goes with this process."""
    folder = Path(tempfile.mkdtemp(prefix="truth-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    program = folder / "truth_server"
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, *FLAGS, "-o", str(program), str(SOURCE)], check=True)
    return program


class TruthServer:
    """A running one."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def read_log(self) -> list[Answer]:
        """Every answer that was given whole, in the order in which the requests came.

        A send that found no room is a token that left later than the log says: that ends us.
        """
        tree = self._ask("GET")
        if tree["blocked"]:
            sys.exit(f"{tree['blocked']} sends of the truth server found no room: no truth")
        return [
            Answer(a["n"], a["arrived_ns"], a["read_ns"], a["sent_ns"])
            for a in tree["answers"]
            if len(a["sent_ns"]) == a["wished"]
        ]

    def forget(self) -> None:
        """Empty its log."""
        self._ask("DELETE")

    def _ask(self, method: str) -> Any:
        request = urllib.request.Request(f"{self.url}/log", method=method)  # noqa: S310 - http
        with urllib.request.urlopen(request, timeout=_READ_TIMEOUT_S) as reply:  # noqa: S310 - a server of ours on loopback
            return json.load(reply)


@contextmanager
def truth_server(
    *, tokens: int, ttft_ms: float, interval_ms: float, core: int | None = None
) -> Iterator[TruthServer]:
    """A server on a free port of 127.0.0.1, held to one core; it never outlives us."""
    argv = [str(compiled()), "--port", "0", "--until-eof", "--tokens", str(tokens)]
    argv += ["--ttft-us", str(round(ttft_ms * 1e3)), "--interval-us", str(round(interval_ms * 1e3))]
    server = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if core is not None:
        os.sched_setaffinity(server.pid, {core})
    try:
        yield TruthServer(int(server.stdout.readline() if server.stdout else b""))
    finally:
        server.kill()
        server.wait()
        for pipe in (server.stdin, server.stdout):
            if pipe is not None:
                pipe.close()
