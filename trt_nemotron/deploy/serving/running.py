"""A running server, held by this process through a guard."""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from trt_nemotron.deploy.runtimes.protocol import Launch
from trt_nemotron.deploy.serving.lifeline import EventKind, GuardEvent, Lifeline
from trt_nemotron.deploy.serving.log import explain, read_tail
from trt_nemotron.deploy.serving.registry import Registry
from trt_nemotron.deploy.serving.remains import end_remains
from trt_nemotron.deploy.serving.values import Endpoint
from trt_nemotron.errors import ServerFailed
from trt_nemotron.facts.release import KnownFailure
from trt_nemotron.redaction import redact

GRACE_S = 10.0
"""Seconds a server has to end by itself before it is killed."""

GUARD_MARGIN_S = 75.0
"""Seconds a guard may take beyond that: 10 for what it has killed, 60 for a container engine."""

_GUARD_ANSWER_S = 30.0
_TAIL_LINES = 15


class RunningServer:
    """A server that this process holds until it is stopped or detached.

    Attributes:
        phases: of its start, as its `Launch` has them.
        ready_s: from its start until it had generated a token; `None` before.
        api_key_variable: the variable of ours that holds the key it asks for; empty for none.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        lifeline: Lifeline,
        registry: Registry,
        *,
        grace_s: float,
        known_failures: Iterable[KnownFailure] = (),
        launch: Launch | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._lifeline = lifeline
        self._registry = registry
        self._grace_s = grace_s
        self._known_failures = tuple(known_failures)
        self._is_held = True
        self.ready_s: float | None = None
        self.phases = launch.phases if launch else ()
        self.api_key_variable = launch.api_key_variable if launch else ""

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint as it stands on record."""
        return self._endpoint

    def __enter__(self) -> "RunningServer":  # noqa: PYI034 - typing.Self is newer than Python 3.10
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def check(self, within_s: float = 0.0) -> None:
        """Make sure that the server still runs.

        Args:
            within_s: how long the news of its end may take, when its silence was noticed first.

        Raises:
            ServerFailed: it has ended, with the end of its log and the cause where it is known.
        """
        ended = self.pause(within_s)
        if ended:
            raise self.failure(ended)

    def wait(self) -> None:
        """Block until the server is stopped from elsewhere (`trt-nemotron stop`).

        Raises:
            ServerFailed: it ended by itself.
        """
        event = self._lifeline.event(None)
        if event is not None and event.event != "stopped":
            raise self.failure(_ending(event))

    def pause(self, timeout_s: float) -> str:
        """Sleep `timeout_s` seconds; at once why the server has ended, if it has, else empty."""
        event = self._lifeline.event(timeout_s)
        return "" if event is None else _ending(event)

    def stop(self) -> None:
        """End the server and all it started, and forget the endpoint; nothing when detached.

        Interrupted while the server takes its time, it kills what is left and passes that on.
        """
        if not self._is_held:
            return
        self._is_held = False
        self._lifeline.close()
        is_ended = False
        try:
            is_ended = self._lifeline.wait_for_end(self._grace_s + GUARD_MARGIN_S)
        finally:
            if not is_ended:
                self._lifeline.kill()
            end_remains(self._endpoint)
            self._registry.forget(self._endpoint.name, self._endpoint.instance)

    def detach(self) -> Endpoint:
        """Let the server outlive this process.

        Raises:
            ServerFailed: it ended before it could be let go.
        """
        self._lifeline.order_release()
        self.expect("released")
        self._lifeline.abandon()
        self._is_held = False
        return self._endpoint

    def record(self, endpoint: Endpoint) -> None:
        """Put a new state of the endpoint on record.

        Raises:
            ServerFailed: the server has ended meanwhile.
        """
        self._lifeline.order_record(endpoint)
        self.expect("recorded")
        self._endpoint = endpoint

    def expect(self, kind: EventKind) -> GuardEvent:
        """What the guard says next, which has to be `kind`.

        Raises:
            ServerFailed: it says something else: the server has ended.
        """
        event = self._lifeline.event(_GUARD_ANSWER_S)
        if event is None:
            raise self.failure("the server's guard does not answer")
        if event.event != kind:
            raise self.failure(_ending(event))
        return event

    def failure(self, what: str) -> ServerFailed:
        """What failed, with the end of the log, and the cause where the log tells it."""
        log = Path(self._endpoint.log)
        known = explain(log, self._known_failures)
        lines = read_tail(log, _TAIL_LINES) or ["(the log is empty)"]
        return ServerFailed(
            f"{what}: {known.cause}" if known else what,
            evidence=redact("\n".join(lines)),
            next_step=known.next_step if known else f"Read the whole log: {log}",
        )


def _ending(event: GuardEvent) -> str:
    if event.event == "crashed":
        return event.reason
    if event.event == "stopped":
        return "the server was stopped from elsewhere"
    if event.event == "gone":
        return "the server was ended because the process that guards it was killed"
    return f"the server's guard said {event.event} out of turn"
