"""Stages: times each step of a check, tells whoever watches, and keeps how it ended."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from trt_nemotron.errors import TrtNemotronError
from trt_nemotron.pipeline.record import STAGES, Audience, StageName, StageOutcome


@dataclass(slots=True)
class Notes:
    """What a stage says of itself while it runs."""

    summary: str = ""
    files: tuple[str, ...] = ()
    is_failed: bool = False

    def say(self, summary: str, *files: str) -> None:
        """The stage's result in one sentence, and what it left in the folder."""
        self.summary, self.files = summary, files

    def fail(self, summary: str) -> None:
        """The stage ended badly."""
        self.summary, self.is_failed = summary, True


@dataclass(slots=True)
class Stages:
    """The stages of one check, in the order in which they ran.

    Attributes:
        clock: monotonic seconds.
    """

    audience: Audience
    clock: Callable[[], float]
    outcomes: list[StageOutcome] = field(default_factory=list)

    @contextmanager
    def stage(self, name: StageName) -> Iterator[Notes]:
        """Time the block; an error that leaves it fails the stage."""
        notes = Notes()
        begun = self.clock()
        self.audience.stage_begins(name)
        try:
            yield notes
        except TrtNemotronError as fault:
            notes.fail(fault.message)
            raise
        except BaseException as fault:
            notes.fail("interrupted" if isinstance(fault, KeyboardInterrupt) else str(fault))
            raise
        finally:
            self._end(name, notes, self.clock() - begun)

    def skip(self, name: StageName, reason: str) -> None:
        """The stage does not run, for this reason."""
        self._keep(StageOutcome(name=name, status="skipped", duration_s=0.0, summary=reason))

    def all(self) -> tuple[StageOutcome, ...]:
        """How every stage ended; those that were not reached are skipped."""
        ran = {outcome.name for outcome in self.outcomes}
        missing = (
            StageOutcome(name=name, status="skipped", duration_s=0.0, summary="not reached")
            for name in STAGES
            if name not in ran
        )
        return (*self.outcomes, *missing)

    def _end(self, name: StageName, notes: Notes, duration_s: float) -> None:
        self._keep(
            StageOutcome(
                name=name,
                status="failed" if notes.is_failed else "done",
                duration_s=round(duration_s, 3),
                summary=notes.summary,
                files=notes.files,
            )
        )

    def _keep(self, outcome: StageOutcome) -> None:
        self.outcomes.append(outcome)
        self.audience.stage_ends(outcome)
