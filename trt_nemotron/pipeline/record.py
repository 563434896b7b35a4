"""A check record: which stages ran, how each ended, and where its result is kept."""

from typing import ClassVar, Literal, Protocol

from trt_nemotron.deploy.actual_memory import MemoryGap
from trt_nemotron.document import Document, Value
from trt_nemotron.measure.gate.values import Decision
from trt_nemotron.measure.smoke.values import SmokeResult
from trt_nemotron.progress import Progress

StageName = Literal["plan", "build", "serve", "smoke", "bench", "gate", "report"]
StageStatus = Literal["done", "failed", "skipped"]

STAGES: tuple[StageName, ...] = ("plan", "build", "serve", "smoke", "bench", "gate", "report")


class StageOutcome(Value, frozen=True, kw_only=True):
    """How one stage ended.

    Attributes:
        summary: one sentence for people.
        files: what it left in the folder of the check.
    """

    name: StageName
    status: StageStatus
    duration_s: float
    summary: str
    files: tuple[str, ...] = ()


class CheckRecord(Document, frozen=True, kw_only=True):
    """One run of `check`.

    Attributes:
        decision: the gate's; `fail` when smoke failed, since figures of a server that answers
            wrongly mean nothing.
        exit_code: what the command ended with.
        memory: buffers as planned and as the server reported them, where it reports any.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/check/1"

    target: str
    runtime: str
    model: str
    started_at: str
    decision: Decision
    exit_code: int
    stages: tuple[StageOutcome, ...]
    folder: str
    memory: tuple[MemoryGap, ...] = ()


class Audience(Progress, Protocol):
    """Who watches a check: told of stages, of results as they come, and of progress within."""

    def stage_begins(self, name: StageName) -> None:
        """The stage starts now."""

    def stage_ends(self, outcome: StageOutcome) -> None:
        """The stage ended so."""

    def smoke_result(self, result: SmokeResult) -> None:
        """One smoke check has its result."""
