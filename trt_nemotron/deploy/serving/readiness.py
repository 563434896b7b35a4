"""Readiness: a server is ready when it has generated a token, not when its port is open.

Gates, in this order: its own log says that it listens, `/health` says so, `/v1/models` names the
model, the runtime's own route that generates says so where it has one, and a chat completion brings
a real token; then warm-up requests, where the runtime needs them. The log comes first because
whoever answers on a port need not be ours. Each is shown as a phase. The end of the server is
noticed at every turn, and its log is read along for the runtime's own phases.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from trt_nemotron.deploy.runtimes.protocol import Launch
from trt_nemotron.deploy.serving.log import LogReader
from trt_nemotron.deploy.serving.transport import Reply, Transport
from trt_nemotron.progress import Progress

_FIRST_PAUSE_S = 0.01
_LONGEST_PAUSE_S = 0.25
_REQUEST_TIMEOUT_S = 5.0
_BUSY = frozenset({429, 503})
"""Answers that mean: not yet."""


class NotReady(Exception):
    """Why the server is not ready and will not be: the message is a sentence about the server."""


class Watched(Protocol):
    """The server's process, as far as readiness looks at it."""

    def pause(self, timeout_s: float) -> str:
        """Sleep that long; at once why the server has ended, if it has, else empty."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is to become ready.

    Attributes:
        url: root of the server; empty when its log is to tell (`Launch.ready_pattern`).
        model: the name under which it has to answer.
        timeout_s: seconds it may take in all.
    """

    launch: Launch
    url: str
    model: str
    timeout_s: float


class Readiness:
    """One wait for one server."""

    def __init__(
        self,
        question: Question,
        *,
        server: Watched,
        log: LogReader,
        transport: Transport,
        progress: Progress,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._question = question
        self._server = server
        self._log = log
        self._transport = transport
        self._progress = progress
        self._clock = clock
        self._url = question.url
        self._deadline = clock() + question.timeout_s
        self._last = ""
        self._phases: Sequence[tuple[str, str]] = question.launch.phases
        self._is_listening = not question.launch.ready_pattern and bool(question.url)

    def wait(self) -> str:
        """Block until the server is ready; the root of its address.

        Raises:
            NotReady: it has ended, answers wrongly, or the time is over.
        """
        launch = self._question.launch
        self._pass("starting the server", self._listens)
        self._pass("waiting until it has loaded", self._is_healthy)
        self._pass("asking which model it serves", self._names_model)
        if launch.generate_route:
            self._pass(f"asking {launch.generate_route}", self._generates)
        self._pass("waiting for a first token", self._gives_token)
        for number in range(1, launch.warmups + 1):
            self._pass(f"warming up ({number} of {launch.warmups})", self._gives_token)
        # Whoever answered was ours only if ours still runs: else another has its port.
        if ended := self._server.pause(0.0):
            raise NotReady(f"{ended} before it was ready")
        return self._url

    def _pass(self, phase: str, gate: Callable[[], bool]) -> None:
        """Try a gate until it opens."""
        self._progress.phase(phase)
        self._last = ""
        pause_s = _FIRST_PAUSE_S
        while not gate():
            ended = self._server.pause(max(0.0, min(pause_s, self._remaining_s())))
            if ended:
                raise NotReady(f"{ended} before it was ready")
            if self._remaining_s() <= 0:
                last = f" (last: {self._last})" if self._last else ""
                raise NotReady(
                    f"the server was not ready after {self._question.timeout_s:g} s: "
                    f"still {phase}{last}"
                )
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)

    def _listens(self) -> bool:
        self._read_log()
        return self._is_listening

    def _is_healthy(self) -> bool:
        self._read_log()
        reply = self._ask("/health")
        # Servers without the route are asked for a token all the same.
        return reply.status in {200, 204, 404, 405}

    def _names_model(self) -> bool:
        if not self._question.launch.is_model_listed:
            return True
        reply = self._ask("/v1/models")
        if reply.status in {404, 405}:
            return True
        names = _model_names(reply.json()) if reply.status == 200 else []
        if names and self._question.model not in names:
            raise NotReady(
                f"the server at {self._url} serves {', '.join(names)}, not {self._question.model}"
            )
        return bool(names)

    def _generates(self) -> bool:
        """Whether the server's own probe got a token; servers without it are asked for one anyway.

        It takes as long as a first token does, which may wait for compilation.
        """
        self._read_log()
        route = self._question.launch.generate_route
        reply = self._ask(route, timeout_s=max(0.1, self._remaining_s()))
        if reply.status not in {0, 200, 404, 405, *_BUSY}:
            raise NotReady(f"the server's own probe fails: {route}: {reply.summary()}")
        return reply.status in {200, 404, 405}

    def _gives_token(self) -> bool:
        self._read_log()
        body = {
            "model": self._question.model,
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 1,
            "temperature": 0,
        }
        # All the time there is: the first token may wait for compilation, and asking twice
        # would only make the queue longer.
        reply = self._ask("/v1/chat/completions", body, max(0.1, self._remaining_s()))
        if reply.status == 200 and not _has_token(reply.json()):
            raise NotReady(f"the server's answer holds no token: {reply.summary()}")
        if reply.status not in {0, 200, *_BUSY}:
            raise NotReady(f"the server refused a first request: {reply.summary()}")
        return reply.status == 200

    def _ask(
        self, route: str, body: object | None = None, timeout_s: float = _REQUEST_TIMEOUT_S
    ) -> Reply:
        timeout_s = max(0.1, min(timeout_s, self._remaining_s()))
        reply = self._transport(self._url + route, body, timeout_s)
        self._last = f"{route}: {reply.summary()}"
        return reply

    def _remaining_s(self) -> float:
        return self._deadline - self._clock()

    def _read_log(self) -> None:
        """Show the phases the log tells of, and find the address in it."""
        for line in self._log.new_lines():
            for index, (pattern, phase) in enumerate(self._phases):
                if re.search(pattern, line):
                    self._progress.phase(phase)
                    self._phases = self._phases[index + 1 :]
                    break
            if not self._is_listening:
                self._find_address(line)

    def _find_address(self, line: str) -> None:
        found = re.search(self._question.launch.ready_pattern, line)
        if found is None:
            return
        if not self._question.url:
            self._url = str(found["url"]).rstrip("/").removesuffix("/v1")
        self._is_listening = True


def tells_address(launch: Launch) -> bool:
    """Whether the server's log tells its address, so that it may choose the port itself."""
    return bool(launch.ready_pattern) and "url" in re.compile(launch.ready_pattern).groupindex


def _model_names(tree: object) -> list[str]:
    entries = tree.get("data") if isinstance(tree, dict) else None
    if not isinstance(entries, list):
        return []
    return [str(entry["id"]) for entry in entries if isinstance(entry, dict) and "id" in entry]


def _has_token(tree: object) -> bool:
    """Whether a chat completion was generated: by its usage, or by text of any kind."""
    if not isinstance(tree, dict):
        return False
    usage, choices = tree.get("usage"), tree.get("choices")
    if isinstance(usage, dict) and isinstance(usage.get("completion_tokens"), int):
        return bool(choices) and int(usage["completion_tokens"]) > 0
    first = choices[0] if isinstance(choices, list) and choices else {}
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(message, dict):
        return False
    return any(message.get(key) for key in ("content", "reasoning_content", "tool_calls"))
