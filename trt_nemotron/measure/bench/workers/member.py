"""One worker as the run sees it, and how the run waits for several of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from trt_nemotron import __version__, errors
from trt_nemotron.errors import EnvironmentUnfit, TrtNemotronError
from trt_nemotron.measure.bench.clock import Clock
from trt_nemotron.measure.bench.workers.machine import Machine
from trt_nemotron.measure.bench.workers.messages import (
    Answer,
    Calibrated,
    Done,
    Failed,
    Fit,
    Hello,
    Inbox,
    Loaded,
    Order,
    Ready,
    Told,
    pack,
)

_LOOK_S = 0.2
_AWAITED: Mapping[type[object], str] = {
    Hello: "that it has started",
    Fit: "that it is set up",
    Calibrated: "how exact it is",
    Ready: "that its connections are open",
    Loaded: "that its last request has ended",
    Done: "what it recorded",
}
_NOTHING_KEPT = "nothing of this run was kept."

MessageT = TypeVar("MessageT")


@dataclass(slots=True)
class Member:
    """One worker as the run sees it.

    Attributes:
        number: from 0.
        home: which of the run's machines it is on.
        place: among those of its machine.
        told: of its requests that have ended.
        heard_ns: when it last said anything.
    """

    number: int
    home: int
    machine: Machine
    place: int
    told: int = 0
    heard_ns: int = 0
    _inbox: Inbox = field(default_factory=lambda: Inbox(Answer))

    @property
    def title(self) -> str:
        """As an error names it."""
        where = f" on {self.machine.name}" if self.machine.name else ""
        pid = self.machine.pids[self.place]
        return f"worker {self.number} of the client (process {pid}{where})"

    def say(self, message: Order) -> None:
        """Tell it something.

        Raises:
            EnvironmentUnfit: it does not read.
        """
        if not self.machine.write(self.place, pack(message)):
            raise self.lost("does not read what it is told")

    def listen(self, timeout_s: float, clock: Clock) -> object:
        """The next message; `None` when none is whole in time.

        Raises:
            EnvironmentUnfit: it has ended, or says what nobody understands.
        """
        message = self._next()
        if message is not None:
            return message
        data = self.machine.read(self.place, timeout_s)
        if data == b"":
            raise self.lost("died")
        if data is not None:
            self.heard_ns = clock.monotonic_ns()
            self._inbox.feed(data)
        return self._next()

    def _next(self) -> object:
        try:
            return self._inbox.next()
        except msgspec.MsgspecError as fault:
            raise self.lost(f"says what is not understood ({fault})") from fault

    def refuse_another_version(self, version: str) -> None:
        """What sends together has to be the same.

        Raises:
            EnvironmentUnfit: it is not.
        """
        if version != __version__:
            raise EnvironmentUnfit(
                f"{self.title} is of another version of trt-nemotron",
                evidence=f"{version} there, {__version__} here",
                next_step="Install the same version on every machine that sends.",
            )

    def lost(self, how: str, awaited: str = "") -> EnvironmentUnfit:
        """The error that ends the run, with all that is known of this worker's end."""
        return EnvironmentUnfit(
            f"{self.title} {how}",
            evidence=awaited + self.machine.account(self.place),
            next_step=f"Look for what ended, stopped or starved it (memory, a signal, another "
            f"load{', no trt-nemotron there' if self.machine.name else ''}); {_NOTHING_KEPT}",
        )


def gather(
    members: Sequence[Member],
    kind: type[MessageT],
    clock: Clock,
    patience_s: float,
    tell: Callable[[int], None] | None = None,
) -> list[MessageT]:
    """One message of this kind from each; how many requests have ended on the way is passed on.

    Raises:
        EnvironmentUnfit: a worker has ended, or was silent for longer than `patience_s`.
        TrtNemotronError: what a worker says that failed.
    """
    found: dict[int, MessageT] = {}
    for member in members:
        member.heard_ns = clock.monotonic_ns()
    while len(found) < len(members):
        waiting = [member for member in members if member.number not in found]
        for member in waiting:
            message = member.listen(_LOOK_S if member is waiting[0] else 0.0, clock)
            if isinstance(message, Told):
                member.told = message.done
                if tell is not None:
                    tell(sum(each.told for each in members))
            elif isinstance(message, Failed):
                raise _error_of(message, member)
            elif isinstance(message, kind):
                found[member.number] = message
            elif clock.monotonic_ns() - member.heard_ns > patience_s * 1e9:
                how = f"said nothing for {patience_s:g} s"
                raise member.lost(how, f"it has not said {_AWAITED[kind]}; ")
    return [found[member.number] for member in members]


def _error_of(failed: Failed, member: Member) -> TrtNemotronError:
    kind: type[TrtNemotronError] = getattr(errors, failed.kind, EnvironmentUnfit)
    where = f" (said {member.title})" if member.machine.name else ""
    return kind(failed.message + where, evidence=failed.evidence, next_step=failed.next_step)
