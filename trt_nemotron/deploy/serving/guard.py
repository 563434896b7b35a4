"""The guard: a small process that holds a server, so that the server never outlives its owner.

The tool starts it with pipes to its standard input and output and talks to it in lines of JSON:

    orders   {"do": "start", "argv", "environment", "tether", "log", "grace_s", "path", "document",
              "after": what to run once the server has ended, "temporary": a file to remove then}
             {"do": "record", "document"}    replace the endpoint's document
             {"do": "release"}               the server may outlive the tool from now on
    events   {"event": "started", "pid"}  {"event": "recorded"}  {"event": "released"}
             {"event": "crashed", "code", "reason"}  {"event": "stopped", "code"}

Its standard input is a lifeline. When it closes without a release, the tool has ended, be it by
SIGKILL, and the guard terminates the server and removes the document. SIGTERM asks it for the same
at any time. When the server ends by itself the guard ends what it left running and says so in the
document. The guard is the only writer of the document as long as it lives, which is why it needs
no lock.

A server in a container is held through the engine's client, which passes signals on and ends with
it; should the client be killed, `after` is what ends the container.

The kernel kills the server when the guard is killed (see `tether.py`); a client of an engine it
asks to end, and so ends the container unless the server in it ignores that. On Linux the guard also
adopts processes whose parent in the server has ended, and so finds those that left the server's
process group; on macOS these escape the guard and are found by the registry.

It is run as a file in isolated mode and imports the standard library only, and little of that: it
stays as long as the server does.
"""

import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import Any

_PR_SET_CHILD_SUBREAPER = 36
_POLL_S = 0.02
_KILL_WAIT_S = 10.0
_CLEAN_UP_S = 60.0  # an engine on a busy machine takes its time
_CLEAN_UP_TRIES = 3
_LIFELINE = 0
_EVENTS = 1


class Guard:
    """Holds one server from its start to its end."""

    def __init__(self, wakeup: int) -> None:
        self._wakeup = wakeup
        self._unread = b""
        self._is_open = True  # the lifeline
        self._is_released = False
        self._is_stop_asked = False
        self._server = 0
        self._exit_code: int | None = None
        self._grace_s = 0.0
        self._path = ""
        self._document: dict[str, Any] = {}
        self._after: list[str] = []
        self._environment: dict[str, str] = {}
        self._temporary = ""

    def run(self) -> None:
        """Obey orders until the server or the reason to hold it has ended."""
        while True:
            self._reap()
            if self._exit_code is not None:
                return self._finish_crashed()
            if self._is_stop_asked or not (self._is_open or self._is_released):
                return self._finish_stopped()
            self._wait(None)

    def ask_stop(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: stop at the next turn of the loop."""
        self._is_stop_asked = True

    def _wait(self, timeout_s: float | None) -> None:
        """Sleep until an order, the end of the lifeline or a signal; obey the orders."""
        sources = [self._wakeup, *([_LIFELINE] if self._is_open else [])]
        readable, _, _ = select.select(sources, [], [], timeout_s)
        if self._wakeup in readable:
            os.read(self._wakeup, 4096)
        if _LIFELINE in readable:
            self._read_orders()

    def _read_orders(self) -> None:
        data = os.read(_LIFELINE, 65536)
        if not data:
            self._is_open = False
            return
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))

    def _obey(self, order: dict[str, Any]) -> None:
        if order["do"] == "start":
            self._start(order)
        elif order["do"] == "record":
            self._record(order["document"])
            self._say("recorded")
        elif order["do"] == "release":
            self._reap()
            if self._exit_code is None:  # else `crashed` is what we say next
                self._is_released = True
                self._say("released")

    def _start(self, order: dict[str, Any]) -> None:
        self._grace_s = order["grace_s"]
        self._path = order["path"]
        self._after = order["after"]
        self._environment = order["environment"]
        self._temporary = order["temporary"]
        self._record(order["document"])
        how = ["--gently"] if self._after else []
        tether = [sys.executable, "-I", "-S", order["tether"], *how, str(os.getpid())]
        writing = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._server = os.posix_spawn(
            sys.executable,
            [*tether, *order["argv"]],
            order["environment"],
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, order["log"], writing, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setpgroup=0,
            setsigmask=[],
            setsigdef=[signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD],
        )
        self._say("started", pid=self._server)

    def _finish_crashed(self) -> None:
        code = self._exit_code
        self._end_group()
        self._clean_up()
        reason = _how_it_ended(code)
        self._record({**self._document, "state": "crashed", "exit_code": code, "reason": reason})
        self._say("crashed", code=code, reason=reason)

    def _finish_stopped(self) -> None:
        if self._server:
            self._end_group()
            self._clean_up()
            self._forget()
        self._say("stopped", code=self._exit_code)

    def _forget(self) -> None:
        if self._is_anything_left():  # stuck in the kernel, as after a fault of a driver
            reason = "a process of the server could not be killed"
            self._record({**self._document, "state": "crashed", "reason": reason})
            return
        with suppress(OSError):
            os.unlink(self._path)  # noqa: PTH108 - pathlib is not worth its import here

    def _end_group(self) -> None:
        """Terminate the server and all it started; kill what is left after the grace time."""
        asked: set[int] = set()
        self._signal_group(signal.SIGTERM)
        deadline = time.monotonic() + self._grace_s
        while self._is_anything_left() and time.monotonic() < deadline:
            if self._exit_code is not None:  # strays get their chance too, once nobody owns them
                asked |= _signal_children(signal.SIGTERM, asked)
            self._wait(_POLL_S)
        deadline = time.monotonic() + _KILL_WAIT_S
        while self._is_anything_left() and time.monotonic() < deadline:
            self._signal_group(signal.SIGKILL)
            _signal_children(signal.SIGKILL, set())
            self._wait(_POLL_S)

    def _clean_up(self) -> None:
        """A container is no child of ours: its engine is told to end it. Secrets go with it."""
        if self._temporary:
            with suppress(OSError):
                os.unlink(self._temporary)  # noqa: PTH108 - as above
        if self._after:
            deadline = time.monotonic() + _CLEAN_UP_S
            for _ in range(_CLEAN_UP_TRIES):
                with suppress(OSError):
                    if self._run_after(deadline) == 0:
                        return
                self._wait(_POLL_S)

    def _run_after(self, deadline: float) -> int:
        """Run it once, silently; its exit status."""
        silence = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
        cleaner = os.posix_spawnp(
            self._after[0], self._after, self._environment, file_actions=silence, setpgroup=0
        )
        while True:
            ended, status = os.waitpid(cleaner, os.WNOHANG)
            if ended:
                return status
            if time.monotonic() > deadline:
                os.kill(cleaner, signal.SIGKILL)
            self._wait(_POLL_S)

    def _is_anything_left(self) -> bool:
        has_children = self._reap()
        return self._signal_group(0) or has_children

    def _signal_group(self, number: int) -> bool:
        try:
            os.killpg(self._server, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _reap(self) -> bool:
        """Wait for children that have ended; whether any is left."""
        while True:
            try:
                child, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if child == 0:
                return True
            if child == self._server:
                self._exit_code = os.waitstatus_to_exitcode(status)

    def _record(self, document: dict[str, Any]) -> None:
        """Replace the document; a disk that is full must not keep us from ending the server."""
        self._document = document
        temporary = f"{self._path}.{os.getpid()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        try:
            with os.fdopen(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
                file.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
            os.replace(temporary, self._path)  # noqa: PTH105 - as above
        except OSError as fault:
            with suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108 - as above
            with suppress(OSError):  # the log may lie on the same disk
                os.write(2, f"cannot write {self._path}: {fault.strerror}\n".encode())

    def _say(self, event: str, **facts: object) -> None:
        with suppress(BrokenPipeError):
            os.write(_EVENTS, json.dumps({"event": event, **facts}).encode() + b"\n")


def _how_it_ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f"the server ended by itself with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    hint = "; the kernel does so when memory runs out" if -code == signal.SIGKILL else ""
    return f"the server was killed by {name}{hint}"


def _signal_children(number: int, except_for: set[int]) -> set[int]:
    """Signal all our children but some; the ids of those that were signalled. Linux only."""
    signalled = set()
    for child in _children() - except_for:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(child, number)
            signalled.add(child)
    return signalled


def _children() -> set[int]:
    found: set[int] = set()
    if sys.platform != "linux":
        return found
    us = str(os.getpid()).encode()
    for name in os.listdir("/proc"):  # noqa: PTH208 - as above
        if not name.isdigit():
            continue
        with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
            # pid (any bytes) state parent ...: the name may hold blanks and brackets
            if file.read().rpartition(b")")[2].split()[1] == us:
                found.add(int(name))
    return found


def _adopt_orphans() -> None:
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def main() -> None:
    """Set up signals and run until the server has ended."""
    os.set_inheritable(_EVENTS, False)  # noqa: FBT003 - the call's own form
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    guard = Guard(reading)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, guard.ask_stop)
    _adopt_orphans()
    guard.run()


if __name__ == "__main__":
    main()
