"""The one error tree. A class fixes its exit code; the CLI's one handler prints and exits.

    TrtNemotronError                 1
    ├── CheckFailed                  1   a check ran to its end and its answer is no
    ├── InvalidInput                 2   an option, a document or a key that cannot be accepted
    ├── EnvironmentUnfit             3   this machine lacks something: a package, disk, a port
    │   └── CommandFailed            3   another program we ran ended badly
    ├── NoValidMeasurement           4   nothing was measured that may be judged
    ├── NoBaseline                   5   a relative bound has nothing to compare with
    ├── Inconclusive                 6   measured, but not enough to decide
    ├── CheckpointUnusable           7   weights missing, truncated, or of another architecture
    ├── PlanRefused                  8   the plan cannot fit or is known to break
    ├── ServerFailed                 9   the server did not become ready, or died
    ├── BundleDamaged               10   a bundle's files are not what its manifest says
    └── EndpointUnfit               11   a URL that does not answer as an OpenAI endpoint

    KeyboardInterrupt              130   Ctrl-C
    └── Interrupted                143   SIGTERM; outside the tree, so that nothing swallows it

Each error says three things: what failed, the evidence for it, and the next step to take.
"""

from typing import ClassVar


class TrtNemotronError(Exception):
    """Root of every error this package raises on purpose.

    Args:
        message: what failed, one sentence.
        evidence: what was seen: a value, a line of a log, a path.
        next_step: what the user should do now.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, evidence: str = "", next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.evidence = evidence
        self.next_step = next_step

    def __str__(self) -> str:
        parts = [self.message, self.evidence, self.next_step]
        return "\n".join(part for part in parts if part)


class CheckFailed(TrtNemotronError):
    """A check ran to its end and its answer is no: smoke, gate or a comparison."""

    exit_code = 1


class InvalidInput(TrtNemotronError):
    """An option, a document or a key in one that cannot be accepted."""

    exit_code = 2


class EnvironmentUnfit(TrtNemotronError):
    """The machine lacks something that the step needs: a package, disk, memory, a port."""

    exit_code = 3


class CommandFailed(EnvironmentUnfit):
    """Another program that we ran ended badly or could not be started."""


class NoValidMeasurement(TrtNemotronError):
    """Nothing was measured that may be judged; a figure exists at most as a warning."""

    exit_code = 4


class NoBaseline(TrtNemotronError):
    """A relative bound was asked for and there is nothing to compare with."""

    exit_code = 5


class Inconclusive(TrtNemotronError):
    """Measured, but the samples do not decide the question."""

    exit_code = 6


class CheckpointUnusable(TrtNemotronError):
    """Weights that are missing, truncated, damaged or of another architecture."""

    exit_code = 7


class PlanRefused(TrtNemotronError):
    """A plan that cannot fit on the target or is known to break there."""

    exit_code = 8


class ServerFailed(TrtNemotronError):
    """The server did not become ready, or it died."""

    exit_code = 9


class BundleDamaged(TrtNemotronError):
    """A bundle whose files are not what its manifest says."""

    exit_code = 10


class EndpointUnfit(TrtNemotronError):
    """A URL that cannot be reached or does not answer as an OpenAI endpoint."""

    exit_code = 11


class Interrupted(KeyboardInterrupt):
    """The system asked us to stop; Ctrl-C is Python's own `KeyboardInterrupt`.

    No `except TrtNemotronError` may swallow it, so it stands outside that tree.

    Args:
        signal_number: the signal that asked; the exit code is 128 plus it, as shells expect.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__("interrupted")
        self.signal_number = signal_number
