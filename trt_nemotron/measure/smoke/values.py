"""A smoke report: which named checks an endpoint passed, failed or could not be given, and why."""

from typing import Any, ClassVar, Literal

from trt_nemotron.document import Document, Value

CheckStatus = Literal["pass", "fail", "skip"]


class SmokeResult(Value, frozen=True, kw_only=True):
    """The outcome of one check.

    Attributes:
        reason: one sentence: what was right, what was wrong, or why it was skipped.
        evidence: what was sent and what came back, cut to a readable length.
    """

    name: str
    status: CheckStatus
    reason: str
    evidence: dict[str, Any]
    duration_ms: float


class SmokeReport(Document, frozen=True, kw_only=True):
    """All checks of one run against one endpoint."""

    SCHEMA: ClassVar[str] = "trt-nemotron/smoke-report/1"

    url: str
    model: str
    suite: str
    started_at: str
    results: tuple[SmokeResult, ...]

    @property
    def passed(self) -> bool:
        """At least one check passed and none failed."""
        statuses = {result.status for result in self.results}
        return "pass" in statuses and "fail" not in statuses
