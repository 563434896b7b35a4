"""The tool's end of the lifeline: starts a guard, gives it orders, hears how the server fares.

When the tool ends, however it ends, the operating system closes this end, and the guard does the
rest (see `guard.py` for what both say to each other).
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from trt_nemotron.command import TETHER, start
from trt_nemotron.deploy.serving.values import Endpoint
from trt_nemotron.document import Value, to_tree
from trt_nemotron.process import Running
from trt_nemotron.redaction import scrubbed_environment

_GUARD = Path(__file__).with_name("guard.py")

EventKind = Literal["started", "recorded", "released", "crashed", "stopped", "gone"]


class GuardEvent(Value, frozen=True, kw_only=True):
    """What the guard says.

    Attributes:
        event: `gone` is not said but seen: the guard has ended without a word.
        code: the server's exit code, minus the signal that killed it.
    """

    event: EventKind
    pid: int = 0
    code: int | None = None
    reason: str = ""


class Lifeline:
    """Holds one guard. Closing it ends the server, unless it was released before."""

    def __init__(self, guard: Running) -> None:
        self._guard = guard
        self._unread = b""
        self._last: GuardEvent | None = None

    @classmethod
    def to_new_guard(cls, *, folder: Path, log: Path) -> "Lifeline":
        """Start a guard that waits for orders.

        Args:
            folder: where it and the server run.
            log: where its own faults are written.

        Raises:
            CommandFailed: it cannot be started.
        """
        argv = [sys.executable, "-I", "-S", str(_GUARD)]
        return cls(start(argv, log_path=log, env=scrubbed_environment(), cwd=folder))

    @property
    def guard_pid(self) -> int:
        """Process id of the guard."""
        return self._guard.pid

    def order_start(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        document: Endpoint,
        path: Path,
        grace_s: float,
        after: Sequence[str] = (),
        temporary: Path | None = None,
    ) -> None:
        """Have the document written to `path` and the server started; the guard says `started`.

        Args:
            argv: the server.
            environment: its environment.
            document: its record.
            path: where that is kept.
            grace_s: seconds it has to end by itself.
            after: program and arguments to run once it has ended.
            temporary: a file to remove then.
        """
        self._order(
            do="start",
            argv=list(argv),
            environment=dict(environment),
            tether=str(TETHER),
            log=document.log,
            grace_s=grace_s,
            path=str(path),
            document=to_tree(document),
            after=list(after),
            temporary=str(temporary or ""),
        )

    def order_record(self, document: Endpoint) -> None:
        """Have the document replaced; true once the guard has said `recorded`."""
        self._order(do="record", document=to_tree(document))

    def order_release(self) -> None:
        """Let the server outlive us; true once the guard has said `released`."""
        self._order(do="release")

    def event(self, timeout_s: float | None) -> GuardEvent | None:
        """The next thing the guard says, or `None` when it says nothing for `timeout_s`.

        After the last event (`crashed`, `stopped`, `gone`) it is always that one again.
        """
        if self._last is not None:
            return self._last
        while b"\n" not in self._unread:
            data = self._guard.read(timeout_s)
            if data is None:
                return None
            if not data:
                return self._end(GuardEvent(event="gone"))
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        event = msgspec.json.decode(line, type=GuardEvent)
        return self._end(event) if event.event in {"crashed", "stopped"} else event

    def close(self) -> None:
        """Let go: without a release before, the guard now ends the server."""
        self._guard.close_input()

    def wait_for_end(self, timeout_s: float) -> bool:
        """Whether the guard has ended within `timeout_s`; it is waited for then."""
        return self._guard.wait(timeout_s)

    def abandon(self) -> None:
        """Forget a released guard, which stays."""
        self._guard.abandon()

    def kill(self) -> None:
        """Kill the guard, and with it (on Linux) the server."""
        self._guard.kill()

    def _order(self, **order: object) -> None:
        self._guard.write(msgspec.json.encode(order) + b"\n")

    def _end(self, event: GuardEvent) -> GuardEvent:
        self._last = event
        return event
